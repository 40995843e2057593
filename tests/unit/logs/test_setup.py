"""Set up once, joined or owned, taken back whole."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError
from controlroom.logs import LoggingReport, get_logger, setup_logging
from controlroom.logs.sinks import FileSink, StderrSink
from controlroom.testing import ManualClock

log = get_logger("app")


TALKATIVE = ("httpx", "httpx2", "httpcore", "httpcore2", "botocore", "aiobotocore", "urllib3", "aiosqlite")


@pytest.fixture
def bare_root(root_without_pytest: None) -> Iterator[logging.Logger]:
    """The root logger, for a test that plays the host."""
    root = logging.getLogger()
    level = root.level
    yield root
    root.handlers.clear()
    root.setLevel(level)


def root_state() -> Any:
    root = logging.getLogger()
    talkative = [logging.getLogger(name).level for name in TALKATIVE]
    return list(root.handlers), root.level, warnings.showwarning, talkative


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_process_of_its_own_gets_one_handler_on_stderr(
    root_without_pytest: None, capsys: pytest.CaptureFixture[str]
) -> None:
    report = setup_logging()
    log.info("tried")
    log.debug("not_shown")
    report.undo()

    assert [line["event"] for line in printed(capsys)] == ["tried"]
    assert (report.host, report.format, report.level, report.file) == ("process", "json", "INFO", None)
    assert report.handlers_found == ()
    assert report.done[0] == "added stderr in the json format"


def test_setting_up_twice_is_setting_up_once(root_without_pytest: None, capsys: pytest.CaptureFixture[str]) -> None:
    report = setup_logging()
    again = setup_logging()
    log.info("tried")
    report.undo()

    assert again is report
    assert len(printed(capsys)) == 1


def test_other_arguments_replace_the_former_setup_and_one_undo_restores_all(
    root_without_pytest: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = root_state()
    first = setup_logging("WARNING")
    second = setup_logging("INFO", file=tmp_path / "run.jsonl")
    log.info("tried")
    first.undo()
    log.info("tried_again")
    second.undo()

    assert [line["event"] for line in printed(capsys)] == ["tried", "tried_again"]
    assert root_state() == before


def test_a_setup_that_somebody_destroyed_is_made_again(
    bare_root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_logging()
    logging.basicConfig(force=True)
    report = setup_logging()
    log.info("tried")
    report.undo()

    assert [line["event"] for line in printed(capsys)] == ["tried"]


def test_undo_restores_handlers_levels_formatters_and_warnings() -> None:
    logging.getLogger("botocore").setLevel("DEBUG")
    before = root_state()
    report = setup_logging("DEBUG")
    assert root_state() != before
    report.undo()

    assert root_state() == before
    logging.getLogger("botocore").setLevel(logging.NOTSET)


def test_undo_gives_handlers_back_in_the_order_in_which_they_are_called(bare_root: logging.Logger) -> None:
    before: list[logging.Handler] = [
        logging.StreamHandler(sys.stderr),
        logging.NullHandler(),
        logging.StreamHandler(sys.stdout),
    ]
    bare_root.handlers[:] = before
    setup_logging().undo()

    assert bare_root.handlers == before


def test_undo_leaves_what_others_changed_since() -> None:
    root = logging.getLogger()
    before = root.level
    report = setup_logging("INFO")
    root.setLevel("CRITICAL")
    report.undo()

    assert root.level == logging.CRITICAL
    root.setLevel(before)


def test_undo_a_second_time_does_nothing() -> None:
    report = setup_logging()
    report.undo()
    logging.getLogger("httpx").setLevel("WARNING")
    report.undo()

    assert logging.getLogger("httpx").level == logging.WARNING
    logging.getLogger("httpx").setLevel(logging.NOTSET)


def test_after_undo_events_go_where_they_went_before(
    root_without_pytest: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = setup_logging(file=tmp_path / "run.jsonl")
    report.undo()
    log.info("not_shown")

    assert capsys.readouterr().err == ""
    assert (tmp_path / "run.jsonl").read_text() == ""


def test_console_handlers_are_set_aside_and_others_stay(
    bare_root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    console, other = logging.StreamHandler(sys.stdout), logging.StreamHandler(io.StringIO())
    bare_root.handlers[:] = [console, other]
    report = setup_logging()
    log.info("tried", page=7)
    report.undo()

    assert len(printed(capsys)) == 1
    assert other.stream.getvalue() == "tried page=7\n"
    assert set(logging.getLogger().handlers) == {console, other}


def test_loggers_that_a_configuration_disabled_because_they_were_there_before_it_log_again(
    root_without_pytest: None, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = get_logger("tests.of_a_module"), logging.getLogger("tests.of_another_package")
    standard = logging.getLogger("tests.of_a_module")
    standard.disabled = theirs.disabled = True  # as dictConfig and fileConfig do with all that they find

    report = setup_logging()
    ours.info("heard")
    theirs.warning("silent")
    report.undo()
    ours.warning("as_before")

    assert [line["event"] for line in printed(capsys)] == ["heard"]
    assert "enabled tests.of_a_module, which a configuration had disabled" in report.done
    standard.disabled = False


def test_caplog_keeps_listening(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    report = setup_logging()
    log.info("tried")
    report.undo()

    assert report.host == "pytest"
    assert caplog.messages == ["tried"]
    assert len(printed(capsys)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": "LOUD"},
        {"level": "NOTSET"},
        {"level": 0},
        {"level": None},
        {"level": True},
        {"format": "xml"},
        {"format": None},
        {"max_bytes": 0},
        {"max_bytes": "1 MB"},
        {"keep": 0},
        {"file": "no/such/folder/run.jsonl"},
        {"file": "/"},
        {"file": 7},
        {"file": b"run.jsonl"},
        {"max_age_s": 0},
        {"max_age_s": float("nan")},
        {"max_age_s": float("inf")},
        {"max_age_s": "1 day"},
        {"max_age_s": True},
        {"compress": 1, "max_bytes": 10},
        {"compress": True},
        {"callsite": "yes"},
        {"sample": {"tried": 0}},
        {"sample": {"tried": 1.5}},
        {"sample": {7: 7}},
        {"sample": ["tried"]},
        {"summarise_after": 0},
        {"summarise_after": "10"},
        {"debug_buffer": 0},
        {"debug_buffer": True},
        {"file": "null\0byte"},
        {"file": "run.jsonl/", "level": "INFO"},
    ],
)
def test_wrong_arguments_are_refused_before_anything_changes(
    wrong: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if wrong.get("file") == "run.jsonl/":
        (tmp_path / "run.jsonl").mkdir()
    before = root_state()

    with pytest.raises(ConfigError, match="nothing was changed") as caught:
        setup_logging(**wrong)

    assert root_state() == before
    assert next(iter(wrong)) in caught.value.problems[0]


def test_every_wrong_argument_is_named_in_one_error() -> None:
    with pytest.raises(ConfigError) as caught:
        setup_logging(
            "LOUD",
            "xml",
            7,
            -1,
            0,
            max_age_s=-1,
            compress=None,
            callsite=None,
            sample={"tried": 0},
            summarise_after=0,
            debug_buffer=0,
        )

    assert [problem.partition("=")[0] for problem in caught.value.problems] == [
        *("level", "format", "file", "max_bytes", "keep", "max_age_s", "compress", "callsite", "sample"),
        *("summarise_after", "debug_buffer"),
    ]


def test_a_refused_setup_leaves_the_former_one_at_work(tmp_path: Path) -> None:
    report = setup_logging(file=tmp_path / "run.jsonl")
    with pytest.raises(ConfigError):
        setup_logging(file=tmp_path / "none" / "run.jsonl")
    log.info("tried")
    report.undo()

    assert "tried" in (tmp_path / "run.jsonl").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").touch(mode=0o400)
    with pytest.raises(ConfigError, match="Permission denied"):
        setup_logging(file=tmp_path / "run.jsonl")


def test_a_pipe_nobody_reads_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="a pipe that nobody reads"):
        setup_logging(file=tmp_path / "pipe")


@pytest.mark.parametrize(
    ("file", "arguments", "why"),
    [
        ("folder", {}, "Is a directory"),
        ("none/run.jsonl", {}, "make the folder .* first"),
        ("run.jsonl/run.jsonl", {}, "make the folder .* first"),
        ("null\0byte", {}, "null byte"),
        ("pipe", {"max_bytes": 100}, "no regular file"),
        ("run.jsonl", {"max_age_s": 60.0}, "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_with_the_reason_and_nothing_is_left_behind(
    tmp_path: Path, file: str, arguments: dict[str, Any], why: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    if arguments.get("max_age_s"):
        (tmp_path / "run.jsonl.lock").mkdir()
    elif file != "run.jsonl/run.jsonl":
        (tmp_path / "run.jsonl").touch()
    before, files = root_state(), sorted(tmp_path.iterdir())
    with pytest.raises(ConfigError, match=why) as caught:
        setup_logging(file=tmp_path / file, **arguments)

    assert "nothing was changed" in str(caught.value)
    assert root_state() == before
    assert sorted(tmp_path.iterdir()) == files


def test_what_fails_half_way_is_taken_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = root_state()
    monkeypatch.setattr("controlroom.logs.setup.log_warning", None)
    monkeypatch.setattr("controlroom.logs.changes.Changes.show_warnings", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        setup_logging(file=tmp_path / "run.jsonl")

    assert root_state() == before


def test_what_fails_before_the_file_is_in_use_leaves_no_file_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr("controlroom.logs.setup.Console", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        setup_logging(format="console", file=tmp_path / "run.jsonl", max_bytes=100)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_threads_that_set_up_at_once_install_one_handler(root_without_pytest: None) -> None:
    reports: list[LoggingReport] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        reports.append(setup_logging())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(logging.getLogger().handlers) == 1
    assert len({id(report) for report in reports}) == 1
    reports[0].undo()


def test_a_warning_is_one_line_and_is_displayed_again_after_undo(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        shown = warnings.showwarning
        report = setup_logging(file=tmp_path / "run.jsonl")
        warnings.warn("careful", UserWarning, stacklevel=1)
        report.undo()
        assert warnings.showwarning is shown

    line = json.loads((tmp_path / "run.jsonl").read_text())
    assert (line["level"], line["event"], line["logger"]) == ("WARNING", "careful", "py.warnings")
    assert line["category"] == "UserWarning"
    assert line["at"].startswith(f"{__file__}:")


def test_a_setup_inside_a_block_that_catches_warnings_leaves_no_trace_behind_it(tmp_path: Path) -> None:
    shown = warnings.showwarning
    with warnings.catch_warnings():
        report = setup_logging()
    report.undo()

    assert warnings.showwarning is shown


def test_http_libraries_do_not_print_their_urls(lines: Any) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET https://example.com/?token=abc")
    logging.getLogger("botocore.endpoint").debug("body")
    logging.getLogger("urllib3.connectionpool").warning("retrying")

    assert [line["logger"] for line in lines()] == ["urllib3.connectionpool"]


def test_a_higher_level_holds_for_http_libraries_too(tmp_path: Path) -> None:
    report = setup_logging("ERROR", file=tmp_path / "run.jsonl")
    logging.getLogger("httpx").warning("retrying")
    report.undo()

    assert (tmp_path / "run.jsonl").read_text() == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_lines_are_for_people(root_without_pytest: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    report = setup_logging()
    log.warning("tried", page=7)
    report.undo()

    assert report.format == "console"
    assert " \x1b[33mWARNING \x1b[0m \x1b[1mtried\x1b[0m" in sys.stderr.getvalue()


def test_no_color_is_respected(root_without_pytest: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    report = setup_logging()
    log.warning("tried")
    report.undo()

    assert "\x1b" not in sys.stderr.getvalue()


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_process_without_stderr_logs_to_its_file_and_counts_the_rest(
    root_without_pytest: None, stream: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    report = setup_logging(file=tmp_path / "run.jsonl")
    log.info("tried")
    log.info("tried")
    report.undo()

    *others, last = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert report.dropped == 2
    assert len(others) == 2
    assert (last["event"], last["level"], last["count"], last["sinks"]) == (
        "log_lines_lost",
        "WARNING",
        2,
        {"stderr": 2},
    )


def test_a_full_disk_is_counted_and_the_job_goes_on(
    root_without_pytest: None, capsys: pytest.CaptureFixture[str]
) -> None:
    report = setup_logging(file="/dev/full")
    log.info("tried")
    logging.getLogger("other").warning("tried")
    report.undo()

    assert report.dropped == 2
    assert [line["event"] for line in printed(capsys)] == ["tried", "tried", "log_lines_lost"]


def test_dropped_counts_from_its_own_setup_on(root_without_pytest: None) -> None:
    first = setup_logging(file="/dev/full")
    log.info("tried")
    second = setup_logging()
    second.undo()

    assert first.dropped == 1
    assert second.dropped == 0


class LambdaLoggerHandler(logging.Handler):
    """As the runtime's: formats, writes what it gets, adds no newline."""

    def __init__(self) -> None:
        super().__init__()
        self.written = ""

    def emit(self, record: logging.LogRecord) -> None:
        record.aws_request_id = "req-1"
        self.written += self.format(record)


