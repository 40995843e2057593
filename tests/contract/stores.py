"""Every object store in one colour: what an async store does is awaited in an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from controlroom.storage import (
    AsyncLocalStore,
    AsyncObjectStore,
    LocalStore,
    ObjectInfo,
    ObjectStore,
    Receipt,
    transfer_async,
)
from controlroom.storage import transfer as transfer_sync
from controlroom.testing.stores import MemoryStore
from controlroom.testing.stores_async import AsyncMemoryStore


def wait(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


class Blocking:
    """An async store, driven from synchronous code."""

    def __init__(self, store: AsyncObjectStore) -> None:
        self.store = store

    @property
    def url(self) -> str:
        return self.store.url

    def publish(self, key: str, source: Any, **kwargs: Any) -> Receipt:
        return wait(self.store.publish(key, source, **kwargs))

    def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        return wait(self.store.read_bytes(key, max_bytes))

    def stat(self, key: str) -> ObjectInfo:
        return wait(self.store.stat(key))

    def exists(self, key: str) -> bool:
        return wait(self.store.exists(key))

    def copy(self, src: str, dst: str, **kwargs: Any) -> Receipt:
        return wait(self.store.copy(src, dst, **kwargs))

    def move(self, src: str, dst: str, **kwargs: Any) -> Receipt:
        return wait(self.store.move(src, dst, **kwargs))

    def delete(self, key: str, if_match: str | None = None) -> None:
        wait(self.store.delete(key, if_match))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        async def collected() -> Any:
            return [info async for info in self.store.list(prefix)]

        yield from wait(collected())

    @contextmanager
    def writer(self, key: str, **kwargs: Any) -> Iterator[Any]:
        with asyncio.Runner() as runner:
            context = self.store.writer(key, **kwargs)
            file = runner.run(_entered(context))
            try:
                yield BlockingFile(runner, file)
            except BaseException as error:
                if not runner.run(_left(context, type(error), error)):
                    raise
            else:
                runner.run(_left(context, None, None))

    @contextmanager
    def open(self, key: str) -> Iterator[Any]:
        with asyncio.Runner() as runner:
            context = self.store.open(key)
            try:
                yield BlockingFile(runner, runner.run(_entered(context)))
            finally:
                runner.run(_left(context, None, None))

    def __enter__(self) -> Self:
        wait(self.store.__aenter__())
        return self

    def __exit__(self, *exception: object) -> None:
        wait(self.store.__aexit__(*exception))


class BlockingFile:
    def __init__(self, runner: asyncio.Runner, file: Any) -> None:
        self._runner = runner
        self._file = file

    def write(self, data: bytes) -> int:
        return self._runner.run(self._file.write(data))

    def read(self, size: int = -1) -> bytes:
        return self._runner.run(self._file.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._runner.run(self._file.seek(offset, whence))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


async def _entered(context: Any) -> Any:
    return await context.__aenter__()


async def _left(context: Any, *exception: Any) -> Any:
    return (
        await context.__aexit__(*exception, None)
        if exception[0] is None
        else await context.__aexit__(*exception, exception[1].__traceback__)
    )


def transfer(from_store: Any, key: str, to_store: Any, key2: str | None = None, **kwargs: Any) -> Receipt:
    if isinstance(from_store, Blocking):
        return wait(transfer_async(from_store.store, key, to_store.store, key2, **kwargs))
    return transfer_sync(from_store, key, to_store, key2, **kwargs)


async def in_pieces(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


STORES: dict[str, Callable[[Path], ObjectStore | Blocking]] = {
    "LocalStore": LocalStore,
    "AsyncLocalStore": lambda folder: Blocking(AsyncLocalStore(folder)),
    "MemoryStore": lambda _: MemoryStore(),
    "AsyncMemoryStore": lambda _: Blocking(AsyncMemoryStore()),
}
