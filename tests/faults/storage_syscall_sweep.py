"""Run by test_storage_syscalls.py under LD_PRELOAD: strikes a child at each of its system calls, in each way.

    LD_PRELOAD=shim.so python -m tests.faults.storage_syscall_sweep FOLDER OPERATION

Every trial forks, so that it costs milliseconds. Prints how many trials there were; exits with 1 at the first world that a
reader should never see, and at the first error that is not one of ours.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from controlroom.errors import ControlRoomError
from controlroom.storage import LocalStore, atomic_batch, write_bytes
from tests.faults.storage_worlds import NEW, OLD, SYNC, Contents, Operation, published, run, staged

shim = ctypes.CDLL(None)
KILL_BEFORE, KILL_AFTER, FAIL, SHORT_WRITE, FULL = range(5)
WAYS = {
    "killed before": (KILL_BEFORE, 0),
    "killed after": (KILL_AFTER, 0),
    "EIO at": (FAIL, errno.EIO),
    "no room at": (FULL, errno.ENOSPC),
    "a short write at": (SHORT_WRITE, 0),
}
ENDED, FOREIGN, REFUSED, NOT_REACHED = range(4)
REMOVES = (b"unlink", b"unlinkat")


class ThroughALink(Operation):
    """Writes to a symbolic link."""

    def set_up(self, folder: Path) -> None:
        super().set_up(folder)
        (folder / "link").symlink_to("d/a")


def exclusive_batch(folder: Path) -> None:
    with atomic_batch() as batch:
        batch.write_bytes(folder / "a", b"1", overwrite=False)
        batch.write_bytes(folder / "b", b"2", overwrite=False)


SWEPT = (
    *SYNC,
    Operation("exclusive batch", exclusive_batch, {}, {"a": b"1", "b": b"2"}, ({"a": b"1"},)),
    Operation("delete", lambda folder: LocalStore(folder).delete("a"), {"a": OLD, "b": OLD}, {"b": OLD}),
    Operation(
        "publish with metadata",
        lambda folder: LocalStore(folder).publish("a", b"new", metadata={"k": "v"}, content_type="text/csv"),
        {"a": OLD},
        {"a": b"new"},
    ),
    Operation(
        "file durability", lambda folder: LocalStore(folder, durable="file").publish("a", NEW), {"a": OLD}, {"a": NEW}
    ),
    ThroughALink(
        "write through a link",
        lambda folder: write_bytes(folder / "link", NEW),
        {"d/a": OLD},
        {"d/a": NEW, "link": NEW},
        ({"d/a": OLD, "link": OLD},),
    ),
)


@dataclass(frozen=True)
class Ended:
    """How a child ended: None of *code* is a kill; *struck* is the system call."""

    code: int | None
    struck: bytes


def struck(operation: Operation, folder: Path, way: str, point: int) -> Ended:
    """Strike a child there."""
    mode, number = WAYS[way]
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        code, problem = ENDED, b""
        shim.shim_arm(ctypes.c_long(point), mode, number)
        try:
            run(operation, folder)
        except ControlRoomError:
            code = REFUSED
        except BaseException as error:
            code, problem = FOREIGN, "".join(traceback.format_exception(error)).encode()
        was_reached = shim.shim_left() < 0
        shim.shim_arm(ctypes.c_long(-1), 0, 0)
        os.write(tell, (ctypes.c_char_p.in_dll(shim, "struck_name").value or b"") + problem)
        os._exit(code if was_reached else NOT_REACHED)
    os.close(tell)
    said = os.read(told, 4096)
    os.close(told)
    _, status = os.waitpid(child, 0)
    return Ended(None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), said)


def survives(operation: Operation, folder: Path, way: str, point: int) -> bool:
    """Try one point in one way; False when the child ended before it got there."""
    folder.mkdir()
    operation.set_up(folder)
    ended = struck(operation, folder, way, point)
    seen, where = published(folder), f"{operation.name}: {way} call {point} {ended.struck.decode()}"
    if ended.code == FOREIGN:
        sys.exit(f"{where}: not one of our errors")
    if seen not in operation.allowed:
        sys.exit(f"{where}: a reader sees { {name: len(content) for name, content in seen.items()} }")
    if ended.code in (ENDED, NOT_REACHED) and seen != operation.after:
        sys.exit(f"{where}: it said that all was well, and a reader sees {sorted(seen)}")
    if ended.code is not None and staged(folder) and not ended.struck.startswith(REMOVES):
        sys.exit(f"{where}: it left {staged(folder)}")
    swept(folder, seen, where)
    shutil.rmtree(folder)
    return ended.code != NOT_REACHED


def swept(folder: Path, seen: Contents, where: str) -> None:
    """Whatever was left is gone after the next write, and nothing else is."""
    for place in {folder, *(path.parent for path in folder.rglob("*"))}:
        if staged(place):
            write_bytes(place / "next", b"", durable=False)
            (place / "next").unlink()
    if staged(folder) or published(folder) != seen:
        sys.exit(f"{where}: the next writer left {staged(folder)}, {sorted(published(folder))}")


def main() -> None:
    base, name = Path(sys.argv[1]), sys.argv[2]
    operation = next(operation for operation in SWEPT if operation.name == name)
    warm = base / "warm"
    warm.mkdir()
    operation.set_up(warm)
    run(operation, warm)  # what it imports is not what is struck
    trials = 0
    for way in WAYS:
        point = 0
        while survives(operation, base / f"{trials}", way, point):
            point += 1
            trials += 1
        trials += 1
    print(trials)


if __name__ == "__main__":
    main()
