"""What Python would print by itself: masked, in the file, and one ERROR; in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = """
import sys, threading
from controlroom import register_secret, setup_logging
report = setup_logging(format="json", file=sys.argv[1])
register_secret("s3cr3t-of-the-script")

def fail():
    raise ValueError("used s3cr3t-of-the-script")

"""


def run(tmp_path: Path, rest: str) -> tuple[int, str, list[dict[str, Any]]]:
    script, log = tmp_path / "script.py", tmp_path / "run.jsonl"
    script.write_text(SCRIPT + rest)
    done = subprocess.run([sys.executable, script, log], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr, [json.loads(line) for line in log.read_text().splitlines()]


def test_an_exception_that_ends_the_process_is_logged_and_masked(tmp_path: Path) -> None:
    code, shown, lines = run(tmp_path, "fail()")

    (line,) = lines
    assert (code, line["level"], line["event"], line["thread"]) == (1, "ERROR", "exception_uncaught", None)
    assert line["error"] == "ValueError: used ***"
    assert [frame["function"] for frame in line["exception"]["frames"]] == ["<module>", "fail"]
    assert "Traceback" not in shown
    assert "s3cr3t" not in shown


def test_an_exception_that_ends_a_thread_is_logged_with_its_name(tmp_path: Path) -> None:
    code, shown, lines = run(
        tmp_path, "thread = threading.Thread(target=fail, name='loader'); thread.start(); thread.join()"
    )

    assert (code, [line["thread"] for line in lines]) == (0, ["loader"])
    assert "s3cr3t" not in shown


def test_an_exception_that_was_logged_already_is_not_logged_again(tmp_path: Path) -> None:
    rest = """
from controlroom import get_logger
try:
    fail()
except ValueError:
    get_logger(__name__).exception("load_failed", file="a.csv")
    raise
"""
    code, _, lines = run(tmp_path, rest)

    assert (code, [line["event"] for line in lines]) == (1, ["load_failed"])


def test_leaving_is_no_failure_and_what_was_undone_is_as_before(tmp_path: Path) -> None:
    assert run(tmp_path, "raise SystemExit(3)")[::2] == (3, [])

    code, shown, lines = run(tmp_path, "report.undo(); fail()")

    assert (code, lines) == (1, [])
    assert shown.count("Traceback") == 1


def test_a_logger_without_a_name_has_that_of_the_module_that_asked(tmp_path: Path) -> None:
    _, _, lines = run(tmp_path, "from controlroom import get_logger; get_logger().info('said')")

    assert [line["logger"] for line in lines] == ["__main__"]


def test_an_exception_that_cannot_be_raised_is_logged_and_masked(tmp_path: Path) -> None:
    dying = "class Dying:\n    def __del__(self):\n        fail()\nDying()"
    code, shown, lines = run(tmp_path, dying)

    assert (code, [line["error"] for line in lines]) == (0, ["ValueError: used ***"])
    assert "s3cr3t" not in shown


def test_a_hook_that_somebody_else_had_set_still_hears(tmp_path: Path) -> None:
    tracker = "report.undo(); sys.excepthook = lambda *_: print('tracked')\nsetup_logging(file=sys.argv[1]); fail()"
    script, log = tmp_path / "script.py", tmp_path / "run.jsonl"
    script.write_text(SCRIPT + tracker)
    done = subprocess.run([sys.executable, script, log], capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout == "tracked\n"
    assert "exception_uncaught" in log.read_text()
