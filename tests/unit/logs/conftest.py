"""Each test sets logging up for itself and leaves the process as it was."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.logs import setup_logging
from controlroom.logs.ci import provider_of
from controlroom.redaction import forget_secrets

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def process_restored() -> Iterator[None]:
    """Fail the test that leaves handlers, levels or the display of warnings other than it found them."""
    before = _state()
    try:
        yield
        assert _state() == before
    finally:
        forget_secrets()


@pytest.fixture(autouse=True)
def nobody_started_it() -> Iterator[None]:
    """Hosts are played by the tests: the CI system, or the cron, that runs these is none of them."""
    with pytest.MonkeyPatch.context() as patched:  # the fixture of that name would alarm Hypothesis
        while (provider := provider_of(os.environ)) is not None:
            patched.delenv(provider.sign)
        patched.setattr("controlroom.logs.surroundings.schedule_of", lambda _environ: None)
        yield


def _state() -> Any:
    root = logging.getLogger()
    return [handler for handler in root.handlers if not _is_pytests(handler)], root.level, warnings.showwarning


def _is_pytests(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("_pytest.")


def _take_away() -> list[logging.Handler]:
    root = logging.getLogger()
    taken = [handler for handler in root.handlers if _is_pytests(handler)]
    for handler in taken:
        root.removeHandler(handler)
    return taken


@pytest.fixture
def root_without_pytest() -> None:
    """Pytest does not listen on the root logger: it is as in a process of one's own."""
    _take_away()  # for the set-up phase; pytest adds its handlers anew for each phase


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Take pytest's handlers away for the call of the test itself, too."""
    taken = _take_away() if "root_without_pytest" in pyfuncitem.fixturenames else []
    try:
        return (yield)
    finally:
        logging.getLogger().handlers[:0] = taken


class _Deaf(logging.Handler):
    """A handler of somebody else's: it makes every event travel as a record."""

    def emit(self, record: logging.LogRecord) -> None:
        pass


@pytest.fixture(params=["straight to the sinks", "as records"])
def lines(request: pytest.FixtureRequest, tmp_path: Path, root_without_pytest: None) -> Iterator[Lines]:
    """Logging is set up at DEBUG with a file; call the fixture for the lines in it. Both ways to the sinks are tried."""
    foreign = _Deaf()
    if request.param == "as records":
        logging.getLogger().addHandler(foreign)
    file = tmp_path / "run.jsonl"
    report = setup_logging("DEBUG", "json", file)
    try:
        yield lambda: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    finally:
        report.undo()
        logging.getLogger().removeHandler(foreign)
