from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import AnyUrl, BaseModel, Field, PostgresDsn, SecretBytes, SecretStr

from controlroom.settings import BaseSettings, SettingExplained, explain_settings, load_settings
from controlroom.settings.fingerprints import mask_of

CANARY = "c4n4ry-Value-0x7f"


class Db(BaseModel):
    url: str = "sqlite://"
    pool: int = 3


class Settings(BaseSettings):
    api_url: AnyUrl = AnyUrl("https://example.com/")
    api_token: SecretStr = SecretStr("")
    page_size: int = 100
    limits: dict[str, int] = {}
    db: Db = Db()
    spare: Db | None = None


def rows(settings: BaseSettings) -> dict[str, SettingExplained]:
    return {row.name: row for row in explain_settings(settings).rows}


def test_a_row_names_the_source_the_exact_key_and_the_losers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("App_Page_Size", "7")
    Path(".env").write_text("\n# x\nexport APP_PAGE_SIZE=8\n")
    Path("app.toml").write_text("page_size = 9\n")
    (here / "APP_API_TOKEN").write_text(CANARY)

    found = rows(load_settings(Settings, secrets_dir=here))

    assert found["page_size"] == SettingExplained(
        "page_size", "7", "environment", "App_Page_Size", ("APP_PAGE_SIZE (.env:3)", "page_size (app.toml:1)")
    )
    assert found["api_token"] == SettingExplained(
        "api_token", mask_of(CANARY), "secrets directory", str(here / "APP_API_TOKEN"), ()
    )
    assert found["db.pool"] == SettingExplained("db.pool", "3", "default", "", ())


def test_a_leaf_set_by_json_in_the_variable_of_its_parent_names_that_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DB", '{"url": "sqlite:///x"}')
    monkeypatch.setenv("APP_DB__POOL", "5")

    found = rows(load_settings(Settings))

    assert (found["db.url"].key, found["db.pool"].key) == ("APP_DB", "APP_DB__POOL")


def test_a_dict_filled_from_two_places_names_both_and_shadows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LIMITS__CPU", "5")
    Path("app.toml").write_text("[limits]\nmem = 2\n")

    loaded = load_settings(Settings)

    assert loaded.limits == {"cpu": 5, "mem": 2}
    assert rows(loaded)["limits"] == SettingExplained(
        "limits", '{"mem": 2, "cpu": 5}', "environment + app.toml:1", "APP_LIMITS__CPU + limits", ()
    )


def test_the_table_is_aligned_and_every_setting_is_in_it() -> None:
    lines = str(explain_settings(load_settings(Settings, page_size=12345))).splitlines()

    assert [line.split()[0] for line in lines] == [
        "name",
        "api_url",
        "api_token",
        "page_size",
        "limits",
        "db.url",
        "db.pool",
        "spare",
    ]
    assert len({line.index(word) for line, word in zip(lines, ["value", "https", '""', "12345"], strict=False)}) == 1


def test_an_object_made_in_code_says_so() -> None:
    found = rows(Settings(page_size=3))

    assert (found["page_size"].source, found["limits"].source) == ("code", "default")


def test_a_copy_with_changes_does_not_claim_the_old_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_PAGE_SIZE", "7")
    monkeypatch.setenv("APP_DB__POOL", "7")

    found = rows(load_settings(Settings).model_copy(update={"page_size": 8}))

    assert (found["page_size"].value, found["page_size"].source) == ("8", "model_copy")
    assert found["db.pool"].source == "environment"


class Secretive(BaseSettings):
    token: SecretStr = SecretStr(CANARY)
    raw: SecretBytes = SecretBytes(CANARY.encode())
    password: str = f"{CANARY}-2"
    many: list[SecretStr] = [SecretStr(CANARY)]
    by_name: dict[str, SecretStr] = Field(default_factory=lambda: {"a": SecretStr(CANARY)})
    nested: dict[str, str] = Field(default_factory=lambda: {"api_key": f'"{CANARY}" \\{CANARY}-3'})
    dsn: PostgresDsn = PostgresDsn(f"postgresql://u:{CANARY}@h/db")
    text_dsn: str = f"postgresql://u:{CANARY}@h/db"
    none_token: SecretStr | None = None
    empty_token: SecretStr = SecretStr("")


