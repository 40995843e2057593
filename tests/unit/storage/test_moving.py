from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import (
    FileOperationError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    StorageUnavailableError,
)
from controlroom.storage import LocalStore
from controlroom.testing import ManualClock
from tests.unit.storage.folders import contents


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path)
    store.publish("a", b"1", content_type="text/csv")
    return store


def test_a_move_is_a_rename_and_keeps_the_inode(store: LocalStore, tmp_path: Path) -> None:
    inode = (tmp_path / "a").stat().st_ino
    store.move("a", "d/b")
    assert (tmp_path / "d" / "b").stat().st_ino == inode

    store.move("d/b", "d/c", if_absent=True)
    assert (tmp_path / "d" / "c").stat().st_ino == inode
    assert contents(tmp_path) == {"d/c": b"1"}


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_move_that_was_cut_short_between_its_two_names_is_ended(
    store: LocalStore, tmp_path: Path, if_absent: bool
) -> None:
    """rename(2) does nothing between two links of one file, and says that it succeeded."""
    os.link(tmp_path / "a", tmp_path / "b")

    store.move("a", "b", if_absent=if_absent)

    assert contents(tmp_path) == {"b": b"1"}


def test_a_hard_link_is_not_taken_for_the_same_name(store: LocalStore, tmp_path: Path) -> None:
    os.link(tmp_path / "a", tmp_path / "other")
    store.move("a", "a")
    with pytest.raises(ObjectExistsError):
        store.move("a", "a", if_absent=True)

    assert contents(tmp_path) == {"a": b"1", "other": b"1"}


