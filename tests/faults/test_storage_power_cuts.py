"""The power goes the moment after a durable call returned: a real ext4 is shut down under us without flushing its journal."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.storage import LocalStore, atomic_batch, atomic_writer, write_bytes

FS_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2  # linux/fs.h: what was not synced is lost, as in a power cut
OLD, NEW = b"old content", b"new content" * 10_000
Contents = dict[str, bytes]

pytestmark = pytest.mark.slow


class Disk:
    """An ext4 in a file, with the mount options that hide the fewest mistakes."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image, self.folder = image, folder

    def mount(self) -> None:
        options = "loop,data=writeback,noauto_da_alloc"
        done = subprocess.run(
            ["mount", "-o", options, str(self.image), str(self.folder)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode != 0:
            pytest.skip(f"an ext4 cannot be mounted here: {done.stderr.strip()}")

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], timeout=30, check=True)

    def cut_the_power(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)
        self.unmount()
        self.mount()

    def contents(self) -> Contents:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("only root can cut the power of a filesystem")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4 to make a disk with")
    disk = Disk(tmp_path / "image", tmp_path / "disk")
    disk.folder.mkdir()
    with disk.image.open("wb") as image:
        image.truncate(32 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(disk.image)], timeout=60, check=True)
    disk.mount()
    try:
        (disk.folder / "a").write_bytes(OLD)
        os.sync()
        yield disk
    finally:
        disk.unmount()


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
def test_what_a_durable_call_acknowledged_survives_a_power_cut(disk: Disk, operation: str) -> None:
    call, expected = DURABLE[operation]
    call(disk.folder)
    disk.cut_the_power()

    assert disk.contents() == expected


def test_a_power_cut_does_lose_what_was_not_durable(disk: Disk) -> None:
    """If it did not, the tests above would prove nothing."""
    write_bytes(disk.folder / "b", NEW, durable=False)
    disk.cut_the_power()

    assert disk.contents() == {"a": OLD}
