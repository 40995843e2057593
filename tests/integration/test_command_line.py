"""Jobs as processes: exit codes, signals, and what reaches stdout and stderr."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

JOBS = Path(__file__).with_name("command_line_jobs.py")
PATIENCE_S = 60
SOON_S = "0.2"
CANARY = "c4n4ry-Value-0x7f"

pytestmark = pytest.mark.slow


class Finished:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    @property
    def errors(self) -> list[str]:
        return [event["event"] for event in self.events if event["level"] in ("ERROR", "CRITICAL")]


def start(
    arguments: Sequence[str], cwd: Path, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.Popen[str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("APP_", "PYTHONUNBUFFERED"))}
    return subprocess.Popen(
        [sys.executable, str(JOBS), *arguments],
        cwd=cwd,
        env={**clean, **environment},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"did not end within {PATIENCE_S} s\n{out}\n{err}")
    return Finished(process.returncode, out, err)


def run(arguments: Sequence[str], cwd: Path, **environment: str) -> Finished:
    return finish(start(arguments, cwd, **environment))


def signalled(name: str, cwd: Path, *signals: int, **environment: str) -> Finished:
    """Start job *name*, wait until it is at work, and send it *signals*, each once the one before was received."""
    process = start([name], cwd, **environment)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    seen = ""
    for number in signals:
        process.send_signal(number)
        if number is not signals[-1] or len(signals) > 1:
            while "shutdown_requested" not in seen:
                line = process.stderr.readline()
                assert line, f"ended without a word of the signal\n{seen}"
                seen += line
    finished = finish(process)
    finished.err = seen + finished.err
    return finished


@pytest.mark.parametrize(
    ("job", "error", "code"),
    [
        ("raises", "ConfigError", 78),
        ("raises", "DataError", 65),
        ("raises", "APIConnectionError", 75),
        ("raises", "APIAuthError", 77),
        ("raises", "CommitInDoubtError", 74),
        ("raises", "LeaseLostError", 69),
        ("raises", "ControlRoomError", 70),
        ("raises", "NothingToDo", 99),
        ("raises_async", "DataError", 65),
        ("raises_async", "NothingToDo", 99),
    ],
)
def test_the_exit_code_says_what_a_scheduler_should_do(tmp_path: Path, job: str, error: str, code: int) -> None:
    done = run([job], tmp_path, RAISES=error)

    assert done.code == code
    assert done.errors == ([] if error == "NothingToDo" else ["run_failed"])
    (finished,) = done.named("run_finished")
    assert finished["exit_code"] == code
    assert finished["outcome"] == ("skipped" if error == "NothingToDo" else "failed")


@pytest.mark.parametrize(
    ("job", "environment", "code"),
    [
        ("succeeds", {}, 0),
        ("succeeds_async", {}, 0),
        ("unforeseen", {}, 70),
        ("interrupted", {}, 130),
        ("leaves", {"LEAVES": ""}, 0),
        ("leaves", {"LEAVES": "0"}, 0),
        ("leaves", {"LEAVES": "3"}, 3),
        ("leaves", {"LEAVES": "256"}, 70),
        ("leaves", {"LEAVES": "-1"}, 70),
        ("leaves", {"LEAVES": "with a text"}, 70),
    ],
)
def test_other_ends_have_an_exit_code_too(tmp_path: Path, job: str, environment: dict[str, str], code: int) -> None:
    done = run([job], tmp_path, **environment)

    assert done.code == code
    assert done.errors == (["run_failed"] if code not in (0, 130) else [])
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        [f"--token={CANARY}"],
        [f"--set={CANARY}"],
        ["--set", f"={CANARY}"],
        [CANARY],
        ["--deadline", "soon"],
        ["--deadline", "-1"],
        ["--deadline", "inf"],
        ["--log-level", "LOUD"],
        ["--log-format", "xml"],
        ["--dead", "3"],
    ],
)
def test_wrong_usage_is_64_and_echoes_no_secret(tmp_path: Path, arguments: list[str]) -> None:
    done = run(["with_settings", *arguments], tmp_path)

    assert done.code == 64
    assert "usage:" in done.err
    assert CANARY not in done.err
    assert done.out == ""


@pytest.mark.parametrize("arguments", [["--set", "a=1"], ["--profile", "prod"]])
def test_options_for_settings_are_wrong_usage_where_there_are_none(tmp_path: Path, arguments: list[str]) -> None:
    assert run(["succeeds", *arguments], tmp_path).code == 64


def test_help_is_no_failure(tmp_path: Path) -> None:
    done = run(["with_settings", "--help"], tmp_path)

    assert (done.code, done.err) == (0, "")
    assert "--deadline SECONDS" in done.out


@pytest.mark.parametrize("log_format", ["json", "console", "auto"])
def test_stdout_belongs_to_the_job(tmp_path: Path, log_format: str) -> None:
    done = run(["succeeds", "--log-format", log_format, "--log-level", "debug"], tmp_path)

    assert done.out == "data\n"
    assert "run_started" in done.err


def test_one_run_is_one_story_with_one_id(tmp_path: Path) -> None:
    done = run(["with_settings", "--set", f"token={CANARY}", "--deadline", "60", "--log-file", "run.jsonl"], tmp_path)

    assert [event["event"] for event in done.events] == ["run_started", "settings_loaded", "counted", "run_finished"]
    assert len({event["run_id"] for event in done.events}) == 1
    assert done.events[0]["host"] == "command_line"
    assert (done.events[-1]["outcome"], done.events[-1]["exit_code"]) == ("succeeded", 0)
    kept = [json.loads(line)["event"] for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert kept == [event["event"] for event in done.events]


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("count", ["3", "13", "many"])
def test_a_secret_never_reaches_stderr_or_the_log_file(tmp_path: Path, log_format: str, count: str) -> None:
    arguments = [
        "--set",
        f"count={count}",
        "--log-format",
        log_format,
        "--log-level",
        "DEBUG",
        "--log-file",
        "run.jsonl",
    ]
    done = run(["with_settings", *arguments], tmp_path, APP_TOKEN=CANARY)

    assert done.code == {"3": 0, "13": 70, "many": 78}[count]
    assert CANARY not in done.err + done.out + (tmp_path / "run.jsonl").read_text()


def test_refused_settings_are_78_and_one_error(tmp_path: Path) -> None:
    done = run(["with_settings"], tmp_path, APP_TOKEM=CANARY)

    assert done.code == 78
    assert done.errors == ["run_failed"]
    assert "Set APP_TOKEN" in done.err
    assert "APP_TOKEM is set; did you mean APP_TOKEN?" in done.err


def test_a_log_file_that_cannot_be_opened_ends_the_process_before_the_job_begins(tmp_path: Path) -> None:
    done = run(["succeeds", "--log-file", "none/run.jsonl"], tmp_path)

    assert done.code == 78
    assert done.out == ""
    assert "[config]" in done.err
    assert "Traceback" not in done.err


def test_the_deadline_of_the_command_line_is_the_ambient_one(tmp_path: Path) -> None:
    done = run(["tells_deadline", "--deadline", "120"], tmp_path)

    assert done.out.strip() in ("120", "119")
    assert done.code == 75


# Signals.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("job", ["loops", "waits", "loops_async", "waits_async"])
def test_a_signal_ends_the_job_at_a_safe_point_or_in_a_wait(tmp_path: Path, job: str, number: int, code: int) -> None:
    done = signalled(job, tmp_path, number, DRAIN_S="600")

    assert done.code == code
    assert done.errors == []
    assert [event["event"] for event in done.events][-2:] == ["shutdown_requested", "run_finished"]
    assert done.named("run_finished")[0]["outcome"] == "stopped"
    assert len({event["run_id"] for event in done.events}) == 1
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("job", ["spins", "blocks", "awaits_async", "spins_async", "spins_in_a_task"])
def test_a_job_without_a_safe_point_is_interrupted_when_its_time_to_drain_is_over(
    tmp_path: Path, job: str, number: int, code: int
) -> None:
    done = signalled(job, tmp_path, number, DRAIN_S=SOON_S)

    assert done.code == code
    assert done.errors == []
    assert "Nothing is half done" not in done.named("run_finished")[0]["reason"]
    assert "Traceback" not in done.err
    if job in ("spins", "awaits_async"):
        assert done.named("rolled_back")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("job", ["spins", "blocks", "awaits_async", "spins_async", "spins_in_a_task"])
def test_a_second_signal_interrupts_at_once(tmp_path: Path, job: str, number: int, code: int) -> None:
    done = signalled(job, tmp_path, number, signal.SIGTERM, DRAIN_S="600")

    assert done.code == code
    assert done.errors == []
    assert "SIGTERM followed" in done.named("run_finished")[0]["reason"] or job.endswith("async")


@pytest.mark.parametrize("job", ["waits_while_a_thread_is_told", "awaits_while_a_thread_is_told"])
def test_a_signal_that_breaks_off_no_system_call_of_the_main_thread_is_heard(tmp_path: Path, job: str) -> None:
    """As one does that another thread receives, or that comes just before the call."""
    done = signalled(job, tmp_path, DRAIN_S="0")

    assert done.code == 143
    assert done.errors == []


def test_a_signal_that_asks_for_nothing_ends_no_wait(tmp_path: Path) -> None:
    done = run(["sleeps_on"], tmp_path)

    assert (done.code, done.out.split("\n")) == (0, ["heard", "long enough", ""])


@pytest.mark.parametrize("job", ["spins", "spins_async"])
def test_no_time_to_drain_means_interrupted_at_once(tmp_path: Path, job: str) -> None:
    assert signalled(job, tmp_path, signal.SIGTERM, DRAIN_S="0").code == 143


def test_a_job_that_swallows_the_interruption_is_interrupted_again(tmp_path: Path) -> None:
    process = start(["swallows"], tmp_path, DRAIN_S="0.5")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    seen = 0
    while seen < 3:
        seen += "swallowed" in process.stderr.readline()
    process.kill()
    finish(process)

    assert seen == 3


def test_a_job_that_finishes_its_work_all_the_same_has_succeeded(tmp_path: Path) -> None:
    done = signalled("finishes", tmp_path, signal.SIGTERM)

    assert done.code == 0
    assert done.named("finished_anyway")
    assert done.named("run_finished")[0]["outcome"] == "succeeded"


def test_a_task_left_behind_that_refuses_to_end_does_not_hold_the_process(tmp_path: Path) -> None:
    """The first interruption ends the job, the next one the clean-up that does not come to an end."""
    done = signalled("leaves_a_stubborn_task", tmp_path, signal.SIGTERM, DRAIN_S=SOON_S)

    assert done.code == 143


@pytest.mark.parametrize("job", ["waits", "spins", "awaits_async", "succeeds", "raises"])
def test_handlers_and_timers_are_restored(tmp_path: Path, job: str) -> None:
    environment = {"CHECK_RESTORED": "1", "DRAIN_S": SOON_S, "RAISES": "DataError"}
    if job in ("succeeds", "raises"):
        done = run([job], tmp_path, **environment)
    else:
        done = signalled(job, tmp_path, signal.SIGTERM, **environment)

    assert done.out.splitlines()[-1].startswith("[True, True, True, True]")


def test_a_signal_that_was_ignored_stays_ignored(tmp_path: Path) -> None:
    """nohup and ``&`` in a script ignore SIGINT for what they start."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start(["loops"], tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)

    assert finish(process).code == 143


