"""A worker that is lost says why, at the end of the output: all that is left of a run elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
CONFTEST = "from tests.crash_reports import pytest_configure, pytest_configure_node, pytest_handlecrashitem"
TESTS = """
import ctypes, os, signal, threading

def waits_for_ever():
    threading.Event().wait()

def test_hang():
    waits_for_ever()

def reads_nothing():
    ctypes.string_at(0)

def test_crash():
    reads_nothing()

def test_kill():
    os.kill(os.getpid(), signal.SIGKILL)

def test_passes():
    pass
"""


def test_the_report_of_a_lost_test_says_where_it_hung_or_crashed_or_who_killed_it(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # the temporary folder may lie inside of a project
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_lost.py").write_text(TESTS)
    options = ["faulthandler_timeout=1", "faulthandler_exit_on_timeout=true", f"pythonpath={ROOT}"]
    command = [sys.executable, "-m", "pytest", "-q", "-n1", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]

    done = subprocess.run(
        [*command, *(part for option in options for part in ("-o", option))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert "3 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    found = done.stdout.partition(" FAILURES ")[2].split("crashed while running 'test_lost.py::")[1:4]
    told = {name: why for name, _, why in (part.partition("'\n") for part in found)}
    assert "Timeout (0:00:01)!" in told["test_hang"]
    assert "in waits_for_ever" in told["test_hang"]
    assert "Segmentation fault" in told["test_crash"]
    assert "in reads_nothing" in told["test_crash"]
    assert told["test_kill"].startswith("Its process ended with -9.\nIt left no stack.")
