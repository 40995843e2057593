"""A durable replace against the same system calls written by hand, and against no durability at all."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from _side_by_side import compare

from controlroom import atomic_batch, write_bytes

FILES = 40


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
        for number in range(FILES):
            files.write_bytes(folder / f"{number}", data)


def of_size(folder: Path, size_bytes: int) -> None:
    data = os.urandom(size_bytes)
    paths = [folder / str(number) for number in range(FILES)]
    compare(
        f"replace {FILES} files of {size_bytes:,} bytes",
        {
            "open, write, fsync, rename, fsync folder": lambda: [by_hand(path, data) for path in paths],
            "controlroom.write_bytes": lambda: [write_bytes(path, data) for path in paths],
            "controlroom.atomic_batch": lambda: batch(folder, data),
            "controlroom.write_bytes, durable=False": lambda: [
                write_bytes(path, data, durable=False) for path in paths
            ],
        },
        clock="wall",
    )


def main() -> None:
    with TemporaryDirectory() as name:
        for size_bytes in (1 << 10, 1 << 20):
            of_size(Path(name), size_bytes)


if __name__ == "__main__":
    main()
