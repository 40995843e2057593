"""Both colours of a database behind one blocking face, so that each test is written once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from controlroom.database import AsyncDatabase, Database

COLOURS = ("sync", "async")


class Blocking:
    """An asynchronous object whose coroutines run to their end when they are called."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return self._blocking(getattr(self._target, "aclose" if name == "close" else name))

    def __enter__(self) -> Any:
        return self._blocking(self._loop.run_until_complete(self._target.__aenter__()))

    def __exit__(self, *raised: object) -> Any:
        return self._loop.run_until_complete(self._target.__aexit__(*raised))

    def __iter__(self) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(anext(self._target))
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(self._target.aclose())

    def _blocking(self, value: Any) -> Any:
        if inspect.iscoroutine(value):
            return self._blocking(self._loop.run_until_complete(value))
        if inspect.isfunction(value) or inspect.ismethod(value):
            return lambda *args, **kwargs: self._blocking(value(*args, **kwargs))
        asynchronous = any(hasattr(value, name) for name in ("__aenter__", "__anext__", "_run"))
        return Blocking(value, self._loop) if asynchronous else value


@contextmanager
def opened(colour: str, url: str, **options: Any) -> Iterator[Any]:
    """Open a database of *colour*."""
    if colour == "sync":
        with Database(url, **options) as database:
            yield database
        return
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        with Blocking(AsyncDatabase(url, **options), loop) as database:
            yield database
