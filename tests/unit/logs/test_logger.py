"""A log call never breaks the job, and says what it was given."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import pickle
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn
from uuid import UUID

import pytest
import structlog

from controlroom.logs import bound, get_logger, setup_logging
from controlroom.logs.sinks import FileSink
from controlroom.testing import ManualClock

log = get_logger("app.job")


class Unprintable:
    def __str__(self) -> NoReturn:
        msg = "no text"
        raise RuntimeError(msg)

    __repr__ = __str__


class Treacherous(dict):
    def items(self) -> NoReturn:
        msg = "no items"
        raise RuntimeError(msg)


def test_a_line_has_its_head_then_the_facts_then_its_numbers(lines: Any) -> None:
    log.info("page_fetched", page=7, items=200)

    line = lines()[-1]
    assert list(line) == ["timestamp", "level", "event", "logger", "page", "items", "seq", "pid"]
    assert (line["level"], line["event"], line["logger"]) == ("INFO", "page_fetched", "app.job")
    assert (line["page"], line["items"]) == (7, 200)


def test_timestamps_are_utc_with_microseconds_even_on_a_whole_second(lines: Any) -> None:
    with ManualClock() as clock:
        log.info("first_logged")
        clock.advance(0.25)
        log.info("second_logged")

    first, second = (datetime.fromisoformat(line["timestamp"]) for line in lines()[-2:])
    assert all(len(line["timestamp"]) == len("2026-11-21T23:17:59.165233Z") for line in lines())
    assert second - first == timedelta(seconds=0.25)
    assert first.tzinfo == UTC


@pytest.mark.parametrize("seconds", [86_400.0, 86_400.25, 3_600.0, 60.0, 1.0, -0.5, -86_400.0, 31_536_000.0])
def test_a_timestamp_tells_the_second_whatever_the_one_before(lines: Any, seconds: float) -> None:
    at = datetime(2026, 3, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    for moment in (at, at + timedelta(seconds=seconds)):
        with ManualClock(moment):
            log.info("tried")

    assert [datetime.fromisoformat(line["timestamp"]) for line in lines()] == [at, at + timedelta(seconds=seconds)]


def test_every_method_writes_its_level(lines: Any) -> None:
    for method in (log.debug, log.info, log.warning, log.error):
        method("tried")

    assert [line["level"] for line in lines()] == ["DEBUG", "INFO", "WARNING", "ERROR"]


def test_a_level_below_the_threshold_is_not_logged_nor_its_facts_looked_at(lines: Any) -> None:
    logging.getLogger("app.job").setLevel("ERROR")
    try:
        log.warning("tried", fact=Unprintable())
        log.error("tried")
        assert not log.is_enabled_for("WARNING")
        assert log.is_enabled_for(logging.ERROR)
    finally:
        logging.getLogger("app.job").setLevel(logging.NOTSET)

    assert [line["level"] for line in lines()] == ["ERROR"]


def test_a_dropped_debug_is_not_dropped_for_ever(lines: Any) -> None:
    standard = logging.getLogger("app.job")
    root = logging.getLogger()
    before = root.level
    try:
        for change, back in (
            (lambda: standard.setLevel("INFO"), lambda: standard.setLevel(logging.NOTSET)),
            (lambda: logging.disable("INFO"), lambda: logging.disable(logging.NOTSET)),
            (lambda: root.setLevel("INFO"), lambda: root.setLevel("DEBUG")),
            (lambda: setattr(standard, "disabled", True), lambda: setattr(standard, "disabled", False)),
        ):
            log.debug("heard")
            change()
            log.debug("not_heard")
            log.debug("not_heard")
            back()
            log.debug("heard_again")
    finally:
        root.setLevel(before)

    assert [line["event"] for line in lines()] == ["heard", "heard_again"] * 4


def test_facts_cannot_replace_what_the_line_says_itself(lines: Any) -> None:
    log.info("tried", level="boo", logger="x", timestamp="never", seq=0, pid=0)

    line = lines()[-1]
    assert line["level"] == "INFO"
    assert line["logger"] == "app.job"
    assert line["seq"] > 0
    assert (line["level_"], line["logger_"], line["timestamp_"], line["seq_"], line["pid_"]) == (
        "boo",
        "x",
        "never",
        0,
        0,
    )


def test_a_fact_may_be_called_event_self_or_method(lines: Any) -> None:
    log.info("tried", event="other", self=1, method="get", facts=2)

    assert lines()[-1]["event"] == "tried"
    assert (lines()[-1]["event_"], lines()[-1]["self"], lines()[-1]["method"], lines()[-1]["facts"]) == (
        "other",
        1,
        "get",
        2,
    )


def test_bound_facts_come_first_and_the_call_wins(lines: Any) -> None:
    with bound(run_id="r1", page=1):
        log.bind(page=2, file="a.csv").info("tried", page=3)

    line = lines()[-1]
    assert list(line)[4:8] == ["run_id", "page", "file", "seq"]
    assert line["page"] == 3


def test_bind_leaves_the_logger_it_was_called_on_alone(lines: Any) -> None:
    log.bind(file="a.csv")
    log.info("tried")

    assert "file" not in lines()[-1]


class Colour(Enum):
    RED = 1


class Mood(StrEnum):
    GLAD = "glad"


@dataclasses.dataclass
class Row:
    number: int


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (2**63, str(2**63)),
        (True, True),
        (None, None),
        (Colour.RED, 1),
        (Mood.GLAD, "glad"),
        (Decimal("1.10"), "1.10"),
        (Path("/a/b"), "/a/b"),
        (PurePosixPath("a"), "a"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (b"bytes", "bytes"),
        (b"\xff", "\\xff"),
        (timedelta(seconds=1), "<timedelta: 0:00:01>"),
        (Row(1), "<Row: Row(number=1)>"),
        ((1, [2, {3}]), [1, [2, [3]]]),
        ({1: {None: "x"}}, {"1": {"None": "x"}}),
        ("two\nlines\x1b[31m", "two\nlines\x1b[31m"),
        ("\ud800 alone", "\\ud800 alone"),
        (Unprintable(), "<Unprintable whose text raised RuntimeError>"),
        (Treacherous(), "<Treacherous that raised RuntimeError>"),
        ([Treacherous(), 1], ["<Treacherous that raised RuntimeError>", 1]),
    ],
)
def test_any_value_becomes_valid_json(lines: Any, value: Any, shown: Any) -> None:
    log.info("tried", fact=value)

    assert lines()[-1]["fact"] == shown


def test_an_object_is_marked_as_having_been_one(lines: Any) -> None:
    log.info("tried", fact=object())

    assert lines()[-1]["fact"].startswith("<object object at")


def test_an_integer_too_large_for_text_is_no_reason_to_fail(lines: Any) -> None:
    log.info("tried", fact=10**5000)

    assert "raised ValueError" in lines()[-1]["fact"]


def test_a_structure_that_contains_itself_ends(lines: Any) -> None:
    loop: list[Any] = []
    loop.append(loop)

    log.info("tried", fact=loop)

    assert lines()[-1]["truncated"] is True


def test_keys_that_are_no_identifiers_are_logged(lines: Any) -> None:
    log.info("tried", **{"a b": 1, "": 2, "ü": 3})

    assert (lines()[-1]["a b"], lines()[-1][""], lines()[-1]["ü"]) == (1, 2, 3)


def test_ten_megabytes_are_cut_and_said_to_be(lines: Any, tmp_path: Path) -> None:
    log.info("x" * 10_000_000, fact="y" * 10_000_000, small="kept")

    line = lines()[-1]
    assert line["truncated"] is True
    assert line["small"] == "kept"
    assert line["event"].startswith("xxx")
    assert (tmp_path / "run.jsonl").stat().st_size < 262_144


def test_a_thousand_large_facts_still_make_one_line_below_the_limit(lines: Any, tmp_path: Path) -> None:
    log.info("tried", **{f"fact{number}": "ü\n" * 5_000 for number in range(1_500)})

    assert lines()[-1]["truncated"] is True
    assert lines()[-1]["level"] == "INFO"
    assert (tmp_path / "run.jsonl").stat().st_size <= 262_144


def test_more_items_than_anybody_reads_are_cut_without_copying_them(lines: Any) -> None:
    log.info("tried", fact=range(5), many=list(range(2_000)))

    assert lines()[-1]["truncated"] is True
    assert len(lines()[-1]["many"]) == 1_000


def test_loggers_survive_pickling_with_their_facts(lines: Any) -> None:
    log.info("started")
    pickle.loads(pickle.dumps(log.bind(file="a.csv"))).info("tried")

    assert lines()[-1]["file"] == "a.csv"
    assert lines()[-1]["logger"] == "app.job"


def test_a_forked_child_tells_its_own_process(lines: Any) -> None:
    child = os.fork()
    if child == 0:
        log.info("tried")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    log.info("tried")

    assert [line["pid"] for line in lines()] == [child, os.getpid()]


def test_sequence_numbers_are_unique_across_threads(lines: Any) -> None:
    def work() -> None:
        for _ in range(50):
            log.info("tried")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({line["seq"] for line in lines()}) == 200


def test_before_setup_events_are_readable_records_of_the_standard_library(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("INFO"):
        log.info("page_fetched", page=7, note="two words")

    record = caplog.records[-1]
    assert record.getMessage() == 'page_fetched page=7 note="two words"'
    assert (record.name, record.levelname) == ("app.job", "INFO")
    assert capsys.readouterr().out == ""


def test_a_record_says_where_the_log_call_stands(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("tried")

    assert caplog.records[-1].pathname == __file__
    assert caplog.records[-1].funcName == "test_a_record_says_where_the_log_call_stands"


def test_a_percent_sign_in_an_event_is_no_format(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("100% done, %s left")

    assert caplog.messages[-1] == "100% done, %s left"


def test_a_hosts_json_formatter_finds_the_facts_on_the_record(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("tried", page=7)

    assert caplog.records[-1].controlroom["page"] == 7


def test_records_of_ours_can_be_pickled_for_a_queue_whatever_the_facts(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("tried", fact=threading.Lock())

    assert pickle.loads(pickle.dumps(caplog.records[-1])).controlroom["fact"].startswith("<unlocked")


def test_a_foreign_formatter_prints_the_failure_without_its_secrets(
    root_without_pytest: None, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        try:
            int("password=hunter2")
        except ValueError as error:
            log.failure("ingest_failed", error)
    finally:
        logging.getLogger().removeHandler(handler)

    printed = capsys.readouterr().err
    assert "password=***" in printed
    assert f"    {__file__}:" in printed
    assert "hunter2" not in printed


def test_filters_of_the_standard_library_are_respected(lines: Any) -> None:
    def refuse(_record: logging.LogRecord) -> bool:
        return False

    logging.getLogger("app.job").addFilter(refuse)
    try:
        log.info("tried")
    finally:
        logging.getLogger("app.job").removeFilter(refuse)

    assert lines() == []


def test_filters_of_a_handler_of_ours_are_respected(lines: Any) -> None:
    (sink,) = (handler for handler in logging.getLogger().handlers if isinstance(handler, FileSink))
    sink.addFilter(lambda record: record.getMessage() != "refused")
    log.info("refused")
    log.info("tried")

    assert [line["event"] for line in lines()] == ["tried"]


def test_a_logger_that_does_not_propagate_keeps_its_lines(lines: Any) -> None:
    logging.getLogger("app").propagate = False
    try:
        log.info("tried")
    finally:
        logging.getLogger("app").propagate = True

    assert lines() == []


def test_a_level_set_on_a_handler_of_ours_holds(lines: Any, tmp_path: Path) -> None:
    (sink,) = (handler for handler in logging.getLogger().handlers if isinstance(handler, FileSink))
    sink.setLevel("ERROR")
    log.warning("tried")
    log.error("failed")

    assert [line["event"] for line in lines()] == ["failed"]


def test_a_tracker_that_wraps_the_standard_library_hears_our_events(
    lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    original = logging.Logger.callHandlers

    def listening(self: logging.Logger, record: logging.LogRecord) -> None:
        heard.append(record.getMessage())
        original(self, record)

    monkeypatch.setattr(logging.Logger, "callHandlers", listening)
    log.info("tried")

    assert heard == ["tried"]
    assert [line["event"] for line in lines()] == ["tried"]


def test_a_structlog_configured_by_the_host_stays_as_it_is(lines: Any) -> None:
    before = structlog.get_config()
    log.info("tried")

    assert structlog.get_config() == before
    assert not structlog.is_configured()


def test_structlog_carries_the_facts_of_a_logger() -> None:
    bound_logger = log.bind(file="a.csv")
    bound_logger.error("tried")

    assert isinstance(bound_logger._engine, structlog.BoundLoggerBase)
    assert structlog.get_context(bound_logger._engine) == {"file": "a.csv"}


def test_the_file_holds_one_json_object_per_line_whatever_stands_in_it(lines: Any, tmp_path: Path) -> None:
    log.info("a\nb\r\u2028\x00", **{"k\n": "v\n"})

    raw = (tmp_path / "run.jsonl").read_bytes()
    assert raw.count(b"\n") == 1
    assert json.loads(raw)["k\n"] == "v\n"


def test_levels_are_asked_for_by_name_in_any_case_or_by_number() -> None:
    report = setup_logging("INFO")
    try:
        assert log.is_enabled_for("info")
        assert log.is_enabled_for(logging.WARNING)
        assert not log.is_enabled_for("DEBUG")
        assert not log.is_enabled_for("no such level")
    finally:
        report.undo()


@pytest.mark.parametrize("how", ["exception", "exc_info=True", "exc_info=error", "exc_info=tuple"])
def test_what_a_user_of_the_standard_library_types_first_is_a_failure(how: str, lines: Any) -> None:
    told = log  # by another name: the linter knows what `log` is for
    try:
        raise KeyError("amount")  # noqa: TRY301 - what is logged was raised
    except KeyError as error:
        match how:
            case "exception":
                told.exception("load_failed", key="a.csv")
            case "exc_info=True":
                told.error("load_failed", exc_info=True, key="a.csv")
            case "exc_info=error":
                told.error("load_failed", exc_info=error, key="a.csv")
            case _:
                told.error("load_failed", exc_info=(KeyError, error, error.__traceback__), key="a.csv")
        told.failure("told_again", error)

    (line,) = lines()
    assert (line["level"], line["event"], line["key"], line["code"]) == ("ERROR", "load_failed", "a.csv", "unforeseen")
    assert line["exception"]["type"] == "KeyError"


def test_exc_info_where_nothing_was_raised_leaves_an_ordinary_line(lines: Any) -> None:
    told = log
    told.error("odd", exc_info=True)
    told.error("odder", exc_info=None)
    told.exception("oddest")

    assert [(line["event"], "exception" in line) for line in lines()] == [
        ("odd", False),
        ("odder", False),
        ("oddest", False),
    ]
