"""Files of settings in each format: what they say, on which line, and what is wrong with them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

import controlroom.settings
from controlroom.errors import ConfigError
from controlroom.settings import BaseSettings, explain_settings, load_settings

CANARY = "c4n4ry-Value-0x7f"


class Db(BaseModel):
    url: str = "sqlite://"
    pool: int = 3


class Settings(BaseSettings):
    size: int = 100
    name: str = ""
    tags: list[str] = []
    limits: dict[str, int] = {}
    token: SecretStr = SecretStr("")
    db: Db = Db()


TOML = """
size = 7
tags = ["a", "b"]

[limits]
cpu = 2

[db]
url = "sqlite:///x"
"""
JSON = """{
  "size": 7,
  "tags": ["a",
           "b"],
  "limits": {"cpu": 2},
  "db": {
    "url": "sqlite:///x"
  }
}"""
YAML = """
size: 7
tags: [a, b]
limits:
  cpu: 2
db:
  # a comment
  url: sqlite:///x
"""


def written(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def problems(name: str, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_settings(Settings, files=[written(name, text)])
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None
    return caught.value.problems


@pytest.mark.parametrize(
    ("name", "text", "line"), [("a.toml", TOML, 9), ("a.json", JSON, 7), ("a.yaml", YAML, 8), ("a.YML", YAML, 8)]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_the_same_settings_come_out_of_every_format_each_with_its_line(
    name: str, text: str, line: int, mark: str
) -> None:
    loaded = load_settings(Settings, files=written(name, mark + text))
    rows = {row.name: row for row in explain_settings(loaded).rows}

    assert loaded == Settings(size=7, tags=["a", "b"], limits={"cpu": 2}, db=Db(url="sqlite:///x"))
    assert (rows["db.url"].source, rows["db.url"].key) == (f"{name}:{line}", "db.url")
    assert rows["size"].source == f"{name}:2"


@pytest.mark.parametrize("suffix", ["toml", "json", "yaml"])
def test_a_profile_is_a_file_of_the_same_format_beside_it(suffix: str) -> None:
    text = {"toml": "size = {}", "json": '{{"size": {}}}', "yaml": "size: {}"}[suffix]
    written(f"app.{suffix}", text.format(1))
    written(f"app.prod.{suffix}", text.format(2))

    assert load_settings(Settings, files=f"app.{suffix}", profile="prod").size == 2


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.json", '{"size": 1,\n "size" 2}', "a.json:2:9 is not JSON. Expecting ':' delimiter."),
        ("a.json", f'{{"token": "{CANARY}\n"}}', "a.json:1:29 is not JSON. Invalid control character at."),
        ("a.json", '{"size": 1, // no\n}', "a.json:1:13 is not JSON."),
        ("a.json", "", "a.json:1:1 is not JSON. Expecting value."),
        ("a.json", "[1]", "a.json:1:1 is not JSON. It holds no object."),
        ("a.json", '{"size": NaN}', "a.json:1:10 is not JSON. No number that can be read."),
        ("a.json", '{"tags": ["NaN"],\n "size": -Infinity}', "a.json:2:10 is not JSON. No number that can be read."),
        ("a.json", f'{{"size": {"1" * 5000}}}', "a.json:1:10 is not JSON. No number that can be read."),
        ("a.toml", f"size = {'1' * 5000}", "a.toml holds a number that cannot be read."),
        ("a.json", '{"tags": ' + "[" * 100_000, "a.json is nested too deeply."),
        ("a.json", f'{{"tags": {"[" * 200}{"]" * 200}}}', "a.json is nested too deeply."),
        ("a.toml", f"tags = {'[' * 200}{']' * 200}", "a.toml is nested too deeply."),
        ("a.yaml", f"tags: {'[' * 100}{']' * 100}", "a.yaml is nested too deeply."),
        ("a.yaml", "tags: " + "[" * 600, "a.yaml is nested too deeply."),
        ("a.yaml", "size: 1\n\ttoken: x\n", "a.yaml:2:1 is not YAML. Found character … that cannot start any token."),
        ("a.yaml", "db:\n  url: x\n pool: 3\n", "a.yaml:3:2 is not YAML."),
        ("a.yaml", f"token: *{CANARY}\n", "a.yaml:1:8 is not YAML. Found undefined alias …."),
        ("a.yaml", "- size\n", "a.yaml:1:1 is not YAML. It holds no mapping of names to values."),
        ("a.yaml", "size: 1\n---\nsize: 2\n", "a.yaml:2:1 is not YAML."),
        ("a.yaml", "size: 2026-99-99\n", "a.yaml:1:7 is not YAML. Not what its tag says."),
        ("a.yaml", f"size: !!timestamp {CANARY}\n", "a.yaml:1:7 is not YAML. Not what its tag says."),
        ("a.yaml", "? [a]\n: 1\n", "a.yaml:1:3 is not YAML. A key has to be a text."),
        ("a.yaml", "size: \x01\n", "a.yaml:1:7 is not YAML. There is a character that YAML does not allow."),
        ("a.yaml", "db: &a\n  url: *a\n", "a.yaml:1:5 is not YAML. It contains itself."),
        ("a.yaml", f"token: !!python/object/apply:os.system ['{CANARY}']\n", "a.yaml:1:8 is not YAML."),
    ],
)  # fmt: skip
def test_a_broken_file_says_line_and_column_and_quotes_nothing(name: str, text: str, where: str) -> None:
    (problem,) = problems(name, text)

    assert problem.startswith(where)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", '{\n"size": 1,\n"size": 2}', "a.json:3 repeats a key of line 2; the two cannot both hold."),
        ("a.json", '{"tags": [{"a": 1, "a": 2}]}', "a.json:1 repeats a key of line 1; the two cannot both hold."),
        ("a.yaml", "size: 1\nsize: 2\n", "a.yaml:2 repeats a key of line 1; the two cannot both hold."),
        ("a.yaml", "db:\n  url: a\n  url: b\n", "a.yaml:3 repeats a key of line 2; the two cannot both hold."),
    ],
)
def test_a_key_that_stands_twice_is_a_problem_and_not_won_by_the_last(name: str, text: str, expected: str) -> None:
    assert expected in problems(name, text)


def test_json_in_a_text_and_escaped_keys_do_not_confuse_the_lines() -> None:
    name = written("a.json", json.dumps({"name": '{"size": 1, "a": [', "t\u00e4g\n": [{}, []], "size": 3}, indent=1))

    rows = {row.name: row for row in explain_settings(load_settings(Settings, files=name)).rows}

    assert rows["size"].source == "a.json:7"


def test_yaml_is_read_without_surprises() -> None:
    text = "name: 'no'\nlimits: {on: 1, 1: 2, null: 3}\ndefaults: &d\n  pool: 9\n  url: x\ndb:\n  <<: *d\n  url: y\n"

    loaded = load_settings(Settings, files=written("a.yaml", text))

    assert loaded.limits == {"on": 1, "1": 2, "null": 3}
    assert loaded.db == Db(url="y", pool=9)
    assert load_settings(Settings, files=written("b.yaml", "# nothing\n")) == Settings()


def test_a_few_lines_of_yaml_that_stand_for_billions_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    (problem,) = problems("a.yaml", "\n".join(lines))

    assert problem.endswith("is not YAML. It is too large once its aliases are expanded.")


def test_without_pyyaml_the_extra_is_named_where_there_is_a_yaml_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "controlroom.settings.yaml_file", raising=False)
    monkeypatch.delattr(controlroom.settings, "yaml_file", raising=False)

    assert load_settings(Settings, files=["absent.yaml"]) == Settings()
    assert "controlroom[yaml]" in problems("app.yaml", "size: 1")[0]


def test_an_unreadable_file_is_not_called_absent() -> None:
    Path("app.toml").write_bytes(b"\xff")

    with pytest.raises(ConfigError, match=r"app\.toml \(unreadable\)"):
        load_settings(Settings)


def test_the_key_is_told_as_the_file_spells_it() -> None:
    class Aliased(BaseSettings):
        url: Any = None
        model_config = {"validate_by_name": True}

    rows = explain_settings(load_settings(Aliased, files=written("a.json", '{"URL": 1}'))).rows

    assert (rows[0].source, rows[0].key) == ("a.json:1", "URL")
