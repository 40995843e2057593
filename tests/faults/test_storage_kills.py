"""SIGKILL before and after every system call: what no simulation of a crash can soften."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.storage_worlds import SYNC

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", [operation.name for operation in SYNC])
def test_a_kill_at_any_system_call_leaves_the_old_or_the_whole_new_and_is_swept(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-m", "tests.faults.storage_kill_sweep", str(tmp_path), name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30, "hardly anything was killed"
