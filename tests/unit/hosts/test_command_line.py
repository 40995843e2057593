"""What can be told without a process of its own; tests/integration/test_command_line.py tells the rest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlroom.errors import DataError
from controlroom.jobs import Run, job
from controlroom.redaction import forget_secrets
from controlroom.settings import BaseSettings


class Settings(BaseSettings):
    count: int = 3
    names: list[str] = []


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    forget_secrets()


seen: list[object] = []


@job(settings=Settings, files=["app.toml"])
def ingest(run: Run[Settings]) -> None:
    seen.append(run.settings)
    if run.settings.count == 13:
        raise DataError("bad luck")


def code_of(*argv: str) -> object:
    with pytest.raises(SystemExit) as left:
        ingest.main(argv)
    return left.value.code


def test_options_reach_the_job() -> None:
    Path("app.prod.toml").write_text("count = 7\n")

    assert code_of("--profile", "prod", "--set", 'names=["a=b", "c"]', "--log-level", "error") == 0
    assert seen[-1] == Settings(count=7, names=["a=b", "c"])


def test_the_last_assignment_of_a_name_wins() -> None:
    assert code_of("--set", "count=1", "--set", "count=2") == 0
    assert seen[-1] == Settings(count=2)


def test_the_code_is_that_of_the_error() -> None:
    assert code_of("--set", "count=13") == 65


@pytest.mark.parametrize("argv", [["--set", "count"], ["--deadline", "0"], ["--deadline", "nan"], ["now"]])
def test_wrong_usage_never_reaches_the_job(argv: list[str]) -> None:
    before = len(seen)

    assert code_of(*argv) == 64
    assert len(seen) == before


def test_logging_is_as_it_was_afterwards() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))

    code_of("--log-level", "debug", "--log-file", "x.jsonl")

    assert (root.level, list(root.handlers)) == before


def test_another_thread_than_the_main_one_is_refused() -> None:
    refusals: list[str] = []

    def use() -> None:
        try:
            ingest.main([])
        except RuntimeError as error:
            refusals.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert refusals == [
        "ingest.main() handles signals, which only the main thread can; call ingest.run() instead",
    ]