class LambdaLoggerHandlerWithFrameType(LambdaLoggerHandler):
    pass


@pytest.mark.parametrize("kind", [LambdaLoggerHandler, LambdaLoggerHandlerWithFrameType])
def test_lambdas_handler_is_joined_and_given_back(
    bare_root: logging.Logger, kind: type[LambdaLoggerHandler], capsys: pytest.CaptureFixture[str]
) -> None:
    root, handler = bare_root, kind()
    handler.setFormatter(formatter := logging.Formatter("%(message)s"))
    root.addHandler(handler)
    root.setLevel("WARNING")
    report = setup_logging(file=None)
    log.info("tried", page=7)
    logging.getLogger("other").info("hello")
    handlers, level = list(root.handlers), root.level
    report.undo()

    assert (report.host, report.format, handlers, level) == ("lambda", "json", [handler], logging.INFO)
    assert [json.loads(line)["event"] for line in handler.written.splitlines()] == ["tried", "hello"]
    assert json.loads(handler.written.splitlines()[0])["aws_request_id"] == "req-1"
    assert capsys.readouterr() == ("", "")
    assert (handler.formatter, root.level) == (formatter, logging.WARNING)


def test_lambda_without_the_runtimes_handler_is_owned(
    root_without_pytest: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "ingest")
    report = setup_logging()
    log.info("tried")
    report.undo()

    assert report.host == "lambda"
    assert len(printed(capsys)) == 1


