"""`controlroom generate-client`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import controlroom.cli
from tests.unit.generate.documents import NUMBER, PET, document, listed, operation, query

DOCUMENT = document({"/pets": operation(listed(PET), query("limit", NUMBER))})


@pytest.fixture
def given(tmp_path: Path) -> str:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    return str(path)


def run(*arguments: str | Path) -> int:
    return controlroom.cli.main(["generate-client", *map(str, arguments)])


def test_it_writes_a_module_and_says_what_is_in_it(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(given, "-o", tmp_path / "client.py", "--class-name", "Zoo", "--base-url", "https://zoo.example") == 0

    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'client.py'}: Zoo with 1 endpoints and 1 models and aliases.\n"
    assert told.err.startswith('controlroom: undecided: pets: takes "limit"')
    assert "class Zoo(ApiClient):" in (tmp_path / "client.py").read_text(encoding="utf-8")


def test_it_reads_stdin_and_writes_stdout(
    given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path(given).read_bytes())))

    assert run("-", "--async") == 0
    assert "class PetStore(AsyncApiClient):" in capsys.readouterr().out


def test_it_writes_where_a_notebook_has_its_stdout(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)

    assert run(given) == 0
    assert "class PetStore(ApiClient):" in stdout.getvalue()


def test_it_replaces_what_it_generated_and_nothing_else(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "client.py"

    assert run(given, "-o", target) == 0
    assert run(given, "-o", target, "--class-name", "Zoo") == 0
    generated = target.read_text(encoding="utf-8")
    target.write_text(f"{generated}# my own\n", encoding="utf-8")

    assert run(given, "-o", target) == 78
    assert "was edited since; it is as it was" in capsys.readouterr().err
    assert target.read_text(encoding="utf-8") == f"{generated}# my own\n"
    assert run(given, "-o", target, "--force", "--class-name", "Zoo") == 0
    assert target.read_text(encoding="utf-8") == generated


@pytest.mark.parametrize("content", [b"", b"import this\n", b"\xff\xfe"])
def test_a_file_of_another_kind_is_left_alone(given: str, tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "client.py"
    target.write_bytes(content)

    assert run(given, "-o", target) == 78
    assert target.read_bytes() == content


@pytest.mark.parametrize("name", ["missing.json", ".", "null\0byte"])
def test_a_document_that_cannot_be_read_is_a_configuration_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name) == 78
    assert "cannot be read" in capsys.readouterr().err


def test_what_is_no_document_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text("{}", encoding="utf-8")

    assert run(tmp_path / "openapi.json", "-o", tmp_path / "client.py") == 65
    assert not (tmp_path / "client.py").exists()


def test_a_folder_that_is_not_there_is_told(given: str, tmp_path: Path) -> None:
    assert run(given, "-o", tmp_path / "absent" / "client.py") == 74
