"""Runs a server until whoever started it closes the pipe or is gone, killed included: ``supervised.py COMMAND …``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)


def end() -> None:
    sys.stdin.buffer.read()
    os.killpg(child.pid, signal.SIGKILL)


threading.Thread(target=end, daemon=True).start()
sys.exit(child.wait() != 0)
