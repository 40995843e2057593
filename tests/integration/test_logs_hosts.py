"""Whole processes, as hosts start them: who prints what, how often, and what is loaded for it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from controlroom.logs.cron import schedule_of

JOB = """
    from controlroom.logs import get_logger, setup_logging
    import logging
    report = setup_logging()
    again = setup_logging()
    get_logger("job").info("tried", page=7)
    logging.getLogger("other").info("hello")
"""


def run(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-X", "dev", *arguments, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True)


def events(text: str) -> list[Any]:
    return [json.loads(line)["event"] for line in text.splitlines()]


def test_a_plain_process_prints_each_line_once_on_stderr_and_nothing_on_stdout() -> None:
    done = run(JOB)

    assert done.stdout == ""
    assert events(done.stderr) == ["tried", "hello"]


def test_a_process_that_configured_a_console_itself_does_not_print_twice() -> None:
    done = run("import logging; logging.basicConfig(level='INFO')\n" + textwrap.dedent(JOB))

    assert done.stdout == ""
    assert events(done.stderr) == ["tried", "hello"]


def test_before_setup_nothing_but_warnings_is_printed_and_none_of_it_on_stdout() -> None:
    done = run("""
        from controlroom.logs import get_logger
        log = get_logger("job")
        log.info("not_shown")
        log.warning("shown", page=7)
    """)

    assert (done.stdout, done.stderr) == ("", "shown page=7\n")


LAMBDA = """
    import logging, sys
    class LambdaLoggerFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = "req-1"
            record.tenant_id = None
            return True
    class LambdaLoggerHandler(logging.Handler):
        def emit(self, record):
            sys.stdout.write(self.format(record))
    root = logging.getLogger()
    handler = LambdaLoggerHandler()
    handler.setFormatter(logging.Formatter("[%(levelname)s]\\t%(message)s\\n"))
    handler.addFilter(LambdaLoggerFilter())
    root.addHandler(handler)
"""


def test_under_lambda_lines_take_the_runtimes_own_way_once() -> None:
    done = run(
        textwrap.dedent(LAMBDA) + textwrap.dedent(JOB) + "report.undo()\nroot.error('after undo')\n",
        AWS_LAMBDA_FUNCTION_NAME="ingest",
        AWS_LAMBDA_RUNTIME_API="127.0.0.1:9001",
    )

    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert events("\n".join(lines[:-1])) == ["tried", "hello"]
    assert json.loads(lines[0])["aws_request_id"] == "req-1"
    assert lines[-1] == "[ERROR]\tafter undo"


def test_under_airflow_lines_reach_the_tasks_log_once_and_no_console() -> None:
    done = run(
        """
    import logging, sys
    logging.basicConfig(stream=sys.stdout, format="TASK %(levelname)s %(message)s", level="INFO")
        """
        + JOB,
        AIRFLOW_CTX_DAG_ID="ingest",
        AIRFLOW_CTX_TASK_ID="load",
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["TASK INFO tried page=7", "TASK INFO hello"]


def test_under_pytest_caplog_and_stderr_each_get_a_line_once(tmp_path: Path) -> None:
    (tmp_path / "test_job.py").write_text(
        textwrap.dedent("""
        import json
        from controlroom.logs import get_logger, setup_logging

        def test_job(caplog, capsys):
            report = setup_logging()
            setup_logging()
            get_logger("job").info("tried")
            report.undo()
            assert caplog.messages == ["tried"]
            assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["tried"]
            assert report.host == "pytest"
        """)
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stdout


AT_A_TERMINAL = """
    import json
    from controlroom import BaseSettings, job

    class Settings(BaseSettings):
        page_size: int

    def parse(text):
        return json.loads(text)

    @job(settings=Settings, prefix="PROBE_")
    def ingest(run):
        run.log.info("page_fetched", body="x" * 1_000, title="\\x1b]0;owned\\x07")
        parse("{")

    ingest.main()
"""


def at_a_terminal(folder: Path, **env: str) -> str:
    """What a person sees of the job at a terminal of 80 columns; its stderr is one."""
    (folder / "job.py").write_text(textwrap.dedent(AT_A_TERMINAL))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "job.py"], cwd=folder, env=env, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while part := os.read(ours, 65_536):
                shown += part
        os.close(ours)
    assert process.returncode > 0
    return shown.decode().replace("\r\n", "\n")


def test_a_person_at_a_terminal_sees_the_run_without_what_does_not_concern_them(tmp_path: Path) -> None:
    shown = at_a_terminal(tmp_path, PROBE_PAGE_SIZE="20", NO_COLOR="1")
    head, facts, loaded, setting, page, failed, *failure, finished = shown.splitlines()

    assert re.search(r" INFO     run_started run_id=[0-9a-f-]{36} job=ingest host=command_line", head)
    assert re.match(r"    kind=\w+ hostname=", facts)
    assert loaded.endswith("settings_loaded [controlroom.jobs.definition]")
    assert setting == "    page_size  20  PROBE_PAGE_SIZE (environment)"
    assert "…(+760 characters)" in page
    assert "run_failed code=unforeseen" in failed
    assert [re.sub(r"\d+ frames?", "n frames", line) for line in failure[:-1]] == [
        "  json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "    … n frames in controlroom …",
        "    job.py:14 in ingest",
        '      parse("{")',
        "    job.py:9 in parse",
        "      return json.loads(text)",
        "    … n frames in json …",
    ]
    assert failure[-1].endswith("in JSONDecoder.raw_decode")
    assert "outcome=failed exit_code=70" in finished
    assert shown.count("run_id=") == 1
    assert "\x1b" not in shown


def test_an_operators_mistake_at_a_terminal_shows_what_to_correct_and_no_frames(tmp_path: Path) -> None:
    shown = at_a_terminal(tmp_path, TERM="xterm")

    assert "\x1b[31mERROR   \x1b[0m" in shown
    assert "Set PROBE_PAGE_SIZE" in shown
    assert "frame" not in shown
    assert ".py:" not in shown


WHO = """
    import json
    from controlroom.logs import setup_logging
    from controlroom.logs.surroundings import host_facts
    print(json.dumps([setup_logging().host, host_facts()]))
