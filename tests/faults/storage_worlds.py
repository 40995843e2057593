"""What can be interrupted while it writes: every local operation in both colours, with what may be there before and after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlroom.storage import AsyncLocalStore, LocalStore, atomic_batch, atomic_writer, write_bytes
from controlroom.storage.paths import is_staged_name

OLD = b"old content"
NEW = b"new content " * 200_000  # three chunks

Contents = dict[str, bytes]


@dataclass(frozen=True)
class Operation:
    """Something that writes, from *before* to *after*; a crash may also leave what is *between*."""

    name: str
    run: Callable[[Path], Any]
    before: Contents
    after: Contents
    between: tuple[Contents, ...] = ()

    def set_up(self, folder: Path) -> None:
        for name, content in self.before.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

    @property
    def allowed(self) -> tuple[Contents, ...]:
        return (self.before, self.after, *self.between)


def published(folder: Path) -> Contents:
    """What a reader sees."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not is_staged_name(path.name)
    }


def staged(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if is_staged_name(path.name)]


def chunks() -> Iterator[bytes]:
    for start in range(0, len(NEW), 1_000_000):
        yield NEW[start : start + 1_000_000]


def write_through_writer(folder: Path) -> None:
    with atomic_writer(folder / "a", "wb") as f:
        f.write(NEW)


def write_batch(folder: Path) -> None:
    with atomic_batch() as batch:
        batch.write_bytes(folder / "a", NEW)
        batch.write_bytes(folder / "b", NEW)


def write_to_store(folder: Path) -> None:
    with LocalStore(folder).writer("a") as f:
        for chunk in chunks():
            f.write(chunk)


SYNC = (
    Operation("atomic_writer", write_through_writer, {"a": OLD}, {"a": NEW}),
    Operation(
        "exclusive atomic_writer", lambda folder: write_bytes(folder / "a", NEW, overwrite=False), {}, {"a": NEW}
    ),
    Operation("atomic_batch", write_batch, {"a": OLD}, {"a": NEW, "b": NEW}, ({"a": NEW},)),
    Operation("publish", lambda folder: LocalStore(folder).publish("a", chunks()), {"a": OLD}, {"a": NEW}),
    Operation(
        "publish if absent", lambda folder: LocalStore(folder).publish("d/a", NEW, if_absent=True), {}, {"d/a": NEW}
    ),
    Operation("writer", write_to_store, {"a": OLD}, {"a": NEW}),
    Operation("copy", lambda folder: LocalStore(folder).copy("a", "b"), {"a": NEW, "b": OLD}, {"a": NEW, "b": NEW}),
    Operation("move", lambda folder: LocalStore(folder).move("a", "d/b"), {"a": NEW, "d/b": OLD}, {"d/b": NEW}),
    Operation(
        "move if absent",
        lambda folder: LocalStore(folder).move("a", "d/b", if_absent=True),
        {"a": NEW},
        {"d/b": NEW},
        ({"a": NEW, "d/b": NEW},),
    ),
)


async def write_to_async_store(folder: Path) -> None:
    async with AsyncLocalStore(folder).writer("a") as f:
        for chunk in chunks():
            await f.write(chunk)


async def arriving() -> Any:
    for chunk in chunks():
        await asyncio.sleep(0)
        yield chunk


def twin(name: str) -> Operation:
    return next(operation for operation in SYNC if operation.name == name)


def in_async(name: str, run: Callable[[Path], Coroutine[Any, Any, Any]]) -> Operation:
    like = twin(name.removesuffix(" from an async source"))
    return Operation(f"async {name}", run, like.before, like.after, like.between)


ASYNC = (
    in_async("publish", lambda folder: AsyncLocalStore(folder).publish("a", chunks())),
    in_async("publish from an async source", lambda folder: AsyncLocalStore(folder).publish("a", arriving())),
    in_async("publish if absent", lambda folder: AsyncLocalStore(folder).publish("d/a", NEW, if_absent=True)),
    in_async("writer", write_to_async_store),
    in_async("copy", lambda folder: AsyncLocalStore(folder).copy("a", "b")),
    in_async("move", lambda folder: AsyncLocalStore(folder).move("a", "d/b")),
    in_async("move if absent", lambda folder: AsyncLocalStore(folder).move("a", "d/b", if_absent=True)),
)


def run(operation: Operation, folder: Path) -> Any:
    outcome = operation.run(folder)
    return asyncio.run(outcome) if asyncio.iscoroutine(outcome) else outcome
