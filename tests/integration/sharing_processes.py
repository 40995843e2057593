"""Starts the processes of `sharing_worker`, lets them begin together, and tells what came of each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controlroom.database import Database

WORKER = Path(__file__).with_name("sharing_worker.py")


def place_in(folder: Path, kind: str) -> str:
    """A place that processes share, as the worker reads it."""
    if kind == "file":
        return str(folder / "shared")
    url = f"sqlite:///{folder / 'shared.db'}"
    with Database(url) as db:
        db.create_control_tables()
    return url


class Workers:
    """Processes that wait for the word.

    Attributes:
        pids: Of each.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        self.pids: list[int] = json.loads(line)

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def outcomes(self) -> list[tuple[list[float], list[Any]] | None]:
        """When requests left, by the machine's monotonic clock, and what they were answered with; None of the dead."""
        out, err = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, err
        found: list[tuple[list[float], list[Any]] | None] = json.loads(out)
        assert "Traceback" not in err, err
        return found


@contextmanager
def started(processes: int, folder: Path, **options: Any) -> Iterator[Workers]:
    """Start them, and kill what is left when the block ends."""
    arguments = json.dumps({"colour": "sync", "calls": 1, **options, "processes": processes, "folder": str(folder)})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(WORKER), arguments], text=True, **pipes) as process:
        try:
            yield Workers(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
