from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from controlroom.clock import deadline
from controlroom.errors import StorageAccessError
from controlroom.storage import LocalStore, write_bytes
from controlroom.storage.sharing import patiently
from controlroom.testing import ManualClock


class InUse(PermissionError):
    """What Windows raises, where there is no Windows."""

    def __init__(self, winerror: int = 32) -> None:
        super().__init__(13, "The process cannot access the file because it is being used by another process")
        self.winerror = winerror


class Scanned:
    """A rename that a virus scanner holds up for so many tries."""

    def __init__(self, times: int, winerror: int = 32) -> None:
        self.times, self.tries, self.winerror = times, 0, winerror
        self.rename = os.rename

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self.tries += 1
        if self.tries <= self.times:
            raise InUse(self.winerror)
        self.rename(*args, **kwargs)


@pytest.mark.parametrize("winerror", [5, 32, 33])
def test_a_file_that_is_in_use_for_a_moment_is_renamed_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    scanned = Scanned(4, winerror)
    monkeypatch.setattr(os, "rename", scanned)
    with ManualClock() as clock:
        write_bytes(tmp_path / "a", b"new")

    assert (tmp_path / "a").read_bytes() == b"new"
    assert scanned.tries == 5
    assert clock.sleeps == [0.005, 0.01, 0.02, 0.04]


def test_a_move_is_as_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.publish("a", b"1")
    monkeypatch.setattr(os, "rename", Scanned(2))
    with ManualClock():
        store.move("a", "b")

    assert store.read_bytes("b") == b"1"


def test_a_file_that_stays_in_use_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "rename", Scanned(10**6))
    with ManualClock() as clock, pytest.raises(StorageAccessError, match="The target is as it was"):
        write_bytes(tmp_path / "a", b"new")

    assert sum(clock.sleeps) <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_patience_ends_with_the_deadline() -> None:
    def in_use() -> None:
        raise InUse

    with ManualClock() as clock, deadline(0.03), pytest.raises(InUse):
        patiently(in_use)
    assert sum(clock.sleeps) <= 0.03


@pytest.mark.parametrize("error", [PermissionError(13, "no"), InUse(2), OSError(28, "full")])
def test_what_will_not_pass_is_not_waited_for(error: OSError) -> None:
    def refuse() -> None:
        raise error

    with ManualClock() as clock, pytest.raises(OSError, match=error.strerror):
        patiently(refuse)
    assert clock.sleeps == []
