"""The power goes the moment after a durable call returned: a real ext4 or xfs is shut down without flushing its journal."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.storage import LocalStore, atomic_batch, atomic_writer, write_bytes
from tests.faults.disks import Disk, unmount

FS_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2  # linux/fs.h: what was not synced is lost, as in a power cut
OLD, NEW = b"old content", b"new content" * 10_000
Contents = dict[str, bytes]

pytestmark = pytest.mark.slow


class PowerCut(Disk):
    """A disk whose power can go."""

    def cut_the_power(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)
        unmount(self.folder)
        self.mount()

    def contents(self) -> Contents:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture(params=["ext4", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PowerCut]:
    disk = PowerCut(request.param, tmp_path)
    disk.mount()
    try:
        (disk.folder / "a").write_bytes(OLD)
        os.sync()
        yield disk
    finally:
        unmount(disk.folder)


def write_batch(folder: Path) -> None:
    with atomic_batch() as batch:
        for number in range(20):
            batch.write_bytes(folder / str(number), NEW)
        batch.write_bytes(folder / "a", NEW)


def write_to_store(folder: Path) -> None:
    with LocalStore(folder).writer("a") as f:
        f.write(NEW)


def write_through_writer(folder: Path) -> None:
    with atomic_writer(folder / "a", "wb") as f:
        f.write(NEW)


DURABLE: dict[str, tuple[Callable[[Path], Any], Contents]] = {
    "replace": (write_through_writer, {"a": NEW}),
    "create": (lambda folder: write_bytes(folder / "b", NEW), {"a": OLD, "b": NEW}),
    "create exclusively": (lambda folder: write_bytes(folder / "b", NEW, overwrite=False), {"a": OLD, "b": NEW}),
    "batch": (write_batch, {"a": NEW, **{str(number): NEW for number in range(20)}}),
    "publish in new folders": (lambda folder: LocalStore(folder).publish("x/y/b", NEW), {"a": OLD, "x/y/b": NEW}),
    "make a store": (lambda folder: LocalStore(folder / "p" / "q").publish("b", NEW), {"a": OLD, "p/q/b": NEW}),
    "writer": (write_to_store, {"a": NEW}),
    "copy": (lambda folder: LocalStore(folder).copy("a", "x/b"), {"a": OLD, "x/b": OLD}),
    "move": (lambda folder: LocalStore(folder).move("a", "x/b"), {"x/b": OLD}),
    "move exclusively": (lambda folder: LocalStore(folder).move("a", "x/b", if_absent=True), {"x/b": OLD}),
    "delete": (lambda folder: LocalStore(folder).delete("a"), {}),
}


@pytest.mark.parametrize("operation", DURABLE)
def test_what_a_durable_call_acknowledged_survives_a_power_cut(disk: PowerCut, operation: str) -> None:
    call, expected = DURABLE[operation]
    call(disk.folder)
    disk.cut_the_power()

    assert disk.contents() == expected


def test_a_power_cut_does_lose_what_was_not_durable(disk: PowerCut) -> None:
    """If it did not, the tests above would prove nothing."""
    write_bytes(disk.folder / "b", NEW, durable=False)
    disk.cut_the_power()

    assert disk.contents() == {"a": OLD}


def test_what_waited_for_its_data_alone_is_the_old_content_or_the_whole_new(disk: PowerCut) -> None:
    write_bytes(disk.folder / "a", NEW, durable="file")
    write_bytes(disk.folder / "b", NEW, durable="file")
    disk.cut_the_power()

    seen = disk.contents()
    assert seen["a"] in (OLD, NEW)
    assert seen.get("b", NEW) == NEW
