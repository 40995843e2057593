"""A log that rotates and packs, killed at any system call: what was acknowledged is there, whole, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("operation", ["by size", "by age", "by size, packed", "at a gap", "with few kept"])
def test_a_kill_at_any_system_call_loses_no_line_and_doubles_none(tmp_path: Path, operation: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.logs_kill_sweep", str(tmp_path / "worlds"), operation],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30  # it was killed at that many points
