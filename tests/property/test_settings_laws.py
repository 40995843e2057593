"""pydantic-settings is the oracle: the same places, in the same order, give the same settings, or none."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pydantic_settings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator

from controlroom.errors import ConfigError
from controlroom.redaction import forget_secrets
from controlroom.settings import BaseSettings, explain_settings, load_settings


class Db(BaseModel):
    url: str = "sqlite://"
    pool: int = 3
    password: SecretStr | None = None


class Fields(BaseModel):
    size: int = Field(100, ge=1, le=1000)
    name: str
    tags: list[str] = []
    limits: dict[str, int] = {}
    db: Db = Db(url="default://", pool=7)
    spare: Db | None = None


class Ours(BaseSettings, Fields):
    pass


class Oracle(pydantic_settings.BaseSettings, Fields):
    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix="APP_",
        env_file=".env",
        env_nested_delimiter="__",
        extra="ignore",
        secrets_dir="secrets",
        nested_model_default_partial_update=True,
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: Any, init_settings: Any, env_settings: Any, dotenv_settings: Any, file_secret_settings: Any
    ) -> tuple[Any, ...]:
        files = [pydantic_settings.TomlConfigSettingsSource(cls, name) for name in ("app.prod.toml", "app.toml")]
        return (init_settings, env_settings, dotenv_settings, file_secret_settings, *files)


numbers = st.integers(-5, 1010)
words = st.sampled_from(["a", "b c", "", "x=y", "ü", "3", "[1]", "null"])
json_texts = st.one_of(
    st.lists(words, max_size=2).map(json.dumps),
    st.dictionaries(st.sampled_from(["cpu", "mem"]), numbers, max_size=2).map(json.dumps),
    st.fixed_dictionaries({}, optional={"url": words, "pool": numbers}).map(json.dumps),
)
texts = st.one_of(words, numbers.map(str), json_texts)
VARIABLES = [
    "APP_SIZE",
    "app_name",
    "APP_TAGS",
    "APP_LIMITS",
    "APP_LIMITS__CPU",
    "APP_DB",
    "APP_DB__URL",
    "App_Db__Pool",
    "APP_DB__PASSWORD",
    "APP_SPARE__POOL",
    "APP_OTHER",
]
variables = st.dictionaries(st.sampled_from(VARIABLES), texts, max_size=4)
flat = st.dictionaries(st.sampled_from([name for name in VARIABLES if "__" not in name]), texts, max_size=3)
nested = st.fixed_dictionaries({}, optional={"url": words, "pool": numbers, "password": words})
data = st.fixed_dictionaries(
    {},
    optional={
        "size": numbers,
        "name": words,
        "tags": st.lists(words, max_size=2),
        "limits": st.dictionaries(st.sampled_from(["cpu", "mem"]), numbers, max_size=2),
        "db": nested,
        "spare": nested,
    },
)


@contextmanager
def places(
    environment: dict[str, str], dotenv: dict[str, str], secrets: dict[str, str], *files: dict[str, Any]
) -> Iterator[None]:
    before = Path.cwd()
    clean = {name: text for name, text in os.environ.items() if not name.upper().startswith("APP_")}
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {**clean, **environment}, clear=True):
        os.chdir(folder)
        try:
            Path(".env").write_text("".join(f"{name}='{text}'\n" for name, text in dotenv.items()), encoding="utf-8")
            Path("secrets").mkdir()
            for name, text in secrets.items():
                Path("secrets", name).write_text(text, encoding="utf-8")
            for name, content in zip(["app.prod.toml", "app.toml"], files, strict=True):
                Path(name).write_text(as_toml(content), encoding="utf-8")
            yield
        finally:
            os.chdir(before)
            forget_secrets()


def as_toml(content: dict[str, Any]) -> str:
    inline = {key: json.dumps(value) for key, value in content.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    lines = [f"{key} = {value}" for key, value in inline.items()]
    for key, table in tables.items():
        lines += [f"[{key}]", *(f"{name} = {json.dumps(value)}" for name, value in table.items())]
    return "\n".join(lines)


@given(st.tuples(variables, variables, flat, data, data), data)
def test_the_same_places_give_what_pydantic_settings_gives(content: tuple[Any, ...], given_: dict[str, Any]) -> None:
    with places(*content):
        try:
            expected = Oracle(**given_).model_dump()
        except ValidationError:
            expected = None
        except pydantic_settings.SettingsError:
            return  # the oracle stops at the first text that is not JSON, also where another place has the last word
        try:
            found = load_settings(Ours, secrets_dir="secrets", profile="prod", overrides=given_)
        except ConfigError:
            assert expected is None
        else:
            assert expected == found.model_dump()
            assert len(explain_settings(found).rows) >= len(Fields.model_fields)


CANARY = "Zq7~c4n4ry"


class Refusing(BaseSettings):
    """Every way to refuse: types, bounds, patterns, and validators that quote what they were given."""

    size: int = Field(1, ge=1)
    word: str = Field("", pattern=r"^[a-z]*$")
    tags: list[int] = []
    limits: dict[int, int] = {}
    token: SecretStr = Field(SecretStr(""), max_length=3)
    quoted: str = ""
    missing: str

    @field_validator("quoted")
    @classmethod
    def refuse(cls, value: str) -> str:
        message = f"{value!r} is refused, {value.upper()} too, and {value[2:]} as well"
        raise ValueError(message)


@given(
    st.dictionaries(
        st.sampled_from(["APP_SIZE", "APP_WORD", "APP_TAGS", "APP_LIMITS", "APP_TOKEN", "APP_QUOTED", "APP_MISING"]),
        st.sampled_from(
            [CANARY, f'["{CANARY}"]', f'{{"{CANARY}": "{CANARY}"}}', f"{{{CANARY}", f'"{CANARY}', f"{CANARY}'\\"]
        ),
    ),
    st.sampled_from(["environment", "dotenv", "secrets", "assignments", "toml"]),
)
def test_what_was_given_is_in_no_error(values: dict[str, str], place: str) -> None:
    names = {name.removeprefix("APP_").lower(): text for name, text in values.items()}
    in_place = {name: values if name == place else {} for name in ("environment", "dotenv", "secrets")}
    in_place["dotenv"] = {name: text.replace("\\", "").replace("'", "") for name, text in in_place["dotenv"].items()}
    with places(*in_place.values(), {}, names if place == "toml" else {}):
        assignments = {name: text for name, text in names.items() if name != "mising"} if place == "assignments" else {}
        try:
            load_settings(Refusing, secrets_dir="secrets", assignments=assignments)
        except ConfigError as error:
            shown = f"{error} {error!r} {json.dumps(error.to_dict())}".lower()
            assert "c4n4ry" not in shown
        else:
            raise AssertionError