"""


def under(parent: str, folder: Path, **env: str) -> Any:
    """What a process finds whose parent is a shell that is called *parent*, without a terminal, as a daemon's."""
    shell = folder / parent
    shutil.copy("/bin/sh", shell)
    (folder / "job.py").write_text(textwrap.dedent(WHO))
    done = subprocess.run(
        [shell, "-c", f"{sys.executable} {folder / 'job.py'}; true"],  # something behind it: the shell stays
        env=env,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout)


def test_what_cron_started_knows_so_by_its_ancestors(tmp_path: Path) -> None:
    host, facts = under("cron", tmp_path)

    assert (host, facts["kind"], facts["scheduled_by"]) == ("cron", "cron", "cron")
    assert "guessed" not in facts


@pytest.mark.skipif(schedule_of({}) is not None, reason="cron itself started these tests: it is among the ancestors")
def test_a_daemon_that_only_looks_like_cron_to_its_children_is_a_process(tmp_path: Path) -> None:
    like_cron = {"SHELL": "/bin/sh", "HOME": "/", "LOGNAME": "ada", "PATH": "/usr/bin:/bin"}

    assert under("runner", tmp_path, **like_cron)[0] == "process"


def test_what_a_timer_of_systemd_started_knows_so_by_its_environment(tmp_path: Path) -> None:
    host, facts = under(
        "runner", tmp_path, TRIGGER_TIMER_REALTIME_USEC="1", TRIGGER_UNIT="a.timer", INVOCATION_ID="4711"
    )

    assert (host, facts["scheduled_by"], facts["timer"], facts["invocation_id"]) == (
        "cron",
        "systemd_timer",
        "a.timer",
        "4711",
    )


def test_a_job_in_ci_logs_like_any_other_and_knows_where_it_is(tmp_path: Path) -> None:
    host, facts = under("cron", tmp_path, CI="true", GITHUB_ACTIONS="true", GITHUB_SHA="abc", GITHUB_TOKEN="ghs_canary")

    assert (host, facts["provider"], facts["sha"]) == ("ci", "github", "abc")
    assert "canary" not in json.dumps(facts)
    done = run(JOB, CI="true")
    assert (done.stdout, events(done.stderr)) == ("", ["tried", "hello"])


LOADED = """
    import sys
    before = set(sys.modules)
    import controlroom.logs
    {then}
    names = {{name.split(".")[0] for name in set(sys.modules) - before}}
    print(*sorted(names - sys.stdlib_module_names - {{"controlroom"}}))
"""


def loaded(then: str) -> list[str]:
    return run(LOADED.format(then=then)).stdout.split()


def test_importing_the_logs_loads_no_third_party_module_at_all() -> None:
    assert loaded("") == []
    assert loaded("controlroom.logs.get_logger('app').debug('not_shown')") == []


def test_setting_up_loads_structlog_and_what_structlog_itself_looks_for() -> None:
    """structlog imports rich, and rich pygments, wherever they are installed; nothing of ours asks for them."""
    found = loaded("controlroom.logs.setup_logging()")
    of_structlog = run("""
        import sys
        before = set(sys.modules)
        import structlog
        names = {name.split(".")[0] for name in set(sys.modules) - before}
        print(*sorted(names - sys.stdlib_module_names))
    """).stdout.split()

    assert "structlog" in found
    assert found == of_structlog


def test_a_job_that_is_killed_keeps_every_line_it_logged(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    code = f"""
        import os, signal
        from controlroom.logs import get_logger, setup_logging
        setup_logging(file={str(file)!r})
        for number in range(100):
            get_logger("job").info("tried", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    with pytest.raises(subprocess.CalledProcessError):
        run(code)

    assert [json.loads(line)["number"] for line in file.read_text().splitlines()] == list(range(100))


def test_a_reader_that_goes_away_does_not_end_the_job() -> None:
    code = textwrap.dedent("""
        import sys
        from controlroom.logs import get_logger, setup_logging
        report = setup_logging()
        for number in range(10_000):
            get_logger("job").info("tried", number=number)
        print("dropped", report.dropped > 0)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.close()
        assert process.stdout.read() == "dropped True\n"
        process.wait(timeout=120)


def test_lines_logged_while_the_interpreter_ends_do_no_harm(tmp_path: Path) -> None:
    done = run(f"""
        import atexit
        from controlroom.logs import get_logger, setup_logging
        setup_logging(file={str(tmp_path / "run.jsonl")!r})
        atexit.register(get_logger("job").info, "ended")
        class Late:
            log = get_logger("late")
            def __del__(self):
                self.log.info("deleted")
        late = Late()
    """)

    assert events(done.stderr)[0] == "ended"
    assert "Traceback" not in done.stderr
