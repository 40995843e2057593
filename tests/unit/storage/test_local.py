from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.errors import (
    FileOperationError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    StorageAccessError,
    UnsafePathError,
)
from controlroom.storage import LocalStore, local_objects
from controlroom.storage.paths import staged_name
from tests.unit.storage.folders import contents, staged_in
from tests.unit.storage.users import somebody_elses_folder, without_privileges


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


def test_the_root_is_made_unless_it_must_be_there(tmp_path: Path) -> None:
    LocalStore(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(ObjectNotFoundError, match="opening the store"):
        LocalStore(tmp_path / "c", create=False)
    assert not (tmp_path / "c").exists()


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    for create in (True, False):
        with pytest.raises(UnsafePathError):
            LocalStore(tmp_path / "file", create=create)
    with pytest.raises(UnsafePathError):
        LocalStore(tmp_path / "file" / "below")


def test_a_root_that_cannot_be_made_is_refused_at_once() -> None:
    with somebody_elses_folder() as folder, without_privileges(), pytest.raises(StorageAccessError):
        LocalStore(folder / "root")


def test_a_root_behind_a_link_is_followed_once(tmp_path: Path, store: LocalStore, root: Path) -> None:
    (tmp_path / "link").symlink_to("root")
    linked = LocalStore(tmp_path / "link")
    (tmp_path / "link").unlink()

    linked.publish("a", b"1")

    assert store.read_bytes("a") == b"1"


def test_a_root_that_vanished_is_not_made_again(store: LocalStore, root: Path) -> None:
    root.rmdir()

    for key in ("a", "d/a"):
        with pytest.raises(ObjectNotFoundError):
            store.publish(key, b"1")
    assert not root.exists()


def test_a_key_and_another_below_it_cannot_both_be_files(store: LocalStore, root: Path) -> None:
    store.publish("a", b"1")
    store.publish("d/e", b"2")

    for key in ("a/b", "a/b/c", "d"):
        with pytest.raises(UnsafePathError):
            store.publish(key, b"3")
        with pytest.raises(UnsafePathError):
            store.copy("a", key)
        assert not store.exists(key)
        with pytest.raises(ObjectNotFoundError):
            store.stat(key)
        store.delete(key)
    assert contents(root) == {"a": b"1", "d/e": b"2"}
    with pytest.raises(UnsafePathError):
        store.move("a", "d")
    assert contents(root) == {"a": b"1", "d/e": b"2"}


def test_a_link_to_a_file_is_written_through_and_deleted_itself(store: LocalStore, root: Path) -> None:
    store.publish("real", b"old")
    (root / "link").symlink_to("real")

    receipt = store.publish("link", b"new")
    assert contents(root) == {"real": b"new", "link": b"new"}
    assert receipt.etag == store.stat("link").etag == store.stat("real").etag

    store.delete("link", if_match=receipt.etag)
    assert contents(root) == {"real": b"new"}


def test_nothing_reaches_through_a_link_that_leads_out(store: LocalStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (root / "out").symlink_to("../secret")
    (root / "up").symlink_to("..")
    store.publish("a", b"1")

    for key in ("out", "up/secret", "up/new"):
        for call in (store.stat, store.exists, store.read_bytes, store.open, lambda key: store.publish(key, b"x")):
            with pytest.raises(UnsafePathError):
                call(key)
        with pytest.raises(UnsafePathError):
            store.copy(key, "b")
        with pytest.raises(UnsafePathError):
            store.move("a", key)
        with pytest.raises(UnsafePathError):
            store.move(key, "b")
    with pytest.raises(UnsafePathError):
        store.delete("up/secret")
    store.delete("out")

    assert (tmp_path / "secret").read_text() == "s"
    assert not (root / "out").is_symlink()


def test_a_link_to_nothing_is_no_object_until_it_is_written(store: LocalStore, root: Path) -> None:
    (root / "link").symlink_to("d/real")

    assert not store.exists("link")
    with pytest.raises(ObjectNotFoundError):
        store.open("link")
    store.publish("link", b"1")

    assert (root / "d" / "real").read_bytes() == b"1"


def test_the_mode_of_a_replaced_object_is_kept(store: LocalStore, root: Path) -> None:
    store.publish("a", b"1")
    (root / "a").chmod(0o604)
    store.publish("a", b"2")

    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o604


def test_staged_files_are_no_objects(store: LocalStore, root: Path) -> None:
    (root / staged_name("0" * 16)).write_text("half")

    assert list(store.list()) == []
    with pytest.raises(UnsafePathError, match="reserved"):
        store.exists(staged_name("0" * 16))


def test_a_store_that_is_not_durable_waits_for_no_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", None)
    store = LocalStore(root / "deep", durable=False)

    store.publish("d/a", b"1")
    store.copy("d/a", "e/b")
    store.move("d/a", "f/c")
    store.move("f/c", "f/d", if_absent=True)
    store.delete("e/b")
    with store.writer("g/w") as file:
        file.write(b"1")

    assert contents(root) == {"deep/f/d": b"1", "deep/g/w": b"1"}


def test_an_object_whose_removal_could_not_be_synced_is_in_doubt(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    store.publish("a", b"1")
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(PublicationInDoubtError, match="it is gone"):
        store.delete("a")
    assert not store.exists("a")


def test_deleting_what_was_never_there_syncs_nothing(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", None)

    store.delete("a")
    store.delete("no/such/folder")


def test_a_folder_that_cannot_be_entered_is_an_error_not_an_absence() -> None:
    with somebody_elses_folder() as folder:
        store = LocalStore(folder)
        store.publish("closed/a", b"1")
        (folder / "closed").chmod(0o000)
        with without_privileges():
            for call in (store.stat, store.exists, store.open, store.delete):
                with pytest.raises(StorageAccessError):
                    call("closed/a")
        (folder / "closed").chmod(0o700)


def test_metadata_is_that_of_the_content_it_is_given_with(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at a file and the look at its attributes another one may take its name."""
    store.publish("a", b"1", content_type="text/old")
    read_metadata = local_objects.read_metadata
    replacements = iter([b"22", b"333"])

    def replace_and_read(target: Any) -> Any:
        if content := next(replacements, None):
            store.publish("a", content, content_type=f"text/{len(content)}")
        return read_metadata(target)

    monkeypatch.setattr(local_objects, "read_metadata", replace_and_read)
    info = store.stat("a")

    assert (info.size_bytes, info.content_type) == (3, "text/3")


def test_an_object_that_vanishes_while_it_is_described_is_described_as_it_was(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish("a", b"1", content_type="text/csv")
    read_metadata = local_objects.read_metadata

    def read_and_remove(target: Any) -> Any:
        found = read_metadata(target)
        store.delete("a")
        return found

    monkeypatch.setattr(local_objects, "read_metadata", read_and_remove)

    assert store.stat("a").content_type == "text/csv"


def test_a_reader_that_cannot_be_described_is_closed(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    store.publish("a", b"1")
    monkeypatch.setattr(local_objects, "read_metadata", fail)
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(FileOperationError, match="EIO"):
        store.open("a")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_copy_that_is_refused_closes_what_it_opened(store: LocalStore) -> None:
    store.publish("a", b"1")
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(UnsafePathError):
        store.copy("a", "../b")
    with pytest.raises(ObjectExistsError):
        store.copy("a", "a", if_absent=True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_each_publication_is_in_the_log(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    log = SimpleNamespace(debug=lambda event, **facts: events.append((event, facts)))
    monkeypatch.setattr("controlroom.storage.local_objects._log", log)

    receipt = store.publish("a", b"123")

    facts = {"ref": receipt.ref, "size_bytes": 3, "sha256": receipt.sha256, "durability": "file_and_folder"}
    assert events == [("file_published", facts)]
    assert staged_in(Path(store._objects.root.path)) == []