def test_a_clean_up_under_way_is_left_alone_for_as_long_as_the_drain(tmp_path: Path) -> None:
    done = signalled("cleans_up", tmp_path, signal.SIGTERM, signal.SIGTERM, DRAIN_S="600")

    assert done.code == 143
    assert done.named("rolled_back")


# The rest of the host's contract.


def test_output_whose_reader_went_away_at_the_end_is_no_success(tmp_path: Path) -> None:
    process = start(["prints_last"], tmp_path)
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    process.stdin.write("go on\n")
    done = finish(process)

    assert done.code == 74
    assert "Exception ignored" not in done.err
    assert "Traceback" not in done.err


def test_a_reader_that_goes_away_ends_the_job_with_one_error(tmp_path: Path) -> None:
    process = start(["prints_much"], tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    done = finish(process)

    assert done.code == 70
    assert done.errors == ["run_failed"]
    assert "Exception ignored" not in done.err
    assert "Traceback" not in done.err


def test_main_inside_a_running_loop_says_what_to_call_instead(tmp_path: Path) -> None:
    done = run(["inside_a_loop"], tmp_path)

    assert done.code == 70
    assert "await succeeds.arun()" in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system: a full disk cannot be had")
def test_output_that_could_not_be_delivered_is_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = finish(start(["succeeds"], tmp_path, stdout=full.fileno()))

    assert done.code == 74
