"""A disk that is full in the middle of every kind of write: the old content stays, nothing is left, and it has a name."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import StorageFullError
from controlroom.storage import AsyncLocalStore, LocalStore, atomic_batch, atomic_writer, write_bytes, write_text
from tests.faults.storage_worlds import published, staged

OLD = b"old content"
TOO_MUCH = b"x" * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounting = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, timeout=30, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        (folder / "a").write_bytes(OLD)
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], timeout=30, check=True)


def through_text(folder: Path) -> None:
    with atomic_writer(folder / "a") as f:
        for _ in range(1024):
            f.write("x" * 1024)


def through_writer(folder: Path) -> None:
    with LocalStore(folder).writer("a") as f:
        for _ in range(1024):
            f.write(b"x" * 1024)


def in_a_batch(folder: Path) -> None:
    with atomic_batch() as batch:
        batch.write_bytes(folder / "a", b"small")
        batch.write_bytes(folder / "b", TOO_MUCH)


async def through_async_writer(folder: Path) -> None:
    async with AsyncLocalStore(folder).writer("a") as f:
        for _ in range(1024):
            await f.write(b"x" * 1024)


WRITES: dict[str, Callable[[Path], Any]] = {
    "write_bytes": lambda folder: write_bytes(folder / "a", TOO_MUCH),
    "write_text, not durable": lambda folder: write_text(folder / "a", "x" * 1024 * 1024, durable=False),
    "exclusive": lambda folder: write_bytes(folder / "b", TOO_MUCH, overwrite=False),
    "atomic_writer": through_text,
    "atomic_batch": in_a_batch,
    "publish": lambda folder: LocalStore(folder).publish("a", TOO_MUCH),
    "publish in pieces": lambda folder: LocalStore(folder).publish("a", (b"x" * 1024 for _ in range(1024))),
    "writer": through_writer,
    "async publish": lambda folder: asyncio.run(AsyncLocalStore(folder).publish("a", TOO_MUCH)),
    "async writer": lambda folder: asyncio.run(through_async_writer(folder)),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_full_disk_leaves_the_old_content_and_nothing_else(small_disk: Path, write: str) -> None:
    with pytest.raises(StorageFullError, match=r"ENOSPC\)\. The target is as it was, and nothing is left behind"):
        WRITES[write](small_disk)

    assert published(small_disk) == {"a": OLD}
    assert staged(small_disk) == []


def test_there_is_room_again_after_a_write_that_found_none(small_disk: Path) -> None:
    for _ in range(5):
        with pytest.raises(StorageFullError):
            write_bytes(small_disk / "a", TOO_MUCH)
    write_bytes(small_disk / "a", b"x" * 100_000)

    assert (small_disk / "a").stat().st_size == 100_000
