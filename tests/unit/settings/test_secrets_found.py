from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AmqpDsn, BaseModel, Field, HttpUrl, PostgresDsn, Secret, SecretBytes, SecretStr, field_validator

from controlroom.errors import ConfigError
from controlroom.redaction import redact_text
from controlroom.settings import BaseSettings, load_settings

CANARY = "c4n4ry-Value-0x7f"


class Nested(BaseModel):
    password: SecretStr | None = None
    keys: dict[str, SecretBytes] = {}


class Settings(BaseSettings):
    token: SecretStr | None = None
    raw: SecretBytes | None = None
    dated: Secret[str] | None = None
    nested: Nested = Nested()
    many: list[SecretStr] = []
    api_url: HttpUrl | None = None
    dsn: PostgresDsn | None = None
    queue: AmqpDsn | None = None
    text_url: str = ""
    secret_url: SecretStr | None = None
    password: str = ""


@pytest.mark.parametrize(
    "values",
    [
        {"token": CANARY},
        {"raw": CANARY},
        {"dated": CANARY},
        {"nested": {"password": CANARY}},
        {"nested": {"keys": {"a": CANARY}}},
        {"nested": Nested(password=SecretStr(CANARY))},
        {"many": ["other-one", CANARY]},
        {"api_url": f"https://user:{CANARY}@example.com/"},
        {"dsn": f"postgresql://user:{CANARY}@h1/db"},
        {"dsn": f"postgresql://user:first@h1,user:{CANARY}@h2/db"},
        {"queue": f"amqp://:{CANARY}@h"},
        {"text_url": f"mysql://user:{CANARY}@h/db"},
        {"secret_url": f"mysql://user:{CANARY}@h/db"},
        {"password": CANARY},
    ],
    ids=str,
)
def test_every_secret_that_settings_hold_is_masked_from_then_on(values: dict[str, Any]) -> None:
    assert CANARY in redact_text(f"we saw {CANARY}")

    load_settings(Settings, **values)

    assert CANARY not in redact_text(f"we saw {CANARY}")
    assert base64.b64encode(CANARY.encode()).decode() not in redact_text(base64.b64encode(CANARY.encode()).decode())


def test_the_secrets_of_an_object_made_in_code_are_masked_too() -> None:
    made = Settings(token=SecretStr(CANARY))
    made.model_copy(update={"dated": Secret("another-secret")})

    assert redact_text(f"{CANARY} another-secret") == "*** ***"


def test_a_percent_encoded_password_is_masked_in_both_forms() -> None:
    load_settings(Settings, dsn="postgresql://user:p%40ss-w0rd%2F@h/db")

    assert "p@ss-w0rd/" not in redact_text("the driver says p@ss-w0rd/ is wrong")
    assert "p%40ss" not in redact_text("the driver says p%40ss-w0rd%2F is wrong")


@pytest.mark.parametrize(
    ("name", "text"), [("APP_NESTED", json.dumps({"password": CANARY})[:-1]), ("APP_MANY", f'["{CANARY}"')]
)
def test_a_text_that_should_have_been_json_is_masked_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigError):
        load_settings(Settings)

    assert CANARY not in redact_text(f"the parser stopped in {text}")


@pytest.mark.parametrize(
    "default",
    [SecretStr(CANARY), SecretStr(f"mysql://u:{CANARY}@h"), PostgresDsn(f"postgresql://u:{CANARY}@h/db")],
    ids=["text", "url in a secret", "url"],
)
def test_a_secret_default_is_masked_too(default: Any) -> None:
    class Defaulted(BaseSettings):
        hidden_here: Any = default

    load_settings(Defaulted)

    assert CANARY not in redact_text(f"we saw {CANARY}")


def test_a_secret_made_by_a_validator_is_masked_too() -> None:
    class Derived(BaseSettings):
        token: SecretStr

        @field_validator("token")
        @classmethod
        def derive(cls, value: SecretStr) -> SecretStr:
            return SecretStr(value.get_secret_value()[::-1] + "derived")

    load_settings(Derived, token="abcdefgh")

    assert "hgfedcbaderived" not in redact_text("hgfedcbaderived")


def test_a_secret_that_lost_to_another_place_is_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("app.toml").write_text(f'token = "{CANARY}"\n')
    monkeypatch.setenv("APP_TOKEN", "the-winner")

    load_settings(Settings)

    assert CANARY not in redact_text(CANARY)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("APP_TOKEN", CANARY),
        ("APP_NESTED", json.dumps({"password": CANARY})),
        ("APP_NESTED__PASSWORD", CANARY),
        ("APP_DSN", f"postgresql://u:{CANARY}@"),
        ("APP_TEXT_URL", f"postgresql://u:{CANARY}@h"),
    ],
)
def test_a_secret_is_masked_even_when_the_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    class Wrong(Settings):
        missing: int

    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigError) as caught:
        load_settings(Wrong)

    assert CANARY not in f"{caught.value} {caught.value.to_dict()}"
    assert CANARY not in redact_text(f"we saw {CANARY} {text}")


def test_a_short_text_under_a_telling_name_does_not_eat_the_log() -> None:
    load_settings(Settings, password="on")

    assert redact_text("the light is on") == "the light is on"


class Store(BaseModel):
    name: str
    bucket: str = Field("flights", alias="bucketName")
    retries: int = 1
    key: SecretStr


class Keyed(BaseModel):
    kind: Literal["keyed"]
    key: SecretStr


class Open(BaseModel):
    kind: Literal["open"]
    region: str


class Stores(BaseSettings):
    stores: list[Store] = []
    by_name: dict[str, Store] = {}
    source: Annotated[Keyed | Open, Field(discriminator="kind")] = Open(kind="open", region="eu")
    logins: dict[str, SecretStr] = {}
    whole: Secret[dict[str, str]] = Secret({})


def test_what_stands_beside_a_secret_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    store = '{"name": "north", "bucketName": "orders", "retries": 1, "key": "key-of-store-1"}'
    monkeypatch.setenv("APP_STORES", f"[{store}]")
    monkeypatch.setenv("APP_BY_NAME", f'{{"south": {store.replace("store-1", "store-2")}}}')
    monkeypatch.setenv("APP_SOURCE", '{"kind": "keyed", "key": "key-of-source"}')
    monkeypatch.setenv("APP_LOGINS", '{"github": "key-of-github"}')
    load_settings(Stores)

    assert (
        redact_text("orders name north kind keyed south github page 1")
        == "orders name north kind keyed south github page 1"
    )
    assert redact_text("key-of-store-1 key-of-store-2 key-of-source key-of-github") == "*** *** *** ***"


def test_a_secret_in_a_refused_part_is_registered_under_a_wrong_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_STORES", '[{"name": "north", "kye": "key-of-store-3"}]')
    with pytest.raises(ConfigError):
        load_settings(Stores, whole={"key-of-whole": ["x"]})

    assert redact_text("north key-of-store-3 key-of-whole") == "north *** ***"
