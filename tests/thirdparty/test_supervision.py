"""No server outlives the tests that started it, not even when they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
SERVER = "import os, threading; print(os.getpid(), flush=True); threading.Event().wait(60)"
STARTER = f"""
import subprocess, sys
command = [sys.executable, {str(HERE / "supervised.py")!r}, sys.executable, "-c", {SERVER!r}]
subprocess.Popen(command, stdin=subprocess.PIPE).wait()
"""


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"  # dead, and nobody has asked


def test_a_server_dies_with_a_starter_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)
        starter.wait(10)
        for _ in range(200):
            if is_gone(server):
                break
            threading.Event().wait(0.05)

    assert is_gone(server)
