"""Records of other packages have our shape, whatever they carry."""

from __future__ import annotations

import json
import logging
from typing import Any, NoReturn

import pytest

other = logging.getLogger("other.package")


def test_a_record_has_its_message_as_event_and_its_extras_as_facts(lines: Any) -> None:
    other.warning("%s of %d", "one", 2, extra={"page": 7, "level": "boo"})

    line = lines()[-1]
    assert list(line)[:4] == ["timestamp", "level", "event", "logger"]
    assert (line["event"], line["logger"], line["level"]) == ("one of 2", "other.package", "WARNING")
    assert (line["page"], line["level_"]) == (7, "boo")
    assert set(line) == {"timestamp", "level", "event", "logger", "page", "level_", "seq", "pid"}


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (0.5, "1970-01-01T00:00:00.500000Z"),
        (1.999_999_6, "1970-01-01T00:00:02.000000Z"),
        (-0.25, "1969-12-31T23:59:59.750000Z"),
        (1_795_305_599.000_001, "2026-11-21T23:59:59.000001Z"),
        (1_795_305_600.25, "2026-11-22T00:00:00.250000Z"),
    ],
)
def test_the_timestamp_is_the_records_own(lines: Any, created: float, shown: str) -> None:
    made = {"name": "x", "levelno": 30, "levelname": "WARNING", "msg": "m", "created": created}
    other.handle(logging.makeLogRecord(made))

    assert lines()[-1]["timestamp"] == shown


def test_arguments_that_do_not_fit_the_format_are_told(lines: Any) -> None:
    other.warning("%d items", "many")

    assert lines()[-1]["event"] == "%d items [its arguments could not be merged: TypeError]"


class Unprintable:
    def __str__(self) -> NoReturn:
        raise RuntimeError


def test_a_message_without_a_text_is_told(lines: Any) -> None:
    other.warning(Unprintable())

    assert "whose text raised RuntimeError" in lines()[-1]["event"]


@pytest.mark.parametrize(
    ("exc_info", "error"),
    [(ValueError("bare"), "ValueError: bare"), (True, None), ("text", None), ((None, None, None), None)],
)
def test_a_record_made_by_hand_may_have_anything_as_its_exception(lines: Any, exc_info: Any, error: str | None) -> None:
    made = {"name": "x", "levelno": 40, "levelname": "ERROR", "msg": "m", "exc_info": exc_info}
    other.handle(logging.makeLogRecord(made))

    assert lines()[-1].get("error") == error


def test_an_exception_comes_with_its_frames_and_code(lines: Any) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        other.exception("failed")

    line = lines()[-1]
    assert (line["event"], line["code"]) == ("failed", "unforeseen")
    assert line["exception"]["frames"][-1]["file"] == __file__


def test_exc_info_without_an_exception_is_no_failure(lines: Any) -> None:
    other.error("failed", exc_info=True)

    assert "exception" not in lines()[-1]


def test_a_stack_is_kept(lines: Any) -> None:
    other.warning("here", stack_info=True)

    assert "test_a_stack_is_kept" in lines()[-1]["stack"]


def test_levels_of_other_packages_keep_their_names(lines: Any) -> None:
    logging.addLevelName(25, "NOTICE")
    other.log(25, "hello")

    assert lines()[-1]["level"] == "NOTICE"


def test_two_handlers_see_one_event_with_one_number(lines: Any, capsys: pytest.CaptureFixture[str]) -> None:
    other.warning("hello")

    assert [json.loads(line)["seq"] for line in capsys.readouterr().err.splitlines()] == [lines()[-1]["seq"]]
