"""Real filesystems to write on: made in a file and mounted through a loop device, or refused with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1024 * 1024
# The options that hide the fewest mistakes: no ordering of data before names, nothing allocated early on a rename.
OPTIONS = {"ext4": "loop,data=writeback,noauto_da_alloc", "xfs": "loop,nouuid", "btrfs": "loop"}
MAKING = {
    "ext4": (32 * MIB, ["mkfs.ext4", "-q", "-F"]),
    "xfs": (320 * MIB, ["mkfs.xfs", "-q", "-f"]),
    "btrfs": (128 * MIB, ["mkfs.btrfs", "-q", "-f"]),
}


def mount(*arguments: str, what: str) -> None:
    """Mount it, or skip saying why not."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        pytest.skip(f"{what} cannot be mounted here: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], timeout=30, check=True)


class Disk:
    """A filesystem in a file."""

    def __init__(self, kind: str, folder: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a disk")
        size_bytes, making = MAKING[kind]
        if shutil.which(making[0]) is None:
            pytest.skip(f"there is no {making[0]} to make a disk with")
        self.kind, self.image, self.folder = kind, folder / "image", folder / "disk"
        self.folder.mkdir()
        with self.image.open("wb") as image:
            image.truncate(size_bytes)
        subprocess.run([*making, str(self.image)], capture_output=True, timeout=60, check=True)

    def mount(self) -> None:
        mount("-t", self.kind, "-o", OPTIONS[self.kind], str(self.image), str(self.folder), what=f"an {self.kind}")


@contextmanager
def mounted(kind: str, folder: Path) -> Iterator[Path]:
    """Yield an empty folder on a filesystem of that *kind*."""
    if kind in MAKING:
        disk = Disk(kind, folder)
        disk.mount()
        place = disk.folder
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a disk")
        place = folder / "disk"
        place.mkdir()
        if kind == "overlay":
            # On a tmpfs of its own: an overlay cannot lie on another one, which is what a container's folders often are.
            base = folder / "base"
            base.mkdir()
            mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", str(base), what="a tmpfs")
            for layer in ("lower", "upper", "work"):
                (base / layer).mkdir()
            layers = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
            try:
                mount("-t", "overlay", "-o", layers, "overlay", str(place), what="an overlay")
            except BaseException:
                unmount(base)
                raise
        else:
            mount("-t", kind, "-o", "size=16m", kind, str(place), what=f"a {kind}")
    try:
        yield place
    finally:
        unmount(place)
        if kind == "overlay":
            unmount(folder / "base")
