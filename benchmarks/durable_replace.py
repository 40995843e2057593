"""A durable replace against the same system calls written by hand, batches against one by one, hashing, and others."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _side_by_side import Contender, compare

from controlroom import LocalStore, atomic_batch, write_bytes

SIZES = {1 << 10: 40, 64 << 20: 1}  # bytes in a file, files in a round
BATCH = 400
SMALL_BYTES = 4 << 10


def by_hand(path: Path, data: bytes) -> None:
    staged = path.with_name(f".{path.name}.tmp")
    with staged.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def batch(folder: Path, data: bytes) -> None:
    with atomic_batch() as files:
        for number in range(BATCH):
            files.write_bytes(folder / f"{number}", data)


def peer(name: str) -> Any:
    """A package, or None, said aloud."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  ({name} is not installed: pip install {name})", file=sys.stderr)
        return None


def peers() -> dict[str, Callable[[Path, bytes], object]]:
    found: dict[str, Callable[[Path, bytes], object]] = {}
    if atomicwrites := peer("atomicwrites"):

        def with_atomicwrites(path: Path, data: bytes) -> None:
            with atomicwrites.atomic_write(str(path), mode="wb", overwrite=True) as file:
                file.write(data)

        found["atomicwrites (durable)"] = with_atomicwrites
    if safer := peer("safer"):

        def with_safer(path: Path, data: bytes) -> None:
            with safer.open(path, "wb") as file:
                file.write(data)

        found["safer (no fsync)"] = with_safer
    if fsspec := peer("fsspec"):

        def with_fsspec(path: Path, data: bytes) -> None:
            filesystem = fsspec.filesystem("file")
            with filesystem.transaction, filesystem.open(str(path), "wb") as file:
                file.write(data)

        found["fsspec transaction (no fsync)"] = with_fsspec
    if obstore := peer("obstore"):
        from obstore.store import LocalStore as Obstore

        found["obstore LocalStore (no fsync)"] = lambda path, data: obstore.put(
            Obstore(str(path.parent)), path.name, data
        )
    return found


def of_size(folder: Path, size_bytes: int, files: int, others: dict[str, Callable[[Path, bytes], object]]) -> None:
    data = os.urandom(size_bytes)
    paths = [folder / str(number) for number in range(files)]
    store = LocalStore(folder)
    contenders: dict[str, Contender] = {
        "open, write, fsync, rename, fsync folder": lambda: [by_hand(path, data) for path in paths],
        "controlroom.write_bytes": lambda: [write_bytes(path, data) for path in paths],
        "LocalStore.publish, with its SHA-256": lambda: [store.publish(path.name, data) for path in paths],
        'controlroom.write_bytes, durable="file"': lambda: [write_bytes(path, data, durable="file") for path in paths],
        "controlroom.write_bytes, durable=False": lambda: [write_bytes(path, data, durable=False) for path in paths],
    }
    for name, write in others.items():
        contenders[name] = lambda write=write: [write(path, data) for path in paths]  # type: ignore[misc]  # bound now
    compare(f"replace {files} files of {size_bytes:,} bytes", contenders, clock="wall")


def together(folder: Path) -> None:
    data = os.urandom(SMALL_BYTES)
    paths = [folder / str(number) for number in range(BATCH)]
    compare(
        f"replace {BATCH} files of {SMALL_BYTES:,} bytes: how much less time than one by one",
        {
            "controlroom.atomic_batch": lambda: batch(folder, data),
            "controlroom.write_bytes, one by one": lambda: [write_bytes(path, data) for path in paths],
            "by hand, one by one": lambda: [by_hand(path, data) for path in paths],
        },
        clock="wall",
        rounds=5,
    )


def main() -> None:
    others = peers()
    with TemporaryDirectory() as name:
        for size_bytes, files in SIZES.items():
            of_size(Path(name), size_bytes, files, others)
        together(Path(name))


if __name__ == "__main__":
    main()