def test_an_airflow_task_is_joined_and_nothing_of_it_changes(
    bare_root: logging.Logger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "ingest")
    root, handler = bare_root, logging.StreamHandler(io.StringIO())
    handler.setFormatter(formatter := logging.Formatter("AIRFLOW %(message)s"))
    root.addHandler(handler)
    root.setLevel("INFO")
    shown = warnings.showwarning
    report = setup_logging("DEBUG", file=tmp_path / "run.jsonl")
    log.info("tried", page=7)
    state = root.level, handler.formatter
    report.undo()

    assert (report.host, report.format, report.level) == ("airflow", "host", "INFO")
    assert state == (logging.INFO, formatter)
    assert warnings.showwarning is shown
    assert handler.stream.getvalue() == "AIRFLOW tried page=7\n"
    assert capsys.readouterr() == ("", "")
    assert len((tmp_path / "run.jsonl").read_text().splitlines()) == 1
    assert root.handlers == [handler]


def test_a_process_that_an_airflow_task_started_owns_its_logging(
    root_without_pytest: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "ingest")
    report = setup_logging()
    log.info("tried")
    report.undo()

    assert (report.host, report.format) == ("airflow", "json")
    assert len(printed(capsys)) == 1


def test_the_report_is_frozen_and_shows_no_machinery() -> None:
    report = setup_logging()
    report.undo()

    with pytest.raises(AttributeError):
        report.host = "x"
    assert "_changes" not in repr(report)


