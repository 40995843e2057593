from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError, UnsafePathError
from controlroom.storage import LocalStore, settled
from controlroom.storage.settled import is_settled
from controlroom.testing import ManualClock

LEASES = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases to ask with")


@pytest.fixture
def landed(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    return path


@LEASES
@pytest.mark.parametrize("mode", ["ab", "r+b", "wb"])
def test_a_file_that_somebody_has_open_for_writing_is_not_settled(landed: Path, mode: str) -> None:
    with landed.open(mode):
        assert not is_settled(landed, quiet_s=0)
    assert is_settled(landed, quiet_s=1e9)


@LEASES
def test_a_writer_in_another_process_is_seen_too(landed: Path) -> None:
    code = "import sys; f = open(sys.argv[1], 'ab'); print('ready', flush=True); sys.stdin.readline()"
    command = [sys.executable, "-c", code, str(landed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        while_it_writes = is_settled(landed, quiet_s=0)
        writer.communicate("done\n")

    assert not while_it_writes
    assert is_settled(landed, quiet_s=0)


@LEASES
def test_readers_are_no_writers(landed: Path) -> None:
    with landed.open("rb"):
        assert is_settled(landed, quiet_s=0)


@LEASES
def test_a_writer_that_comes_in_the_very_moment_of_asking_does_not_end_this_process(
    landed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It breaks the lease, which the kernel tells by SIGIO unless asked otherwise; that would be the end."""
    real, broken = fcntl.fcntl, []

    def interfering(fd: int, command: int, argument: int = 0) -> Any:
        answer = real(fd, command, argument)
        if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
            with pytest.raises(BlockingIOError):
                os.open(landed, os.O_WRONLY | os.O_NONBLOCK)
            broken.append(True)
        return answer

    monkeypatch.setattr(fcntl, "fcntl", interfering)

    assert is_settled(landed, quiet_s=0)
    assert broken
    with landed.open("ab"):
        pass  # the lease was given back: nobody waits for it


def refusing(number: int) -> Callable[..., int]:
    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


@LEASES
@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_the_kernel_cannot_tell_a_time_of_quiet_must_do(
    landed: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "fcntl", refusing(number))
    changed_at = datetime.fromtimestamp(landed.stat().st_ctime, UTC)
    with ManualClock(changed_at) as clock:
        assert not is_settled(landed, quiet_s=2)
        clock.advance(1.9)
        assert not is_settled(landed, quiet_s=2)
        clock.advance(0.2)
        assert is_settled(landed, quiet_s=2)


def test_where_there_are_no_leases_at_all_quiet_must_do(landed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fcntl, "F_SETLEASE", raising=False)

    assert is_settled(landed, quiet_s=0)
    assert not is_settled(landed, quiet_s=1e6)


def test_a_store_tells_it_of_its_keys(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.publish("landing/a", b"x")

    assert store.is_settled("landing/a")
    assert store.is_settled("landing/gone"), "what is not there is written by nobody"
    with (tmp_path / "landing/a").open("ab"):
        assert not store.is_settled("landing/a", quiet_s=3600)
    with pytest.raises(UnsafePathError):
        store.is_settled("../a")


@pytest.mark.parametrize("quiet_s", [-1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(tmp_path: Path, quiet_s: float) -> None:
    with pytest.raises(ConfigError, match="quiet_s"):
        LocalStore(tmp_path).is_settled("a", quiet_s=quiet_s)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    assert LocalStore(tmp_path).is_settled("fifo")


def test_what_a_store_of_this_process_has_published_need_not_become_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no leases, a pipeline that publishes and ingests in one go would find nothing to do."""
    monkeypatch.delattr(fcntl, "F_SETLEASE", raising=False)
    store = LocalStore(tmp_path)
    store.publish("a", b"x")
    store.move("a", "b")
    assert store.is_settled("b", quiet_s=1e6)

    with (tmp_path / "b").open("ab") as writer:
        writer.write(b"y")
        writer.flush()
        assert not store.is_settled("b", quiet_s=1e6)


def test_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "_published", remembered := OrderedDict[str, None]())
    for number in range(5000):
        settled.published(str(number))

    assert len(remembered) == 4096
    assert "4999" in remembered
    assert "0" not in remembered