def test_a_link_is_not_moved_its_content_is(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a")

    store.move("link", "d/b")

    assert contents(tmp_path) == {"a": b"1", "d/b": b"1"}
    assert not (tmp_path / "d" / "b").is_symlink()


def across_filesystems(monkeypatch: pytest.MonkeyPatch) -> None:
    """rename(2) and link(2) of what is not staged refuse, as between two mounts."""

    def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
        def refused(src: str, *args: Any, **kwargs: Any) -> Any:
            if not src.startswith((".controlroom", "/proc/")):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            return call(src, *args, **kwargs)

        return refused

    monkeypatch.setattr(os, "rename", refusing(os.rename))
    monkeypatch.setattr(os, "link", refusing(os.link))


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_move_to_another_filesystem_copies_and_then_removes(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, if_absent: bool
) -> None:
    across_filesystems(monkeypatch)

    receipt = store.move("a", "d/b", if_absent=if_absent)

    assert contents(tmp_path) == {"d/b": b"1"}
    assert (receipt.size_bytes, receipt.etag) == (1, store.stat("d/b").etag)
    assert store.stat("d/b").content_type == "text/csv"


def test_a_move_to_another_filesystem_onto_a_taken_name_keeps_both(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish("b", b"2")
    across_filesystems(monkeypatch)

    with pytest.raises(ObjectExistsError):
        store.move("a", "b", if_absent=True)
    assert contents(tmp_path) == {"a": b"1", "b": b"2"}


def changing_when_locked(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any], *, at: int) -> None:
    """Something else happens just before the lock number *at* is taken."""
    from controlroom.storage.staging import Folder

    wait, locks = Folder._wait_for_lock, [0]

    def changed(folder: Folder) -> None:
        locks[0] += 1
        if locks[0] == at:
            change()
        wait(folder)

    monkeypatch.setattr(Folder, "_wait_for_lock", changed)


@pytest.mark.parametrize("if_absent", [False, True])
def test_what_changed_since_it_was_read_is_not_moved(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, if_absent: bool
) -> None:
    changing_when_locked(monkeypatch, lambda: (tmp_path / "a").write_bytes(b"other"), at=1)

    with pytest.raises(ObjectChangedError, match="expected etag"):
        store.move("a", "b", if_absent=if_absent)
    assert contents(tmp_path) == {"a": b"other"}


def test_what_vanished_since_it_was_read_is_not_moved(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing_when_locked(monkeypatch, (tmp_path / "a").unlink, at=1)

    with pytest.raises(ObjectChangedError, match="gone"):
        store.move("a", "b")
    assert contents(tmp_path) == {}


def test_what_changed_while_it_was_copied_is_not_removed(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    across_filesystems(monkeypatch)
    changing_when_locked(monkeypatch, lambda: (tmp_path / "a").write_bytes(b"other"), at=3)

    with pytest.raises(ObjectChangedError, match="The copy is whole and stays"):
        store.move("a", "b")
    assert contents(tmp_path) == {"a": b"other", "b": b"1"}


def test_a_move_whose_names_could_not_be_synced_is_in_doubt(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PublicationInDoubtError):
        store.move("a", "b")
    assert contents(tmp_path) == {"b": b"1"}


def test_a_rename_that_fails_leaves_both_names_as_they_were(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    store.publish("b", b"2")
    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(FileOperationError, match="whole, under one of its names or under both"):
        store.move("a", "b")
    assert contents(tmp_path) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize(("call", "if_absent"), [("rename", False), ("link", True)])
def test_two_who_move_one_object_cannot_both_get_it(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, if_absent: bool
) -> None:
    """The second one comes between the look and the change of the first: it waits for the lock, here in vain."""
    real = getattr(os, call)
    seconds: list[type[BaseException]] = []

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(os, call, real)
        with ManualClock(), pytest.raises(StorageUnavailableError) as refused:
            LocalStore(tmp_path).move("a", "second", if_absent=if_absent)
        seconds.append(refused.type)
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, meanwhile)
    store.move("a", "first", if_absent=if_absent)

    assert seconds == [StorageUnavailableError]
    assert contents(tmp_path) == {"first": b"1"}


def test_a_move_takes_no_foreign_step() -> None:
    from controlroom.policy.publication import Seal
    from controlroom.storage.moving import MovePlan, ObjectMover

    nowhere: Any = None
    plan = MovePlan("a", "b", nowhere, nowhere, nowhere, nowhere, nowhere)
    with ObjectMover(plan) as mover, pytest.raises(TypeError, match="not a step of a move"):
        mover.perform(Seal())


def replying_late(call: Callable[..., Any]) -> Callable[..., Any]:
    """As on NFS: the reply is lost, the request is sent again, and finds that it was carried out."""

    def replied(*args: Any, **kwargs: Any) -> None:
        call(*args, **kwargs)
        call(*args, **kwargs)

    return replied


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize("lost", ["rename", "link", "unlink"])
def test_a_move_whose_replies_were_lost_has_still_happened_once(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, if_absent: bool, lost: str
) -> None:
    monkeypatch.setattr(os, lost, replying_late(getattr(os, lost)))

    receipt = store.move("a", "d/b", if_absent=if_absent)

    assert contents(tmp_path) == {"d/b": b"1"}
    assert receipt.size_bytes == 1


def test_of_two_who_claim_where_folders_have_no_locks_the_slower_one_keeps_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have linked it; the one who removes the old name has it."""
    unlink = os.unlink

    def beaten(name: str, **kwargs: Any) -> None:
        monkeypatch.setattr(os, "unlink", unlink)
        (tmp_path / "theirs").hardlink_to(tmp_path / "a")
        (tmp_path / "a").unlink()
        unlink(name, **kwargs)

    monkeypatch.setattr(os, "unlink", beaten)
    with pytest.raises(ObjectNotFoundError):
        store.move("a", "mine", if_absent=True)

    assert contents(tmp_path) == {"theirs": b"1"}


def test_what_another_one_renamed_meanwhile_is_not_taken_for_ours(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def beaten(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(os, "rename", rename)
        rename(tmp_path / "a", tmp_path / "theirs")
        rename(*args, **kwargs)

    monkeypatch.setattr(os, "rename", beaten)
    with pytest.raises(ObjectNotFoundError):
        store.move("a", "mine")

    assert contents(tmp_path) == {"theirs": b"1"}
