"""The real runtime client of AWS Lambda: every event is one record, with the request's id, without secrets."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.lambda_runtime import LambdaRuntime, Reply, lambda_runtime

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        importlib.util.find_spec("awslambdaric") is None,
        reason="awslambdaric is not installed: nothing was tested under Lambda's own runtime client",
    ),
]

CANARY = "canary-4711/secret+value"
JSON = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
FORMATS = [
    pytest.param({}, id="text"),
    pytest.param({"AWS_LAMBDA_LOG_LEVEL": "INFO"}, id="text with a level"),
    pytest.param(JSON, id="JSON"),
    pytest.param({**JSON, "AWS_LAMBDA_LOG_LEVEL": "INFO"}, id="JSON with a level"),
]

APP = f"""
    import logging, os, warnings
    from controlroom.errors import DataError
    from controlroom.logs import bound, get_logger, register_secret, setup_logging

    CANARY = {CANARY!r}
    register_secret(CANARY)
    warnings.simplefilter("always")
    report = setup_logging()
    log = get_logger("job")
    log.info("function_loaded")

    def handler(event, context):
        assert setup_logging() is report
        with bound(file="a.csv"):
            return globals()[event["do"]](event, context)

    def tell(event, context):
        log.info("page_fetched", page=7, note="two\\nlines", secret_note=CANARY, url="https://x/?q=" + CANARY)
        log.debug("not_shown")
        logging.getLogger("other").info("of another\\npackage %s", CANARY, extra={{"rows": 3}})
        logging.getLogger("other").debug("not shown")
        warnings.warn("old " + CANARY)
        return {{"request": context.aws_request_id, "tenant": context.tenant_id, "pid": os.getpid()}}

    def fail(event, context):
        try:
            try:
                {{}}["missing"]
            except KeyError as cause:
                raise DataError("bad rows, with " + CANARY) from cause
        except DataError as error:
            error.add_note("of file a.csv")
            log.failure("ingest_failed", error)
            log.failure("run_failed", error)
            raise

    def stay(event, context):
        import time
        log.info("held", rows=list(range(2_000)), request=context.aws_request_id)
        time.sleep(event["for_s"])
        log.info("let_go", request=context.aws_request_id)
        return os.getpid()
