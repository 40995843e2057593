"""Every object store in one colour: what an async store does is awaited, in an event loop of its own or in one for all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, Self

from controlroom.storage import (
    AsyncLocalStore,
    AsyncObjectStore,
    AsyncS3Store,
    LocalStore,
    ObjectInfo,
    ObjectStore,
    Receipt,
    S3Store,
    transfer_async,
)
from controlroom.storage import transfer as transfer_sync
from controlroom.testing.stores import MemoryStore
from controlroom.testing.stores_async import AsyncMemoryStore
from tests.servers.s3 import S3Server


class Runs(Protocol):
    def run(self, coroutine: Coroutine[Any, Any, Any], /) -> Any: ...


class EachInALoopOfItsOwn:
    """As ``asyncio.run`` does; what belongs together runs in one loop."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(coroutine)

    def together(self) -> AbstractContextManager[Runs]:
        return asyncio.Runner()


class AllInOneLoop:
    """As a service does: one loop, in a thread of its own, that many calls share."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="one-loop", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def together(self) -> AbstractContextManager[Runs]:
        return nullcontext(self)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Blocking:
    """An async store, driven from synchronous code."""

    def __init__(self, store: AsyncObjectStore, loops: EachInALoopOfItsOwn | AllInOneLoop | None = None) -> None:
        self.store = store
        self._loops = loops or EachInALoopOfItsOwn()
        self.run = self._loops.run

    @property
    def url(self) -> str:
        return self.store.url

    def publish(self, key: str, source: Any, **kwargs: Any) -> Receipt:
        return self.run(self.store.publish(key, source, **kwargs))

    def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        return self.run(self.store.read_bytes(key, max_bytes))

    def stat(self, key: str) -> ObjectInfo:
        return self.run(self.store.stat(key))

    def exists(self, key: str) -> bool:
        return self.run(self.store.exists(key))

    def copy(self, src: str, dst: str, **kwargs: Any) -> Receipt:
        return self.run(self.store.copy(src, dst, **kwargs))

    def move(self, src: str, dst: str, **kwargs: Any) -> Receipt:
        return self.run(self.store.move(src, dst, **kwargs))

    def delete(self, key: str, if_match: str | None = None) -> None:
        self.run(self.store.delete(key, if_match))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        async def collected() -> Any:
            return [info async for info in self.store.list(prefix)]

        yield from self.run(collected())

    @contextmanager
    def writer(self, key: str, **kwargs: Any) -> Iterator[Any]:
        with self._loops.together() as runner:
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
        with self._loops.together() as runner:
            context = self.store.open(key)
            try:
                yield BlockingFile(runner, runner.run(_entered(context)))
            finally:
                runner.run(_left(context, None, None))

    def close(self) -> None:
        self.run(self.store.aclose())

    def __enter__(self) -> Self:
        self.run(self.store.__aenter__())
        return self

    def __exit__(self, *exception: object) -> None:
        self.run(self.store.__aexit__(*exception))


class BlockingFile:
    def __init__(self, runner: Runs, file: Any) -> None:
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
        return from_store.run(transfer_async(from_store.store, key, to_store.store, key2, **kwargs))
    return transfer_sync(from_store, key, to_store, key2, **kwargs)


def open_s3(colour: str, server: S3Server, prefix: str, loops: AllInOneLoop, **options: Any) -> S3Store | Blocking:
    """A store of *colour* below *prefix* in the bucket that all tests share."""
    bucket = options.pop("bucket", server.bucket)
    given = {**server.login(options.pop("endpoint_url", None)), **options}
    if colour == "AsyncS3Store":
        return Blocking(AsyncS3Store(bucket, prefix, **given), loops)
    return S3Store(bucket, prefix, **given)


async def in_pieces(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


STORES: dict[str, Callable[[Path], ObjectStore | Blocking]] = {
    "LocalStore": LocalStore,
    "AsyncLocalStore": lambda folder: Blocking(AsyncLocalStore(folder)),
    "MemoryStore": lambda _: MemoryStore(),
    "AsyncMemoryStore": lambda _: Blocking(AsyncMemoryStore()),
}

# Each colour on one server, and each server in one colour: what is asked for is decided once for both, and what a server does
# otherwise than S3 is said where it shows, in `KNOWN`.
S3_STORES = {
    "S3Store on seaweedfs": ("S3Store", "seaweedfs_server"),
    "AsyncS3Store on ministack": ("AsyncS3Store", "ministack_server"),
}
