"""What a settings object shows of itself."""

from __future__ import annotations

import pytest
from pydantic import Field, HttpUrl, SecretStr

from controlroom.errors import ConfigError
from controlroom.settings import BaseSettings, load_settings


class Shown(BaseSettings):
    api_url: HttpUrl
    api_token: SecretStr
    api_key: str = ""
    page_size: int = 100


def test_the_password_of_a_url_is_shown_neither_by_repr_nor_by_str():
    shown = Shown(api_url="https://user:hunter2hunter2@api.example.com/v1", api_token="t0ken-t0ken")
    for text in (repr(shown), str(shown), f"{shown}"):
        assert "hunter2" not in text
        assert "t0ken-t0ken" not in text
        assert "api.example.com" in text
        assert "page_size=100" in text


def test_what_is_called_a_secret_is_shown_as_one():
    hidden = repr(Shown(api_url="https://api.example.com", api_token="x", api_key="hunter2"))
    assert "hunter2" not in hidden
    assert "api_token=SecretStr('**********')" in hidden


class Counted(BaseSettings):
    page_size: int = Field(100, ge=1)


def test_who_may_not_change_a_setting_is_not_led_past_validation():
    with pytest.raises(AttributeError) as caught:
        Counted().page_size = 5  # type: ignore[misc]  # that is the mistake

    assert "load_settings(Counted, page_size=…)" in str(caught.value)
    assert "model_copy" not in str(caught.value)
    with pytest.raises(ConfigError, match="page_size is wrong"):
        load_settings(Counted, page_size=-5)