"""


@dataclass(frozen=True)
class Told:
    """What one sandbox, kept warm through five requests, replied and printed."""

    env: dict[str, str]
    replies: dict[str, Reply]
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.split("\n")[:-1]

    @property
    def name_of_the_request(self) -> str:
        return "requestId" if self.is_json else "aws_request_id"

    @property
    def is_json(self) -> bool:
        return self.env.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"

    def of(self, request_id: str) -> list[dict[str, Any]]:
        """Our lines of one request; each is one JSON object."""
        ours = [json.loads(line) for line in self.lines if line.startswith('{"timestamp"') and '"seq"' in line]
        return [line for line in ours if line.get(self.name_of_the_request) == request_id]


@pytest.fixture(scope="module", params=FORMATS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    with lambda_runtime(tmp_path_factory.mktemp("lambda"), APP, **request.param) as runtime:
        replies = {
            "first": runtime.invoke({"do": "tell"}, request_id="first", tenant_id="blue"),
            "second": runtime.invoke({"do": "tell"}, request_id="second"),
            "third": runtime.invoke({"do": "fail"}, request_id="third", tenant_id="green"),
            "fourth": runtime.invoke({"do": "tell"}, request_id="fourth"),
        }
        return Told(request.param, replies, runtime.stdout, runtime.stderr)


def test_every_event_is_one_line_once_and_info_is_not_lost(told: Told) -> None:
    assert told.stderr == ""
    for request in ("first", "second", "fourth"):
        ours, theirs, warning = told.of(request)
        assert (ours["event"], ours["level"], ours["logger"]) == ("page_fetched", "INFO", "job")
        assert (ours["page"], ours["note"], ours["file"]) == (7, "two\nlines", "a.csv")
        assert (theirs["event"], theirs["level"], theirs["logger"]) == ("of another\npackage ***", "INFO", "other")
        assert (theirs["rows"], theirs["file"]) == (3, "a.csv")
        assert (warning["event"], warning["level"], warning["logger"]) == ("old ***", "WARNING", "py.warnings")
        for line in (ours, theirs, warning):
            assert {"timestamp", "level", "event", "logger", "seq", "pid"} <= line.keys()
    assert len(told.lines) == 1 + 3 * 3 + 2, "nothing else was printed"

    before_the_first = json.loads(told.lines[0])
    assert before_the_first["event"] == "function_loaded"
    assert {"requestId", "aws_request_id"}.isdisjoint(before_the_first)


def test_warm_invocations_tell_their_own_request_and_tenant(told: Told) -> None:
    tenant = "tenantId" if told.is_json else "tenant_id"
    tenants = {request: {line.get(tenant) for line in told.of(request)} for request in told.replies}

    assert tenants == {"first": {"blue"}, "second": {None}, "third": {"green"}, "fourth": {None}}
    for request in ("first", "second", "fourth"):
        assert told.replies[request].payload["request"] == request
    assert len({line["pid"] for request in told.replies for line in told.of(request)}) == 1


def test_one_failure_is_one_error_of_ours_and_the_runtimes_own_report_beside_it(told: Told) -> None:
    """The runtime prints what leaves the handler: type, text and traceback, but neither causes nor notes nor code."""
    (ours,) = told.of("third")
    theirs, after = told.lines[told.lines.index(json_of(told, ours)) + 1 :][:2]

    assert told.replies["third"].failed
    assert (ours["event"], ours["level"], ours["code"], ours["file"]) == ("ingest_failed", "ERROR", "data", "a.csv")
    assert [cause["type"] for cause in ours["exception"]["causes"]] == ["KeyError"]
    assert ours["exception"]["notes"] == ["of file a.csv"]
    if told.is_json:
        report = json.loads(theirs)
        assert (report["errorType"], report["requestId"], report["level"]) == ("DataError", "third", "ERROR")
    else:
        assert theirs.startswith("[ERROR] DataError: bad rows, with ***")
    assert "KeyError" not in theirs
    assert "note" not in theirs
    assert json.loads(after)["event"] == "page_fetched", "what follows the report begins on a line of its own"
    assert len([line for line in told.lines if "ERROR" in line]) == 2


def json_of(told: Told, line: dict[str, Any]) -> str:
    return next(text for text in told.lines if f'"seq":{line["seq"]},' in text)


def test_no_secret_comes_out_anywhere(told: Told) -> None:
    """The runtime shows source lines of a traceback: a literal there would be seen, the value of a variable is not."""
    seen = told.stdout + told.stderr + json.dumps([reply.payload for reply in told.replies.values()])

    for form in (CANARY, json.dumps(CANARY)[1:-1], "canary-4711%2Fsecret%2Bvalue", "4711"):
        assert form not in seen
    assert "***" in seen


def framed(raw: bytes) -> list[tuple[str, str]]:
    """The frames of awslambdaric's FramedTelemetryLogSink: type (which says level and form), length, time, text."""
    found = []
    while raw:
        kind, length = raw[:4], int.from_bytes(raw[4:8])
        found.append((kind.hex(), raw[16 : 16 + length].decode()))
        raw = raw[16 + length :]
    return found


def lines(runtime: LambdaRuntime) -> list[dict[str, Any]]:
    """What was printed; every line is one JSON object."""
    return [json.loads(line) for line in runtime.stdout.split("\n")[:-1]]


LEVELS = {"DEBUG": 0x08, "INFO": 0x0C, "WARNING": 0x10, "ERROR": 0x14}


@pytest.mark.parametrize("env", FORMATS[1:])
def test_on_the_platforms_own_channel_each_event_is_one_frame_of_its_level_and_form(
    env: dict[str, str], tmp_path: Path
) -> None:
    with lambda_runtime(tmp_path, APP, framed=True, **env) as runtime:
        runtime.invoke({"do": "tell"})
        runtime.invoke({"do": "fail"})
        stdout, frames = runtime.stdout, framed(runtime.frames)

    assert stdout == ""
    *ours, _runtimes_report = frames
    assert len(ours) == 5
    form = 0b10 if "AWS_LAMBDA_LOG_FORMAT" in env else 0b11
    for kind, text in ours:
        assert text.endswith("\n")
        line = json.loads(text)
        assert int(kind, 16) == 0xA55A0000 + LEVELS[line["level"]] + form, line["event"]


