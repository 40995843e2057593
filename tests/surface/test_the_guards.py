"""The guards of tests/unit stand: a unit test that dials out or sleeps fails, even inside `except Exception`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

UNIT_CONFTEST = Path(__file__).parents[1] / "unit" / "conftest.py"

TRESPASSES = """
import asyncio, socket, time

def test_dials_loopback():
    socket.create_connection(("127.0.0.1", 9), 1)

def test_dials_a_unix_socket():
    socket.socket(socket.AF_UNIX).connect("/tmp/none")

def test_serves():
    socket.create_server(("127.0.0.1", 0))

def test_asks_the_name_server():
    socket.getaddrinfo("example.com", 443)

def test_sleeps():
    time.sleep(0.001)

def test_sleeps_in_a_task():
    asyncio.run(asyncio.sleep(0.001))

def test_swallows_the_refusal():
    try:
        time.sleep(0.001)
    except Exception:
        pass

def test_innocent():
    asyncio.run(asyncio.sleep(0))
"""


def test_unit_tests_that_touch_the_world_fail_and_others_pass(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(UNIT_CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test_it.py").write_text(TRESPASSES, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    by_test = {test: outcome for outcome, test in re.findall(r"^(\w+) test_it\.py::(\w+)", done.stdout, re.MULTILINE)}
    trespasses = set(re.findall(r"def (test_\w+)", TRESPASSES)) - {"test_innocent"}

    assert by_test == {**dict.fromkeys(trespasses, "FAILED"), "test_innocent": "PASSED"}, done.stdout
    assert done.stdout.count("Failed: a unit test") >= len(trespasses)
