"""Less noise, and all of it accounted for; what the level leaves out, when something fails."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.clock import utcnow
from controlroom.logs import LoggingReport, bound, get_logger, register_secret, setup_logging, spawn
from controlroom.logs.noise import Noise
from controlroom.logs.setup import _at_exit
from controlroom.testing import ManualClock

log = get_logger("app")


@pytest.fixture(autouse=True)
def clock() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock


class Foreign(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


@pytest.fixture(params=["straight to the sinks", "as records"])
def foreign(request: pytest.FixtureRequest, root_without_pytest: None) -> Iterator[Foreign | None]:
    handler = Foreign() if request.param == "as records" else None
    if handler is not None:
        logging.getLogger().addHandler(handler)
    yield handler
    if handler is not None:
        logging.getLogger().removeHandler(handler)


Start = Callable[..., LoggingReport]


@pytest.fixture
def start(foreign: Foreign | None, tmp_path: Path) -> Iterator[Start]:
    reports: list[LoggingReport] = []

    def start(**arguments: Any) -> LoggingReport:
        reports.append(setup_logging(file=tmp_path / "run.jsonl", **arguments))
        return reports[-1]

    yield start
    for report in reports:
        report.undo()


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]


Lines = Callable[[], list[dict[str, Any]]]


def test_a_sampled_event_says_for_how_many_it_stands_and_the_rest_is_told(start: Start, lines: Lines) -> None:
    report = start(sample={"page_fetched": 100})
    for page in range(250):
        log.info("page_fetched", page=page)
    log.info("walk_finished")
    report.undo()

    *pages, other, told = lines()
    assert [(line["page"], line["sampled"]) for line in pages] == [(0, 100), (100, 100), (200, 100)]
    assert "sampled" not in other
    assert (told["event"], told["event_name"], told["event_logger"], told["event_level"]) == (
        "events_suppressed",
        "page_fetched",
        "app",
        "INFO",
    )
    assert (told["count"], told["reason"]) == (247, "sampled")


def test_repeats_are_summed_up_when_the_minute_is_over(start: Start, lines: Lines, clock: ManualClock) -> None:
    start(summarise_after=2)
    began = f"{utcnow():%Y-%m-%dT%H:%M:%S.%f}Z"
    for number in range(5):
        log.warning("row_odd", number=number)
        clock.advance(10)
    clock.advance(10)
    log.info("something_else")
    log.warning("row_odd", number=5)

    assert [line["event"] for line in lines()] == [
        "row_odd",
        "row_odd",
        "events_suppressed",
        "something_else",
        "row_odd",
    ]
    told = lines()[2]
    assert (told["count"], told["reason"], told["event_level"]) == (3, "repeated", "WARNING")
    assert began < told["first_at"] < told["last_at"] < told["timestamp"]


def test_both_sinks_get_the_same_lines(start: Start, lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    report = start(sample={"tried": 2}, summarise_after=2, debug_buffer=10)
    for _ in range(9):
        log.info("tried")
        log.debug("looked")
    log.error("broke")
    report.undo()

    assert [json.loads(line) for line in capsys.readouterr().err.splitlines()] == lines()


def test_handlers_of_others_are_not_sampled(start: Start, foreign: Foreign | None) -> None:
    start(sample={"tried": 10}, summarise_after=1)
    for _ in range(5):
        log.info("tried")

    if foreign is not None:
        assert len([text for text in foreign.seen if text.startswith("tried")]) == 5


def test_records_of_other_packages_are_counted_by_their_message_before_its_arguments(
    start: Start, lines: Lines
) -> None:
    report = start(summarise_after=2)
    for number in range(6):
        logging.getLogger("other").warning("row %d is odd", number)
    report.undo()

    *shown, told = lines()
    assert [line["event"] for line in shown] == ["row 0 is odd", "row 1 is odd"]
    assert (told["event_name"], told["event_logger"], told["count"]) == ("row %d is odd", "other", 4)


def test_an_error_brings_what_the_level_left_out_of_its_run(start: Start, lines: Lines) -> None:
    start(debug_buffer=10)
    with bound(run_id="a"):
        log.debug("looked", number=1)
    with bound(run_id="b"):
        log.debug("looked_elsewhere")
    with bound(run_id="a"):
        log.info("tried")
        log.error("broke")
        log.error("broke_again")

    assert [(line["event"], line.get("buffered")) for line in lines()] == [
        ("tried", None),
        ("looked", True),
        ("broke", None),
        ("broke_again", None),
    ]
    tried, looked, broke, _ = lines()
    assert looked["seq"] < tried["seq"] < broke["seq"]
    assert (looked["level"], looked["run_id"], looked["number"]) == ("DEBUG", "a", 1)


def test_buffered_lines_have_the_time_and_the_facts_of_when_they_were_logged(
    start: Start, lines: Lines, clock: ManualClock
) -> None:
    start(debug_buffer=10)
    at, items = f"{utcnow():%Y-%m-%dT%H:%M:%S.%f}Z", [1]
    log.debug("looked", items=items)
    clock.advance(5)
    items.append(2)
    log.failure("broke", ValueError("x"))

    assert (lines()[0]["timestamp"], lines()[0]["items"]) == (at, [1])


def test_a_secret_that_became_known_later_is_masked_in_what_was_buffered(start: Start, lines: Lines) -> None:
    start(debug_buffer=10)
    log.debug("looked", answer="zqjx-canary")
    register_secret("zqjx-canary")
    log.error("broke")

    assert lines()[0]["answer"] == "***"


def test_records_of_other_packages_below_the_level_are_kept_as_well(
    start: Start, lines: Lines, foreign: Foreign | None
) -> None:
    start(debug_buffer=10)
    logging.getLogger("other").debug("looked at %s", "it")
    log.error("broke")

    assert [(line["event"], line["logger"]) for line in lines()] == [("looked at it", "other"), ("broke", "app")]
    if foreign is not None:
        assert foreign.seen == ["broke"]


def test_what_somebody_wants_to_see_is_shown_and_not_kept(start: Start, lines: Lines) -> None:
    logging.getLogger("app.loud").setLevel("DEBUG")
    start(debug_buffer=10)
    get_logger("app.loud").debug("looked")
    logging.getLogger("app.loud").setLevel("NOTSET")
    log.error("broke")

    assert [(line["event"], line.get("buffered")) for line in lines()] == [("looked", None), ("broke", None)]


def test_at_a_higher_level_everything_below_it_is_kept(start: Start, lines: Lines) -> None:
    report = start(level="WARNING", debug_buffer=10)
    log.info("tried")
    log.warning("odd")
    log.error("broke")

    assert report.level == "WARNING"
    assert [(line["event"], line.get("buffered")) for line in lines()] == [
        ("odd", None),
        ("tried", True),
        ("broke", None),
    ]


def test_the_end_of_a_run_forgets_what_it_kept_and_tells_what_it_left_out(start: Start, lines: Lines) -> None:
    start(debug_buffer=10, summarise_after=1)
    with bound(run_id="a"):
        log.debug("looked")
        for _ in range(3):
            log.info("tried")
        log.info("run_finished")
        log.error("late")

    assert [line["event"] for line in lines()] == ["tried", "events_suppressed", "run_finished", "late"]
    assert (lines()[1]["run_id"], lines()[1]["count"]) == ("a", 2)


def test_without_a_run_what_spawned_work_looked_at_comes_with_the_error_of_its_parent(
    start: Start, lines: Lines
) -> None:
    start(debug_buffer=10)
    log.debug("began")
    spawn(log.debug, "looked").result()
    stranger = threading.Thread(target=log.debug, args=("looked_elsewhere",))
    stranger.start()
    stranger.join()
    log.error("broke")

    assert [line["event"] for line in lines()] == ["began", "looked", "broke"]


def test_undo_and_another_setup_restore_the_level_and_the_handlers(start: Start) -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers), [list(handler.filters) for handler in root.handlers]
    first = start(debug_buffer=10, sample={"tried": 2}, callsite=True)
    assert (first.level, root.level) == ("INFO", logging.DEBUG)
    assert start(debug_buffer=10, sample={"tried": 2}, callsite=True) is first
    second = start()
    assert second is not first
    assert root.level == logging.INFO
    second.undo()

    assert (root.level, list(root.handlers), [list(handler.filters) for handler in root.handlers]) == before


def test_while_the_process_ends_nothing_is_left_out_any_more_and_nothing_below_the_level_appears(
    start: Start, lines: Lines
) -> None:
    start(debug_buffer=10, summarise_after=1)
    log.info("tried")
    log.info("tried")
    _at_exit()
    log.debug("looked")
    log.info("tried")
    log.info("tried")
    log.error("broke")

    assert [line["event"] for line in lines()] == ["tried", "events_suppressed", "tried", "tried", "broke"]


def test_a_fact_called_like_a_mark_keeps_its_value(start: Start, lines: Lines) -> None:
    start(debug_buffer=10, sample={"tried": 2})
    log.debug("looked", buffered="mine")
    log.info("tried", sampled="mine")
    log.error("broke")

    assert [(line["sampled"], line["sampled_"]) for line in lines() if line["event"] == "tried"] == [(2, "mine")]
    assert [(line["buffered"], line["buffered_"]) for line in lines() if line["event"] == "looked"] == [(True, "mine")]


def test_the_counts_are_told_when_another_setup_takes_over(start: Start, lines: Lines) -> None:
    start(summarise_after=1)
    for _ in range(3):
        log.info("tried")
    start()
    log.info("tried")

    assert [line["event"] for line in lines()] == ["tried", "events_suppressed", "tried"]


def test_threads_that_repeat_at_once_are_counted_exactly(start: Start, lines: Lines) -> None:
    report = start(summarise_after=7, sample={"sampled": 3}, debug_buffer=5)

    def work() -> None:
        for _ in range(500):
            log.info("tried")
            log.info("sampled")
            log.debug("looked")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.undo()

    told = [line for line in lines() if line["event"] == "events_suppressed"]
    for name in ("tried", "sampled"):
        shown = len([line for line in lines() if line["event"] == name])
        assert shown + sum(line["count"] for line in told if line["event_name"] == name) == 3_000


def test_a_forked_child_counts_for_itself(start: Start, lines: Lines) -> None:
    report = start(summarise_after=1)
    for _ in range(4):
        log.info("tried")
    child = os.fork()
    if child == 0:
        for _ in range(3):
            log.info("tried")
        report.undo()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    report.undo()

    told = {line["pid"]: line["count"] for line in lines() if line["event"] == "events_suppressed"}
    assert told == {os.getpid(): 3, child: 2}


def test_a_signal_handler_that_logs_in_the_middle_of_a_decision_neither_hangs_nor_is_lost(
    start: Start, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, real = start(summarise_after=1, debug_buffer=10), Noise.judge

    def interrupted(noise: Noise, *arguments: Any) -> int:
        monkeypatch.setattr(Noise, "judge", real)
        signal.raise_signal(signal.SIGUSR1)
        return real(noise, *arguments)

    before = signal.signal(signal.SIGUSR1, lambda *_: log.info("tried", inner=True))
    try:
        monkeypatch.setattr(Noise, "judge", interrupted)
        log.info("tried", inner=False)
    finally:
        signal.signal(signal.SIGUSR1, before)
    report.undo()

    assert [line["event"] for line in lines()] == ["tried", "events_suppressed"]
    assert lines()[1]["count"] == 1


def test_a_buffered_line_is_not_written_twice_by_a_signal_handler_that_fails_too(start: Start, lines: Lines) -> None:
    start(debug_buffer=10)
    log.debug("looked")
    before = signal.signal(signal.SIGUSR1, lambda *_: log.error("inner"))
    try:
        signal.raise_signal(signal.SIGUSR1)
        log.error("outer")
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert [line["event"] for line in lines()] == ["looked", "inner", "outer"]


def test_a_gate_that_breaks_costs_a_counted_line_and_not_the_job(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    report = start(summarise_after=1)
    monkeypatch.setattr("controlroom.logs.noise.Noise.judge", lambda *_: 1 / 0)
    log.info("tried")
    logging.getLogger("other").warning("tried")

    assert report.dropped == 2


class LambdaLoggerHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(json.loads(self.format(record)))


def test_a_hosts_handler_that_raises_does_not_keep_the_counts_from_the_file(
    root_without_pytest: None, tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = LambdaLoggerHandler()
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    report = setup_logging(file=tmp_path / "run.jsonl", summarise_after=1)
    log.info("tried")
    log.info("tried")
    with monkeypatch.context() as patched:
        patched.setattr(handler, "handle", lambda _: 1 / 0)
        logging.getLogger().handlers[-1].flush()
    told = lines()[-1]
    report.undo()
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(level)

    assert (told["event"], told["count"]) == ("events_suppressed", 1)
    assert report.dropped == 1


@pytest.mark.parametrize("with_file", [True, False])
def test_a_hosts_own_handler_gets_what_the_file_gets(
    root_without_pytest: None, tmp_path: Path, lines: Lines, with_file: bool
) -> None:
    handler = LambdaLoggerHandler()
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    file = tmp_path / "run.jsonl" if with_file else None
    report = setup_logging(file=file, sample={"tried": 3}, summarise_after=2, debug_buffer=10)
    for number in range(7):
        log.info("tried", number=number)
        logging.getLogger("other").info("row %d", number)
    log.debug("looked")
    log.error("broke")
    report.undo()
    filters = list(handler.filters)
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(level)

    assert filters == []
    assert [(line["event"], line.get("sampled"), line.get("count")) for line in handler.written] == [
        ("tried", 3, None),
        ("row 0", None, None),
        ("row 1", None, None),
        ("tried", 3, None),
        ("looked", None, None),
        ("broke", None, None),
        ("events_suppressed", None, 4),
        ("events_suppressed", None, 5),
        ("events_suppressed", None, 1),
    ]
    if with_file:
        assert lines() == handler.written
