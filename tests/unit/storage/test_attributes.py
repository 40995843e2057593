from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError, FileOperationError, StorageAccessError
from controlroom.storage import LocalStore, write_text
from controlroom.storage.attributes import check_metadata, read_metadata, write_metadata
from tests.unit.storage.folders import contents
from tests.unit.storage.users import NOBODY, somebody_elses_folder, without_privileges

# setfacl -m u:12345:rw as it lies on disk (posix_acl_xattr.h): version 2, then tag, permissions and id of each entry.
ACL = b"\2\0\0\0" + b"".join(
    tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + who.to_bytes(4, "little")
    for tag, bits, who in [(1, 6, 2**32 - 1), (2, 6, 12345), (4, 4, 2**32 - 1), (16, 6, 2**32 - 1), (32, 0, 2**32 - 1)]
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "t"
    path.write_text("old")
    return path


def set_attribute(path: Path, name: str, value: bytes) -> None:
    """Or skip: not every filesystem has attributes."""
    if not hasattr(os, "setxattr"):
        pytest.skip("this platform has no extended attributes")
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            pytest.skip(f"the filesystem of {path} has no attribute {name}")
        raise


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to others")


def test_extended_attributes_of_a_replaced_file_are_kept(old: Path) -> None:
    set_attribute(old, "user.origin", b"landing")

    write_text(old, "new")

    assert os.getxattr(old, "user.origin") == b"landing"
    assert old.read_text() == "new"


def test_an_access_control_list_of_a_replaced_file_is_kept(old: Path) -> None:
    set_attribute(old, "system.posix_acl_access", ACL)

    write_text(old, "new")

    assert os.getxattr(old, "system.posix_acl_access") == ACL


def test_metadata_about_the_old_content_does_not_outlive_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    try:
        store.publish("t", b"old", metadata={"rows": "3"}, content_type="text/csv")
    except ConfigError as error:
        pytest.skip(str(error))

    write_text(tmp_path / "t", "new")

    assert (store.stat("t").metadata, store.stat("t").content_type) == ({}, None)


def test_the_owner_of_a_replaced_file_is_kept(old: Path) -> None:
    needs_root()
    os.chown(old, NOBODY, NOBODY)
    old.chmod(0o6755)

    write_text(old, "new")

    found = old.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (NOBODY, NOBODY, 0o6755)


@pytest.fixture
def reachable() -> Iterator[Path]:
    with somebody_elses_folder() as folder:
        yield folder


def test_a_file_whose_owner_cannot_be_kept_is_not_replaced(reachable: Path) -> None:
    needs_root()
    reachable.chmod(0o777)
    (reachable / "t").write_text("root's")
    (reachable / "t").chmod(0o666)

    with without_privileges(), pytest.raises(StorageAccessError, match="belongs to uid 0"):
        write_text(reachable / "t", "new")

    assert contents(reachable) == {"t": b"root's"}


def test_a_read_only_file_is_not_replaced_in_a_folder_that_would_allow_it(reachable: Path) -> None:
    reachable.chmod(0o777)
    with without_privileges():
        (reachable / "t").write_text("kept")
        (reachable / "t").chmod(0o444)
        with pytest.raises(StorageAccessError, match="read-only for this user"):
            write_text(reachable / "t", "new")

    assert contents(reachable) == {"t": b"kept"}


def test_a_folder_without_the_right_to_write_is_refused(reachable: Path) -> None:
    (reachable / "closed").mkdir()
    (reachable / "closed").chmod(0o555)

    with without_privileges(), pytest.raises(StorageAccessError, match="EACCES"):
        write_text(reachable / "closed" / "t", "new")

    assert contents(reachable) == {}


def test_a_folder_without_the_right_to_look_is_refused(reachable: Path) -> None:
    (reachable / "secret").mkdir()
    (reachable / "secret").chmod(0o000)

    with without_privileges(), pytest.raises(StorageAccessError):
        write_text(reachable / "secret" / "t", "new")
    (reachable / "secret").chmod(0o700)


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, "a", ["a"]])
def test_metadata_that_is_no_text_is_refused(metadata: Any) -> None:
    with pytest.raises(ConfigError, match="texts"):
        check_metadata(metadata, None)
    with pytest.raises(ConfigError, match="texts"):
        check_metadata(None, 7)  # type: ignore[arg-type]  # the danger under test


def test_metadata_over_its_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match="over the limit of 2048"):
        check_metadata({"a": "x" * 2048}, None)


def test_no_metadata_takes_no_attribute() -> None:
    assert check_metadata({}, None) == {}


def test_metadata_comes_back_as_it_was_given(old: Path) -> None:
    set_attribute(old, "user.probe", b"")
    held = check_metadata({"ü": "日本", "": ""}, "text/csv")
    with old.open("r+b") as file:
        write_metadata(file.fileno(), held, old)

    assert read_metadata(old) == ({"ü": "日本", "": ""}, "text/csv")


@pytest.mark.parametrize("garbage", [b"{", b"[1]", b"\xff"])
def test_what_somebody_else_wrote_in_our_place_is_no_metadata(old: Path, garbage: bytes) -> None:
    set_attribute(old, "user.controlroom.metadata", garbage)

    assert read_metadata(old) == ({}, None)


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOSPC, errno.E2BIG])
def test_a_filesystem_that_cannot_keep_metadata_is_refused_not_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    store = LocalStore(tmp_path)
    store.publish("t", b"old")
    monkeypatch.setattr(os, "setxattr", refuse)

    with pytest.raises(ConfigError, match="cannot keep metadata"):
        store.publish("t", b"new", metadata={"a": "b"})
    assert contents(tmp_path) == {"t": b"old"}


@pytest.mark.parametrize("call", ["listxattr", "getxattr", "setxattr"])
def test_an_attribute_that_cannot_be_kept_fails_the_write(
    old: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    set_attribute(old, "user.origin", b"landing")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(FileOperationError, match="EIO"):
            LocalStore(old.parent).publish("t", b"new", metadata={"a": "b"})
        if call == "getxattr":
            with pytest.raises(FileOperationError, match="EIO"):
                LocalStore(old.parent).stat("t")

    assert contents(old.parent) == {"t": b"old"}


def test_a_file_that_vanishes_while_its_attributes_are_read_has_none_to_keep(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listxattr = os.listxattr

    def too_late(path: Path, **kwargs: Any) -> list[str]:
        old.unlink()
        return listxattr(path, **kwargs)

    monkeypatch.setattr(os, "listxattr", too_late)
    write_text(old, "new")

    assert contents(old.parent) == {"t": b"new"}


def test_a_platform_without_attributes_still_writes(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("listxattr", "getxattr", "setxattr"):
        monkeypatch.delattr(os, name)
    store = LocalStore(old.parent)

    write_text(old, "new")
    with pytest.raises(ConfigError, match="cannot keep metadata"):
        store.publish("u", b"new", content_type="text/csv")

    assert store.stat("t").metadata == {}
    assert contents(old.parent) == {"t": b"new"}


def test_a_filesystem_without_attributes_still_writes(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "listxattr", refuse)
    monkeypatch.setattr(os, "getxattr", refuse)

    write_text(old, "new")

    assert LocalStore(old.parent).stat("t").metadata == {}
