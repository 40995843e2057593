"""A lock that excludes: threads too, a file that lost its name not, and no file that is none."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError
from controlroom.http.locked_files import LockedFile


def test_two_holders_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    first, second = LockedFile(tmp_path / "x", 0o600), LockedFile(tmp_path / "x", 0o600)

    assert [first.acquire(), second.acquire()] == [True, False]
    first.close()
    first.close()
    assert second.acquire()
    second.close()


@pytest.mark.parametrize("replaced", [True, False])
def test_a_lock_on_a_file_that_lost_its_name_meanwhile_is_none(
    replaced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / "x", fcntl.flock

    def late(fd: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            path.rename(tmp_path / "y")
            if replaced:
                path.touch()
        flock(fd, operation)

    file = LockedFile(path, 0o600)
    monkeypatch.setattr(fcntl, "flock", late)
    assert not file.acquire()

    monkeypatch.undo()
    assert file.acquire()
    file.close()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")], ids=["pipe", "device"])
def test_what_is_no_file_is_refused_and_nobody_waits_for_it(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "x")

    with pytest.raises(ConfigError, match="no regular file"):
        LockedFile(tmp_path / "x", 0o600).acquire()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    first, second = LockedFile(tmp_path / "x", 0o600), LockedFile(tmp_path / "x", 0o600)
    for _ in range(5):
        assert first.acquire()
        assert not second.acquire()
        first.close()

    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before
