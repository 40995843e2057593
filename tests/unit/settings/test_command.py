"""``controlroom settings``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlroom.cli import main

CANARY = "c4n4ry-Value-0x7f"
MODULE = """
from pydantic import Field, SecretStr
from controlroom import BaseSettings, job

class Settings(BaseSettings):
    '''What it needs.'''
    api_token: SecretStr
    size: int = Field(100, ge=1)

class Group:
    Inner = Settings

@job(settings=Settings, prefix="MY_", files=["my.toml"])
def ingest(run):
    raise AssertionError("a check ran the job")

@job
def bare(run): ...

number = 3
"""


@pytest.fixture(autouse=True)
def wanted(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    Path("wanted.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.startswith(("wanted", "broken", "package_of_ours"))]:
        del sys.modules[name]


def test_good_settings_are_counted_and_the_job_is_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "check", "wanted:Settings", "--set", f"api_token={CANARY}"]) == 0
    assert capsys.readouterr().out == "wanted:Settings: 2 settings, all good.\n"
    assert main(["settings", "check", "wanted:ingest", "--set", f"api_token={CANARY}"]) == 0
    assert main(["settings", "check", "wanted:Group.Inner", "--set", f"api_token={CANARY}"]) == 0


def test_bad_settings_are_78_with_every_problem_and_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "check", "wanted:Settings", "--prefix", "X_", "--set", f"size={CANARY}"]) == 78

    streams = capsys.readouterr()
    assert streams.out == ""
    assert "X_API_TOKEN" in streams.err
    assert "size is wrong" in streams.err
    assert CANARY not in streams.err


def test_a_job_brings_its_own_prefix_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "check", "wanted:ingest"]) == 78
    assert "Set MY_API_TOKEN, or put api_token in my.toml." in capsys.readouterr().err

    Path("my.toml").write_text(f'api_token = "{CANARY}"')
    Path("my.prod.toml").write_text("size = 0")
    assert main(["settings", "check", "wanted:ingest"]) == 0
    assert main(["settings", "check", "wanted:ingest", "--profile", "prod"]) == 78


def test_a_job_can_be_checked_against_the_secrets_of_another_host(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "staging").mkdir()
    (here / "staging" / "x_api_token").write_text(CANARY)
    Path("other.toml").write_text("size = 7")
    options = ["--secrets-dir", "staging", "--prefix", "X_", "--file", "other.toml"]

    assert main(["settings", "check", "wanted:ingest", *options]) == 0
    assert main(["settings", "explain", "wanted:ingest", *options]) == 0
    told = capsys.readouterr().out
    assert "staging/x_api_token" in told
    assert "other.toml:1" in told
    assert main(["settings", "check", "wanted:ingest"]) == 78


def test_the_options_reach_the_loader(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_text('{"size": 1}')
    Path("b.toml").write_text("api_tokn = 2\nsize = 2\n")
    Path("b.prod.toml").write_text("")
    (here / "s").mkdir()
    (here / "s" / "x_api_token").write_text(CANARY)
    options = ["--prefix", "X_", "--file", "a.json", "--file", "b.toml", "--profile", "prod", "--secrets-dir", "s"]

    assert main(["settings", "explain", "wanted:Settings", *options]) == 0
    told = capsys.readouterr().out
    assert main(["settings", "explain", "wanted:Settings", *options, "--markdown"]) == 0
    assert main(["settings", "check", "wanted:Settings", *options, "--unknown", "error"]) == 78
    streams = capsys.readouterr()

    assert "b.toml:2" in told
    assert "s/x_api_token" in told
    assert streams.out.startswith("| name | value |")
    assert "- api_tokn is set (b.toml:1); did you mean api_token?" in streams.err
    assert CANARY not in told + streams.out + streams.err


def test_json_says_the_same_for_a_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "check", "wanted:Settings", "--json"]) == 78
    refused = json.loads(capsys.readouterr().out)
    assert main(["settings", "check", "wanted:Settings", "--json", "--set", "api_token=x"]) == 0
    good = json.loads(capsys.readouterr().out)
    assert main(["settings", "explain", "wanted:Settings", "--json", "--set", "api_token=x"]) == 0
    explained = json.loads(capsys.readouterr().out)

    assert refused["ok"] is False
    assert refused["problems"] == ["api_token is missing. Set APP_API_TOKEN, or put api_token in app.toml."]
    assert good == {"target": "wanted:Settings", "ok": True, "settings": 2, "warnings": [], "problems": []}
    assert [row["name"] for row in explained["settings"]] == ["api_token", "size"]


def test_a_typo_is_a_warning_beside_good_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APP_SISE", "3")

    assert main(["settings", "check", "wanted:Settings", "--set", "api_token=x"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "warning: APP_SISE is set; did you mean APP_SIZE?"


def test_the_reference_needs_no_settings_and_gives_a_page_or_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "reference", "wanted:Settings", "--prefix", "X_"]) == 0
    page = capsys.readouterr().out
    assert main(["settings", "reference", "wanted:ingest", "--prefix", "MY_", "--env"]) == 0
    example = capsys.readouterr().out

    assert page.startswith("# Settings\n\nWhat it needs.\n\n")
    assert "`X_SIZE`" in page
    assert "# MY_SIZE=100" in example


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "ACTION"),
        (["check"], "MODULE:NAME"),
        (["check", "wanted"], "MODULE:NAME"),
        (["check", "nowhere.at_all:Settings"], "there is no module nowhere.at_all"),
        (["check", "wanted.deeper:Settings"], "there is no module wanted.deeper"),
        (["check", "wanted:Nothing"], "there is no Nothing in wanted"),
        (["check", "wanted:number"], "neither a subclass of BaseSettings nor a job"),
        (["check", "wanted:bare"], "neither a subclass of BaseSettings nor a job"),
        (["check", "wanted:Settings", "--file", "none.toml"], "there is no file none.toml"),
        (["check", "wanted:Settings", "--set", f"=={CANARY}"], "NAME=VALUE"),
        (["check", "wanted:Settings", f"--{CANARY}"], "there is no option"),
        (["explain", "wanted:Settings", "--unknown", "what"], "--unknown"),
    ],
    ids=str,
)
def test_wrong_usage_is_64_and_says_what_was_wrong(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["settings", *argv])

    streams = capsys.readouterr()
    assert left.value.code == 64
    assert said in streams.err
    assert f"=={CANARY}" not in streams.err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (f"raise ValueError('{CANARY}')", "ValueError at "),
        ("raise SystemExit(3)", "SystemExit at "),
        ("import no_such_dependency", "there is no module no_such_dependency, which it imports"),
        ("import wanted.deeper", "there is no module wanted.deeper, which it imports"),
    ],
)
def test_a_module_that_cannot_be_imported_is_78_and_is_not_quoted(
    source: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.py").write_text(source)

    assert main(["settings", "check", "broken:Settings"]) == 78
    told = capsys.readouterr().err
    assert f"broken cannot be imported: {said}" in told
    assert CANARY not in told


def test_settings_that_a_module_loads_when_it_is_imported_report_for_themselves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("broken.py").write_text("import controlroom, wanted\ncontrolroom.load_settings(wanted.Settings)")

    assert main(["settings", "check", "broken:Settings"]) == 78
    assert "APP_API_TOKEN" in capsys.readouterr().err


def test_help_lists_it_and_neither_help_nor_the_doctor_pays_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "settings" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main(["settings", "check", "--help"])
    assert left.value.code == 0
    assert "--secrets-dir" in capsys.readouterr().out
