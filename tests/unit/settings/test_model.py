"""What a settings object shows of itself."""

from __future__ import annotations

from pydantic import HttpUrl, SecretStr

from controlroom.settings import BaseSettings


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
    assert "hunter2" not in repr(Shown(api_url="https://api.example.com", api_token="x", api_key="hunter2"))
