"""pydantic-settings is the oracle for what wins; and no secret, wherever it stood, is told by anything."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pydantic_settings
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PostgresDsn, SecretBytes, SecretStr, ValidationError, field_validator

from controlroom.errors import ConfigError
from controlroom.logs import get_logger, setup_logging
from controlroom.redaction import forget_secrets
from controlroom.settings import BaseSettings, explain_settings, load_settings, override


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
    renamed: str = Field("", validation_alias="Short_Name")


class Ours(BaseSettings, Fields):
    pass


READERS = {
    "toml": pydantic_settings.TomlConfigSettingsSource,
    "json": pydantic_settings.JsonConfigSettingsSource,
    "yaml": pydantic_settings.YamlConfigSettingsSource,
}


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
        files = [
            reader(cls, f"{name}.{suffix}")
            for suffix, reader in reversed(READERS.items())
            for name in ("app.prod", "app")
        ]
        files.sort(key=lambda source: "prod" not in str(source))
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
    "Short_Name",
    "SHORT_NAME",
]
variables = st.dictionaries(st.sampled_from(VARIABLES), texts, max_size=4)
flat = st.dictionaries(st.sampled_from([name for name in VARIABLES if "__" not in name]), texts, max_size=3)
files = flat.filter(
    lambda by_name: len({name.lower() for name in by_name}) == len(by_name)
)  # two of one name are refused
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
        "Short_Name": words,
    },
)


@contextmanager
def places(
    environment: dict[str, str],
    dotenv: dict[str, str],
    secrets: dict[str, str],
    *files: dict[str, Any],
    suffixes: tuple[str, ...] = ("toml",),
) -> Iterator[None]:
    """Write everything where it belongs; *files* are, for each suffix, the profile's and the base."""
    before = Path.cwd()
    clean = {name: text for name, text in os.environ.items() if not name.upper().startswith("APP_")}
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {**clean, **environment}, clear=True):
        os.chdir(folder)
        try:
            Path(".env").write_text("".join(f"{name}='{text}'\n" for name, text in dotenv.items()), encoding="utf-8")
            Path("secrets").mkdir()
            for name, text in secrets.items():
                Path("secrets", name).write_text(text, encoding="utf-8")
            names = [(stem, suffix) for suffix in suffixes for stem in ("app.prod", "app")]
            for (stem, suffix), content in zip(names, files, strict=True):
                Path(f"{stem}.{suffix}").write_text(WRITERS[suffix](content), encoding="utf-8")
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


WRITERS = {"toml": as_toml, "json": json.dumps, "yaml": yaml.safe_dump}


@given(st.tuples(variables, variables, files, data, data, data, data, data, data), data)
def test_the_same_places_give_what_pydantic_settings_gives(content: tuple[Any, ...], given_: dict[str, Any]) -> None:
    with places(*content, suffixes=("toml", "json", "yaml")):
        try:
            expected = Oracle(**given_).model_dump()
        except ValidationError:
            expected = None
        except pydantic_settings.SettingsError:
            return  # the oracle stops at the first text that is not JSON, also where another place has the last word
        try:
            files = ["app.toml", "app.json", "app.yaml"]
            found = load_settings(Ours, files=files, secrets_dir="secrets", profile="prod", overrides=given_)
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


class Keeping(BaseSettings):
    """Every way to hold a secret, and ways to put one where none belongs."""

    token: SecretStr | None = None
    raw: SecretBytes | None = None
    password: str = ""
    dsn: PostgresDsn | None = None
    text_url: str = ""
    db: Db = Db()
    many: list[SecretStr] = []
    options: dict[str, dict[str, str]] = {}
    size: int = 1
    short: SecretStr | None = Field(None, max_length=40)
    same: str = ""


secrets = st.builds(
    "{}{}{}".format,
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), max_size=4),
    st.just(CANARY),
    st.text(st.sampled_from("\"'\\/%@:#?&+=$ é\u4e2dab12"), max_size=6),
).map(str.strip)


def holding(secret: str) -> dict[str, Any]:
    """Return, for each field, a value that holds *secret*."""
    url = f"postgresql://user:{quote(secret, safe='')}@host/db"
    whole = {"token": secret, "raw": secret, "password": secret, "short": secret, "same": secret, "dsn": url}
    parts = {"text_url": url, "db": {"password": secret, "url": url}, "many": [secret]}
    return {**whole, **parts, "options": {"deep": {"api_key": secret}}, "size": secret}


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("log") / "run.jsonl"
    report = setup_logging(file=path)
    yield path
    report.undo()


@given(
    secrets,
    st.sets(st.sampled_from(sorted(holding(""))), min_size=1, max_size=4),
    st.sampled_from(["environment", "secrets", "assignments", "toml", "json", "yaml", "keyword", "code", "override"]),
)
def test_no_secret_is_in_an_error_a_repr_a_log_or_a_pickle(
    log_file: Path, secret: str, names: set[str], place: str
) -> None:
    names |= (
        {"token"} if "same" in names else set()
    )  # a text that nobody calls a secret is one when a secret says it is
    values = {name: value for name, value in holding(secret).items() if name in names}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    variables_ = {f"APP_{name.upper()}": text for name, text in texts.items()}
    in_file = place if place in WRITERS else "toml"
    written = {"environment": {}, "secrets": {}} | ({place: variables_} if place in ("environment", "secrets") else {})
    content = values if place in WRITERS else {}
    log_file.write_text("")
    with places(written["environment"], {}, written["secrets"], {}, content, suffixes=(in_file,)):
        shown = [*told_of(place, values, texts, f"app.{in_file}"), log_file.read_text()]
    assert [text for text in shown if "c4n4ry" in text] == []


def told_of(place: str, values: dict[str, Any], texts: dict[str, str], file: str) -> Iterator[str]:
    """Yield everything that is told of the settings, once they are loaded or refused."""
    log = get_logger("test")
    try:
        with override(values) if place == "override" else nullcontext():
            found = (
                Keeping(**values)
                if place == "code"
                else load_settings(
                    Keeping,
                    files=file,
                    secrets_dir="secrets",
                    assignments=texts if place == "assignments" else {},
                    overrides=values if place == "keyword" else {},
                )
            )
    except ConfigError as error:
        log.failure("settings_refused", error)
        yield f"{error} {error!r} {json.dumps(error.to_dict())} {''.join(traceback.format_exception(error))}"
        yield pickle.dumps(error).decode("utf-8", "ignore")
    else:
        explanation = explain_settings(found)
        log.info("settings_seen", settings=explanation.to_dict(), text=repr(found), dumped=found.model_dump())
        yield f"{found} {found!r} {explanation} {explanation!r} {explanation.to_json()} {explanation.to_markdown()}"
        yield pickle.dumps(found).decode("utf-8", "ignore")
        yield repr(pickle.loads(pickle.dumps(found)))