def test_without_a_level_frames_are_plain_text_and_whole(tmp_path: Path) -> None:
    with lambda_runtime(tmp_path, APP, framed=True) as runtime:
        runtime.invoke({"do": "tell"})
        frames = framed(runtime.frames)

    assert [json.loads(text)["event"] for _kind, text in frames][:2] == ["function_loaded", "page_fetched"]
    assert {kind for kind, _text in frames} == {"a55a0003"}


@pytest.mark.parametrize(
    ("form", "level", "events"),
    [
        (
            "JSON",
            "DEBUG",
            ["function_loaded", "page_fetched", "not_shown", "of another\npackage ***", "not shown", "old ***"],
        ),
        ("Text", "WARN", ["old ***"]),
        ("JSON", "FATAL", []),
    ],
)
def test_the_level_that_the_function_is_configured_with_goes_first(
    form: str, level: str, events: list[str], tmp_path: Path
) -> None:
    env = {"AWS_LAMBDA_LOG_FORMAT": form, "AWS_LAMBDA_LOG_LEVEL": level}
    with lambda_runtime(tmp_path, APP, **env) as runtime:
        runtime.invoke({"do": "tell"})
        printed = lines(runtime)

    assert [line["event"] for line in printed] == events


@pytest.mark.parametrize("env", [FORMATS[0], FORMATS[2]])
def test_workers_that_the_runtime_forks_mix_whole_lines_each_with_its_own_request(
    env: dict[str, str], tmp_path: Path
) -> None:
    with lambda_runtime(tmp_path, APP, AWS_LAMBDA_MAX_CONCURRENCY="3", **env) as runtime:
        requests = [runtime.offer({"do": "stay", "for_s": 0.2}) for _ in range(9)]
        workers = {runtime.reply(request).payload for request in requests}
        printed = lines(runtime)

    told = [line for line in printed if line["event"] in {"held", "let_go"}]
    assert len(workers) > 1
    assert {line["pid"] for line in told} == workers
    name = "requestId" if env else "aws_request_id"
    assert all(line[name] == line["request"] for line in told)
    assert sorted((line["request"], line["event"]) for line in told) == sorted(
        (request, event) for request in requests for event in ("held", "let_go")
    )


JOB = """
    from controlroom import job
    from controlroom.logs import setup_logging

    setup_logging()

    @job
    def ingest(run):
        run.log.info("worked")

    def handler(event, context):
        ingest.run()
"""


def test_a_run_tells_which_function_it_was_and_whether_it_started_cold(tmp_path: Path) -> None:
    with lambda_runtime(tmp_path, JOB) as runtime:
        runtime.invoke()
        runtime.invoke()
        first, second = (line["host_facts"] for line in lines(runtime) if line["event"] == "run_started")

    assert (first["kind"], first["function_name"], first["function_version"]) == ("lambda", "ingest", "$LATEST")
    assert (first["memory_mb"], first["region"], first["initialization"]) == (512, "eu-central-1", "on-demand")
    assert (first["cold_start"], second["cold_start"]) == (True, False)


def test_a_function_that_cannot_be_loaded_loses_none_of_its_lines(tmp_path: Path) -> None:
    code = """
        from controlroom.errors import ConfigError
        from controlroom.logs import get_logger, setup_logging
        setup_logging()
        error = ConfigError("No such bucket.", problems=["bucket"])
        get_logger("job").failure("function_not_loaded", error)
        raise error
    """
    with lambda_runtime(tmp_path, code) as runtime:
        reply = runtime.init_error()
        first = json.loads(runtime.stdout.split("\n")[0])

    assert reply.payload["errorType"] == "ConfigError"
    assert (first["event"], first["level"]) == ("function_not_loaded", "ERROR")


LEFT_BEHIND = """
    import sys, time
    from pathlib import Path
    from tests.integration.lambda_runtime import lambda_runtime
    with lambda_runtime(Path(sys.argv[1]), "import os\\ndef handler(event, context): return os.getpid()") as runtime:
        print(runtime.invoke().payload, flush=True)
        time.sleep(60)
"""


def test_a_runtime_ends_with_the_process_that_started_it_however_that_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(LEFT_BEHIND), str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 30
    while (
        stat := Path(f"/proc/{pid}/stat")
    ).exists() and " Z " not in stat.read_text():  # Z: nobody reaps orphans here
        assert time.monotonic() < until, "the runtime outlived the process that started it"
        time.sleep(0.02)
