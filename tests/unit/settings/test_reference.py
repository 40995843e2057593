"""The page of a settings class, and its example ``.env``."""

from __future__ import annotations

import itertools
import subprocess
import sys
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, BaseModel, Field, HttpUrl, PostgresDsn, Secret, SecretStr

from controlroom.settings import BaseSettings, explain_settings, load_settings, settings_reference

COUNTER = itertools.count()
CANARY = "c4n4ry-Value-0x7f"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Db(BaseModel):
    url: str = "sqlite://"
    pool: int = Field(3, ge=1, description="Connections | at most.")
    password: SecretStr | None = None


class Spare(BaseModel):
    host: str
    port: int = 5432


class Settings(BaseSettings):
    """What the ingest needs.

    Twice a day.
    """

    api_url: HttpUrl = Field(description="Where the\norders are.")
    api_token: SecretStr
    size: Annotated[int, Field(ge=1, lt=1000)] = 100
    ratio: float | None = None
    code: str = Field("ab'c", pattern="^[a|b]", max_length=9)
    note: str = 'two\nlines and "quotes" \\ and a $sign'
    tags: list[str] = ["a b", "it's"]
    groups: set[str] = {"x", "y", "z"}
    colour: Colour = Colour.BLUE
    mode: Literal["full", 1] = "full"
    wait: timedelta = timedelta(seconds=5)
    on: bool = True
    db: Db = Db(pool=7)
    spare: Spare | None = None
    made: list[int] = Field(default_factory=lambda: [next(COUNTER)])
    empty: dict[str, int] = Field(default_factory=dict)
    renamed: str = Field("", validation_alias=AliasChoices("DATABASE", "db_name"))


class Secretive(BaseSettings):
    token: SecretStr = SecretStr(CANARY)
    password: str = CANARY
    dsn: PostgresDsn = PostgresDsn(f"postgresql://u:{CANARY}@h/db")
    text: str = f"mysql://u:{CANARY}@h/db"
    many: dict[str, Secret[str]] = {"a": Secret(CANARY)}
    deep: list[dict[str, str]] = [{"api_key": CANARY}]
    anything: Any = SecretStr(CANARY)


def cells() -> dict[str, list[str]]:
    lines = settings_reference(Settings, prefix="MY_").to_markdown().replace("\\|", "¦").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in table}


def test_the_page_names_variable_type_limits_default_and_meaning() -> None:
    page = settings_reference(Settings).to_markdown()
    found = cells()

    assert page.startswith("# Settings\n\nWhat the ingest needs.\n\nTwice a day.\n\n| name | variable |")
    assert found["api_url"] == ["`MY_API_URL`", "HttpUrl", "required", "Where the orders are."]
    assert found["api_token"] == ["`MY_API_TOKEN`", "secret text", "required", ""]
    assert found["size"][1:3] == ["int, at least 1, less than 1000", "`100`"]
    assert found["ratio"][1:3] == ["float", "empty"]
    assert found["code"][1] == "str, at most 9 long, matching ^[a¦b]"
    assert found["tags"][1:3] == ["list[str] as JSON", '`["a b", "it\'s"]`']
    assert found["colour"][1:3] == ['"red" or "blue"', "`blue`"]
    assert found["mode"][1] == '"full" or 1'
    assert found["db.pool"] == ["`MY_DB__POOL`", "int, at least 1", "`7`", "Connections ¦ at most."]
    assert found["spare.host"][2] == "required if spare is set"
    assert found["made"][2] == "worked out when loaded"
    assert found["renamed"][0] == "`DATABASE`, `DB_NAME`"


def test_no_secret_default_is_shown() -> None:
    reference = settings_reference(Secretive)

    assert CANARY not in f"{reference} {reference!r} {reference.to_dotenv()}"
    assert {row.remark for row in reference.rows} == {"hidden"}


def test_an_empty_default_is_no_secret() -> None:
    class Many(BaseSettings):
        tokens: list[SecretStr] = []
        passwords: dict[str, str] = {}

    reference = settings_reference(Many)

    assert [(row.default, row.remark) for row in reference.rows] == [("[]", ""), ("{}", "")]
    assert [row.value for row in explain_settings(Many()).rows] == ["[]", "{}"]
    assert [row.value for row in explain_settings(Many(tokens=["x"], passwords={"a": "x"})).rows] == ["***", "***"]


def test_the_same_class_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    Path("declared.py").write_text(
        "from controlroom import BaseSettings\n"
        "class Settings(BaseSettings):\n    groups: set[str] = {'a', 'b', 'c', 'd'}\n"
    )
    code = "from declared import Settings; from controlroom.settings import settings_reference as r; print(r(Settings))"
    texts = {
        subprocess.check_output([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)})
        for seed in ("1", "2", "3")
    }

    assert len(texts) == 1


def test_the_example_filled_in_loads_and_its_comments_say_the_defaults() -> None:
    example = settings_reference(Settings).to_dotenv()
    filled = example.replace("APP_API_URL=", "APP_API_URL=https://x.test").replace("APP_API_TOKEN=", "APP_API_TOKEN=t")
    Path(".env").write_text(filled)
    as_it_is = load_settings(Settings)
    told = {row.name for row in settings_reference(Settings).rows if row.default and not row.name.startswith("spare")}
    uncommented = [
        line.removeprefix("# ") if line.startswith(("# APP_", "# DATABASE")) and name in told else line
        for name, line in named(filled.splitlines())
    ]
    Path(".env").write_text("\n".join(uncommented))
    spelled_out = load_settings(Settings)

    assert spelled_out.model_dump(exclude={"made"}) == as_it_is.model_dump(exclude={"made"})
    assert spelled_out.model_fields_set >= told - {"db.url", "db.pool"}


def named(lines: list[str]) -> list[tuple[str, str]]:
    name = ""
    found = []
    for line in lines:
        if line.startswith("# ") and ":" in line and "=" not in line.split(":")[0]:
            name = line[2:].partition(":")[0]
        found.append((name, line))
    return found


def test_both_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    reference = settings_reference(Settings)

    reference.write(tmp_path / "settings.md", tmp_path / ".env.example")
    reference.write(tmp_path / "alone.md")

    assert (tmp_path / "settings.md").read_text() == (tmp_path / "alone.md").read_text() == str(reference)
    assert (tmp_path / ".env.example").read_text() == reference.to_dotenv()


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (dict[str, list[int]], "dict[str, list[int]] as JSON"),
        (tuple[int, ...], "tuple[int, …] as JSON"),
        (str | int | None, "str or int"),
        (Secret[int], "secret int"),
        (list[SecretStr], "list[secret text] as JSON"),
        (Annotated[Path, Field()] | None, "Path"),
        (Db | Spare, "Db or Spare as JSON"),
        (Any, "Any"),
    ],
)
def test_a_type_is_written_as_its_reader_needs_it(annotation: Any, text: str) -> None:
    model = type("One", (BaseSettings,), {"__annotations__": {"one": annotation}, "__module__": __name__})

    assert settings_reference(model).rows[0].type == text