def test_no_secret_is_in_the_table_nor_in_its_data() -> None:
    explanation = explain_settings(load_settings(Secretive))

    assert CANARY not in str(explanation)
    assert CANARY not in json.dumps(explanation.to_dict())
    assert CANARY not in repr(explanation)


def test_a_text_under_a_telling_name_is_hidden_though_nobody_registered_it() -> None:
    class Telling(BaseSettings):
        password: str = CANARY
        nested: dict[str, list[str]] = Field(default_factory=lambda: {"api_key": [CANARY]})

    assert "c4n4ry" not in str(explain_settings(load_settings(Telling)))


def test_a_text_is_hidden_where_only_what_it_stands_in_is_telling() -> None:
    class Api(BaseModel):
        key: str = CANARY
        url: str = "https://x.test"

    class Telling(BaseSettings):
        api: Api = Api()
        credentials: Api = Api()

    found = rows(load_settings(Telling))

    assert CANARY not in str(found)
    assert found["api.url"].value == found["credentials.url"].value == "https://x.test"


def test_no_secret_is_in_the_table_of_an_object_made_in_code() -> None:
    assert CANARY not in str(explain_settings(Secretive()))


def test_a_secret_that_is_missing_or_empty_is_seen_to_be() -> None:
    found = rows(load_settings(Secretive))

    assert (found["none_token"].value, found["empty_token"].value) == ("None", '""')
    assert found["token"].value.startswith("***")


def test_the_same_secret_has_the_same_fingerprint_in_another_process_and_another_one_has_not() -> None:
    found = rows(load_settings(Secretive))
    code = f"from controlroom.settings.fingerprints import mask_of; print(mask_of({CANARY!r}))"
    elsewhere = subprocess.check_output([sys.executable, "-c", code], text=True)

    assert found["token"].value == found["raw"].value == elsewhere.strip()
    assert re.fullmatch(r"\*\*\* \(length 17, fingerprint [0-9a-f]{6}\)", found["token"].value)
    assert found["password"].value != found["token"].value


@pytest.mark.parametrize("secret", ["x", "hunter2", "eleven-char"])
def test_of_a_secret_that_could_be_guessed_neither_length_nor_fingerprint_is_told(secret: str) -> None:
    class Weak(BaseSettings):
        token: SecretStr
        password: str

    found = rows(load_settings(Weak, token=secret, password=secret))

    assert (found["token"].value, found["password"].value) == ("***", "***")


def test_where_the_slow_hash_is_missing_the_length_is_told_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(hashlib, "scrypt")

    assert mask_of("a-secret-that-no-other-test-has") == "*** (length 31)"


def test_the_same_facts_come_as_json_and_as_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_API_URL", "https://example.com/a|b")
    monkeypatch.setenv("APP_PAGE_SISE", "7")

    explanation = explain_settings(load_settings(Settings, api_token=CANARY))
    page = explanation.to_markdown().splitlines()

    assert json.loads(explanation.to_json()) == explanation.to_dict()
    assert explanation.to_dict()["settings"][0]["source"] == "environment"
    assert page[0] == "| name | value | source | key | shadowed |"
    assert page[2] == r"| `api_url` | `https://example.com/a\|b` | `environment` | `APP_API_URL` |  |"
    assert page[-1] == "- APP_PAGE_SISE is set; did you mean APP_PAGE_SIZE?"
    assert CANARY not in explanation.to_json() + explanation.to_markdown()


def test_a_value_cannot_break_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class Texts(BaseSettings):
        note: str

    monkeypatch.setenv("APP_NOTE", "line\nnext\x1b[31m" + "x" * 200)

    (row,) = explain_settings(load_settings(Texts)).rows

    assert "\n" not in row.value
    assert "\x1b" not in row.value
    assert len(row.value) == 80
