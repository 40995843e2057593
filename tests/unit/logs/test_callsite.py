"""Where a line comes from, if asked for."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from controlroom.logs import get_logger
from controlroom.logs.callsite import callsites_shown, show_callsites
from controlroom.logs.warned import log_warning

log = get_logger("app")
other = logging.getLogger("other.package")


@pytest.fixture(autouse=True)
def callsites() -> Iterator[None]:
    show_callsites(True)
    yield
    show_callsites(False)


def here(lines_before: int = 1) -> str:
    frame = inspect.currentframe()
    assert isinstance(frame, FrameType)
    assert isinstance(frame.f_back, FrameType)
    return f"test_callsite:{frame.f_back.f_lineno - lines_before}"


def test_a_line_says_where_its_log_call_stands(lines: Any) -> None:
    log.info("tried", page=7)
    expected = here()

    assert lines()[-1]["at"] == expected
    assert list(lines()[-1])[:6] == ["timestamp", "level", "event", "logger", "at", "page"]


def test_a_failure_says_where_it_was_logged_and_not_where_it_was_raised(lines: Any) -> None:
    try:
        int("x")
    except ValueError as error:
        log.bind(file="a.csv").failure("failed", error)
        expected = here()

    assert lines()[-1]["at"] == expected


def test_a_record_of_another_package_says_it_in_the_same_words(lines: Any) -> None:
    other.warning("tried")
    expected = here()

    assert lines()[-1]["at"] == expected


def test_a_warning_says_who_warned(lines: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("tried", stacklevel=1)
        expected = here().removeprefix("test_callsite")

    assert lines()[-1]["at"] == f"{__file__}{expected}"


def test_a_record_of_a_warning_says_who_warned(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = log_warning
        warnings.warn("tried", stacklevel=1)

    assert caplog.records[-1].pathname == __file__


def test_a_fact_of_that_name_is_not_replaced(lines: Any) -> None:
    log.info("tried", at="noon")

    assert lines()[-1]["at"] == "noon"


def test_nobody_is_told_who_did_not_ask(lines: Any) -> None:
    show_callsites(False)
    log.info("tried", at="noon")
    other.warning("tried")

    assert not callsites_shown()
    assert [line.get("at") for line in lines()[-2:]] == ["noon", None]
