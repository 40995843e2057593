"""What a store promises on the filesystems that people have: each is made and mounted here, or skipped with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controlroom.errors import (
    ConfigError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsafePathError,
)
from controlroom.storage import LocalStore, atomic_batch, write_bytes
from tests.faults.disks import mounted
from tests.faults.storage_worlds import published, staged

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["ext4", "xfs", "btrfs", "tmpfs", "overlay"])
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted(request.param, tmp_path_factory.mktemp(request.param)) as place:
        yield place


@pytest.fixture
def folder(disk: Path, request: pytest.FixtureRequest) -> Path:
    folder = disk / request.node.originalname
    folder.mkdir()
    return folder


@pytest.fixture
def store(folder: Path) -> LocalStore:
    return LocalStore(folder)


def test_a_file_is_replaced_whole_and_keeps_its_mode_owner_and_attributes(folder: Path) -> None:
    (folder / "a").write_bytes(b"old")
    (folder / "a").chmod(0o640)
    os.chown(folder / "a", 12345, 54321)
    try:
        os.setxattr(folder / "a", "user.origin", b"theirs")
    except OSError:
        pytest.skip("this filesystem keeps no attributes")

    write_bytes(folder / "a", b"new")

    found = (folder / "a").stat()
    assert published(folder) == {"a": b"new"}
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o640, 12345, 54321)
    assert os.getxattr(folder / "a", "user.origin") == b"theirs"
    assert staged(folder) == []


def test_of_32_who_create_exactly_one_wins(folder: Path) -> None:
    def create(number: int) -> bool:
        try:
            write_bytes(folder / "t", str(number).encode(), overwrite=False, durable="file")
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        won = [number for number, first in enumerate(pool.map(create, range(32))) if first]

    assert published(folder) == {"t": str(won[0]).encode()}
    assert len(won) == 1
    assert staged(folder) == []


def test_a_batch_is_published_together(folder: Path) -> None:
    with atomic_batch() as batch:
        for number in range(20):
            batch.write_bytes(folder / str(number), b"x")

    assert published(folder) == {str(number): b"x" for number in range(20)}
    assert staged(folder) == []


def claimed(claim: Callable[[int], object]) -> int:
    def attempt(number: int) -> bool:
        try:
            claim(number)
        except (ObjectNotFoundError, ObjectChangedError, ObjectExistsError):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(attempt, range(8)))


@pytest.mark.parametrize("if_absent", [False, True])
def test_of_8_who_claim_one_file_exactly_one_gets_it(disk: Path, if_absent: bool) -> None:
    store = LocalStore(disk / f"claims-{if_absent}", durable=False)
    for number in range(5):
        store.publish("landing/a", b"x")
        won = claimed(lambda who, to=number: store.move("landing/a", f"mine/{to}/{who}", if_absent=if_absent))
        assert won == len(list(store.list(f"mine/{number}/"))) == 1
        assert not store.exists("landing/a")


def test_a_file_that_is_being_written_is_told_from_one_that_is_not(store: LocalStore, folder: Path) -> None:
    store.publish("a", b"x")
    with (folder / "a").open("ab"):
        assert not store.is_settled("a", quiet_s=3600)
    assert store.is_settled("a", quiet_s=0)


def test_metadata_is_kept_or_refused(store: LocalStore) -> None:
    try:
        store.publish("a", b"x", metadata={"k": "ä"}, content_type="text/csv")
    except ConfigError:
        pytest.skip("this filesystem keeps no attributes")
    store.move("a", "b")
    found = store.stat(store.copy("b", "c").ref.rpartition("/")[2])

    assert (found.metadata, found.content_type) == ({"k": "ä"}, "text/csv")


@pytest.mark.parametrize("key", ["?", "#", "%41", "*", " a b ", "é", "e\u0301", "日本", "[x]", "a\\b", '"', "-rf", "~"])
def test_any_name_is_kept_or_refused_by_name(disk: Path, key: str) -> None:
    store = LocalStore(disk / "names", durable=False)
    store.publish(key, key.encode())
    before = {info.key for info in store.list()}

    assert key in before
    assert store.read_bytes(key) == key.encode()
    with pytest.raises(UnsafePathError):
        store.publish("x" * 256, b"")
    assert {info.key for info in store.list()} == before


def test_a_change_of_an_object_is_seen_by_its_etag(store: LocalStore) -> None:
    etags = {store.publish("a", b"x").etag for _ in range(20)}

    assert len(etags) == 20
