"""Run by test_logs_kills.py in a process of its own: kills a child before each of its system calls.

    python -m tests.faults.logs_kill_sweep FOLDER OPERATION

Every trial forks, so that a kill costs milliseconds; packing runs in the child's own thread, so that its steps come in
one order. Prints how many trials there were; exits with 1 at the first log that lost or doubled a line.
"""

from __future__ import annotations

import _thread
import fcntl
import gzip
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from controlroom.logs.appending import AppendedFile
from controlroom.logs.rotation import parts_of
from controlroom.testing import ManualClock

WATCHED: tuple[tuple[ModuleType, str], ...] = (
    *((os, name) for name in ("open", "write", "pwrite", "close", "fsync", "replace", "rename", "link", "unlink")),
    *((os, name) for name in ("fchmod", "fchown", "ftruncate")),
    (fcntl, "lockf"),
)
LINES = 6

OPERATIONS: dict[str, dict[str, Any]] = {
    "by size": {"max_bytes": 20, "keep": 50},
    "by age": {"max_age_s": 1.5, "keep": 50},
    "by size, packed": {"max_bytes": 20, "keep": 50, "compress": True},
    "at a gap": {"max_bytes": 20, "keep": 50, "compress": True},
    "with few kept": {"max_bytes": 20, "keep": 3, "compress": True},
}


def kill_at(point: int) -> None:
    """Die before that system call of this process, counted from now: what is there is what stands after the one before."""
    made = count()

    def watching(call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if next(made) == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return watched

    for module, name in WATCHED:
        setattr(module, name, watching(getattr(module, name)))


def write(path: Path, who: str, arguments: dict[str, Any], acknowledge: Callable[[bytes], Any]) -> None:
    """Append lines, and acknowledge each of them when it is written."""
    with ManualClock() as clock:
        file = AppendedFile(path, **arguments)
        for number in range(LINES):
            file.append(f"{who} {number}\n".encode())
            acknowledge(b"x")
            clock.advance(1)
        file.close()


def written(path: Path) -> list[str]:
    contents = (
        gzip.decompress(part.read_bytes()) if part.suffix == ".gz" else part.read_bytes() for part in parts_of(path)
    )
    return [line for content in contents for line in content.decode().splitlines()]


def of(who: str, lines: int) -> list[str]:
    return [f"{who} {number}" for number in range(lines)]


def check(path: Path, expected: list[str], when: str, at_least: int) -> None:
    found = written(path)
    if expected[-len(found) :] != found or len(found) < min(at_least, len(expected)):
        names = sorted(file.name for file in path.parent.iterdir())
        sys.exit(f"{when}: {names} hold {found}, which should be the end of {expected}")


def survives(path: Path, operation: str, point: int) -> bool:
    """Kill a child there; False when it ended before it got there."""
    path.parent.mkdir(parents=True)
    arguments = OPERATIONS[operation]
    if operation == "at a gap":
        Path(f"{path}.1.gz").write_bytes(gzip.compress(b"old 2\n"))
        Path(f"{path}.1").write_bytes(b"old 2\n")  # what a kill left
        Path(f"{path}.3").write_bytes(b"old 1\n")
        Path(f"{path}.part").write_bytes(b"\x1f\x8b")
    before = written(path)
    reading, told = os.pipe()
    child = os.fork()
    if child == 0:
        _thread.start_new_thread = lambda run, args: run(*args)  # type: ignore[assignment]  # one order of steps
        acknowledge = partial(os.write, told)
        kill_at(point)
        write(path, "killed", arguments, acknowledge)
        os._exit(0)
    os.close(told)
    _, status = os.waitpid(child, 0)
    acknowledged = len(os.read(reading, 100))
    os.close(reading)
    at_least = 2 * (arguments["keep"] - 1)  # two lines fit into a file; of the oldest, a kill may cost one
    found = [line for line in written(path) if line.startswith("killed")]
    there = int(found[-1].split()[1]) + 1 if found else 0
    if there not in (acknowledged, acknowledged + 1):
        sys.exit(f"killed at {point}: {acknowledged} lines were acknowledged, and {there} are there")
    check(path, before + of("killed", there), f"killed at {point}", at_least)
    write(path, "after", arguments, bytes)
    check(path, before + of("killed", there) + of("after", LINES), f"after the kill at {point}", at_least + 1)
    names = [file.name for file in path.parent.iterdir()]
    plain = [name for name in names if name[-1:].isdecimal()]
    if any(f"{name}.gz" in names for name in plain) or (
        arguments.get("compress") and (plain or f"{path.name}.part" in names)
    ):
        sys.exit(f"after the kill at {point}: {sorted(names)} were left")
    if not os.WIFEXITED(status):
        return True
    if status != 0:
        sys.exit(f"undisturbed, the child ended with {status}")
    return False


def main() -> None:
    base, operation = Path(sys.argv[1]), sys.argv[2]
    os.fsync = lambda _fd: None  # a kill is no power cut, and it takes milliseconds
    trials = 0
    while survives(base / str(trials) / "run.jsonl", operation, trials):
        trials += 1
    print(trials)


if __name__ == "__main__":
    main()
