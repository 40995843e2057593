"""Run by test_storage_kills.py in a process of its own: kills a child before and after each of its system calls.

    python storage_kill_sweep.py FOLDER OPERATION

Every trial forks, so that a kill costs milliseconds. Prints how many trials there were; exits with 1 at the first world
that a reader should never see.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from controlroom.storage import write_bytes
from tests.faults.storage_worlds import SYNC, Operation, published, run, staged

WATCHED: tuple[tuple[ModuleType, str], ...] = (
    *((os, name) for name in ("open", "write", "close", "dup", "fsync", "rename", "link", "unlink", "mkdir")),
    *((os, name) for name in ("stat", "fstat", "fchmod", "fchown", "setxattr", "utime", "scandir")),
    (fcntl, "flock"),
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(point: int) -> None:
    """Die before (even *point*) or after (odd *point*) one system call of this process, counted from now."""
    made = count()

    def watching(call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            number = next(made) * 2
            if number == point:
                die()
            try:
                return call(*args, **kwargs)
            finally:
                if number + 1 == point:
                    die()

        return watched

    for module, name in WATCHED:
        setattr(module, name, watching(getattr(module, name)))


def survives(operation: Operation, folder: Path, point: int) -> bool:
    """Kill a child there; False when it ended before it got there."""
    folder.mkdir()
    operation.set_up(folder)
    child = os.fork()
    if child == 0:
        kill_at(point)
        run(operation, folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        if os.WEXITSTATUS(status) != 0 or published(folder) != operation.after or staged(folder):
            sys.exit(
                f"undisturbed, the child ended with {status} and left {sorted(published(folder))}, {staged(folder)}"
            )
        return False
    seen = published(folder)
    if seen not in operation.allowed:
        sys.exit(f"killed at {point}: a reader sees { {name: len(content) for name, content in seen.items()} }")
    for place in {folder, *(path.parent for path in folder.rglob("*"))}:
        write_bytes(place / "next", b"", durable=False)
        (place / "next").unlink()
    if staged(folder) or published(folder) != seen:
        sys.exit(f"killed at {point}: the next writer left {staged(folder)}, {sorted(published(folder))}")
    return True


def main() -> None:
    base, name = Path(sys.argv[1]), sys.argv[2]
    operation = next(operation for operation in SYNC if operation.name == name)
    trials = 0
    while survives(operation, base / str(trials), trials):
        trials += 1
    print(trials)


if __name__ == "__main__":
    main()