def test_file_descriptors_are_given_back(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(5):
        setup_logging(file=tmp_path / f"{number}.jsonl", max_bytes=100)
    setup_logging(file=tmp_path / "last.jsonl").undo()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_handlers_of_ours_are_there_to_be_found(tmp_path: Path) -> None:
    report = setup_logging(file=tmp_path / "run.jsonl")
    kinds = [type(handler) for handler in logging.getLogger().handlers]
    report.undo()

    assert StderrSink in kinds
    assert FileSink in kinds


def test_a_sink_that_somebody_removed_is_closed_all_the_same(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    report = setup_logging(file=tmp_path / "run.jsonl")
    root = logging.getLogger()
    (sink,) = (handler for handler in root.handlers if isinstance(handler, FileSink))
    root.removeHandler(sink)
    report.undo()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_host_that_is_joined_gets_json_even_where_stderr_is_a_terminal(
    bare_root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    bare_root.addHandler(LambdaLoggerHandler())
    report = setup_logging()
    report.undo()

    assert report.format == "json"


def test_airflow_modules_in_a_test_do_not_make_pytests_handlers_those_of_a_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "ingest")
    report = setup_logging()
    log.info("tried")
    report.undo()

    assert report.format == "json"
    assert len(printed(capsys)) == 1


def test_only_one_thread_at_a_time_sets_up(root_without_pytest: None, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, pause = [0], [0], threading.Event()

    def slowly(_name: str) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        pause.wait(0.05)
        inside[0] -= 1

    monkeypatch.setattr("controlroom.logs.setup.import_module", slowly)
    threads = [threading.Thread(target=setup_logging, args=(level,)) for level in ("INFO", "WARNING", "ERROR")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    setup_logging().undo()

    assert most == [1]


def test_the_report_says_in_words_what_was_found_and_done(root_without_pytest: None, tmp_path: Path) -> None:
    report = setup_logging(
        "WARNING",
        file=tmp_path / "run.jsonl",
        max_bytes=1_000,
        max_age_s=86_400,
        keep=7,
        compress=True,
        callsite=True,
        sample={"tried": 100},
        summarise_after=10,
        debug_buffer=50,
    )
    report.undo()

    told = str(report)
    for words in (
        "Found the host process",
        "no handlers",
        "added stderr in the json format",
        f"{tmp_path / 'run.jsonl'}, rotated after 1000 bytes or 86400 s; 7 older ones stay, packed with gzip",
        "keeps one of 100 events tried",
        "shows 10 identical events a minute",
        "keeps 50 events below WARNING a run",
        "let lines say where they were logged",
        "Lines are shown from WARNING.",
    ):
        assert words in told


def test_the_defaults_add_no_gate_no_lock_and_no_filter(root_without_pytest: None, tmp_path: Path) -> None:
    report = setup_logging(file=tmp_path / "run.jsonl")
    kinds = [type(handler) for handler in logging.getLogger().handlers]
    filters = [handler.filters for handler in logging.getLogger().handlers]
    report.undo()

    assert kinds == [StderrSink, FileSink]
    assert filters == [[], []]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.jsonl"]


def test_a_callsite_is_shown_where_asked_for_and_no_longer_after_undo(
    root_without_pytest: None, tmp_path: Path
) -> None:
    report = setup_logging(file=tmp_path / "run.jsonl", callsite=True)
    log.info("tried")
    report.undo()
    report = setup_logging(file=tmp_path / "run.jsonl")
    log.info("tried")
    report.undo()

    with_place, without = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert with_place["at"].startswith("test_setup:")
    assert "at" not in without


def test_age_and_packing_reach_the_file(root_without_pytest: None, tmp_path: Path) -> None:
    with ManualClock() as clock:
        report = setup_logging(file=tmp_path / "run.jsonl", max_age_s=60, compress=True)
        log.info("tried")
        clock.advance(61)
        log.info("tried")
        report.undo()

    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.jsonl", "run.jsonl.1.gz", "run.jsonl.lock"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # that is the point
def test_a_thread_that_holds_the_setup_when_the_process_forks_does_not_hang_the_child(tmp_path: Path) -> None:
    inside, go = threading.Event(), threading.Event()

    def slow(*_: Any, **_same: Any) -> Any:
        inside.set()
        go.wait(timeout=60)
        raise OSError(5, "Input/output error")

    def work() -> None:
        with pytest.raises(ConfigError):
            setup_logging(file=tmp_path / "run.jsonl")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("controlroom.logs.wanted.AppendedFile.__init__", slow)
        thread = threading.Thread(target=work)
        thread.start()
        assert inside.wait(timeout=60)
        child = os.fork()
        if child == 0:
            patched.undo()
            signal.alarm(60)
            setup_logging(file=tmp_path / "child.jsonl")
            os._exit(0)
        go.set()
        thread.join()

    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("name", TALKATIVE)
def test_what_logs_urls_or_parameters_is_kept_to_warnings_even_at_debug(name: str) -> None:
    report = setup_logging(level="DEBUG")
    during = logging.getLogger(name).getEffectiveLevel()
    report.undo()

    assert during == logging.WARNING
