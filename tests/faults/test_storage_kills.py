"""Struck at every system call: killed before and after it, failing with an error, writing less than asked, finding no room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.storage_syscall_sweep import SWEPT
from tests.faults.storage_worlds import SYNC

ROOT = Path(__file__).parents[2]
SHIM = Path(__file__).with_name("syscall_shim.c")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """What stands between the C library and its callers; None where nothing can be compiled or preloaded."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(built), str(SHIM), "-ldl"]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    return built


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of writes need not survive a power cut."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def swept(module: str, folder: Path, name: str, environment: dict[str, str]) -> int:
    done = subprocess.run(
        [sys.executable, "-m", module, str(folder), name],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("name", [operation.name for operation in SWEPT])
def test_a_kill_at_any_system_call_leaves_the_old_or_the_whole_new_and_is_swept(
    shim: Path | None, folder: Path, name: str
) -> None:
    if shim is not None:
        assert swept("tests.faults.storage_syscall_sweep", folder, name, {"LD_PRELOAD": str(shim)}) > 20
    elif name in {operation.name for operation in SYNC}:
        assert swept("tests.faults.storage_kill_sweep", folder, name, {}) > 30, "hardly anything was killed"
    else:
        pytest.skip("there is no C compiler to build what strikes at system calls with")
