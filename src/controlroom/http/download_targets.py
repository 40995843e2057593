"""Where a download is written: an object that is there when all of it came, and not before."""

from __future__ import annotations

import os
from collections import deque
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controlroom.errors import ConfigError
from controlroom.http.downloads import START_AGAIN, Piece

if TYPE_CHECKING:
    from controlroom.storage import AsyncObjectStore, ObjectStore, Receipt
    from controlroom.storage.files import ObjectWriter
    from controlroom.storage.files_async import AsyncObjectWriter

__all__ = ["AsyncTarget", "Target", "named"]


def named(to: Any, key: str | None) -> tuple[Path | None, str]:
    """Return the folder and the name in it where *to* is a path; None and *key* where it is a store.

    Raises:
        ConfigError: A store without a key, or a path with one.
    """
    if isinstance(to, str | os.PathLike):
        if key is not None:
            message = f"key={key!r} goes with a store; {os.fspath(to)!r} is a path."
            raise ConfigError(message)
        path = Path(os.fsdecode(to)).absolute()
        return path.parent, path.name
    if key is None:
        message = "A download into a store needs its key: download(path, to=store, key=…)."
        raise ConfigError(message)
    return None, key


class Target:
    """One object being written, again from its beginning where that has to be."""

    def __init__(self, to: Any, key: str | None, *, if_absent: bool) -> None:
        folder, self._key = named(to, key)
        if folder is not None:
            from controlroom.storage import LocalStore  # noqa: PLC0415 - only those who download pay for files

            to = LocalStore(folder, create=False)
        self._store: ObjectStore = to
        self._if_absent = if_absent
        self._open = ExitStack()
        self._file: ObjectWriter | None = None

    def write(self, piece: Piece) -> None:
        """Write *piece*, or begin again."""
        if piece is START_AGAIN or self._file is None:
            self._begin()
        if piece is not START_AGAIN and self._file is not None:
            self._file.write(piece)

    def _begin(self) -> None:
        self.forget()
        self._file = self._open.enter_context(self._store.writer(self._key, if_absent=self._if_absent))

    def forget(self) -> None:
        """Leave the object as it was."""
        if self._file is not None:
            self._file.discard()
            self._file = None
        self._open.close()

    def publish(self) -> Receipt:
        """Make the object visible, and return the proof."""
        if self._file is None:  # an answer without a body
            self._begin()
        file, self._file = self._file, None
        self._open.close()
        receipt = None if file is None else file.receipt
        assert receipt is not None  # noqa: S101 - a store that publishes gives one
        return receipt


class AsyncTarget:
    """`Target` for asyncio: pieces wait until they can be awaited."""

    def __init__(self, to: Any, key: str | None, *, if_absent: bool) -> None:
        folder, self._key = named(to, key)
        if folder is not None:
            from controlroom.storage import AsyncLocalStore  # noqa: PLC0415 - as in Target

            to = AsyncLocalStore(folder, create=False)
        self._store: AsyncObjectStore = to
        self._if_absent = if_absent
        self._open = AsyncExitStack()
        self._file: AsyncObjectWriter | None = None
        self._waiting: deque[Piece] = deque()

    def write(self, piece: Piece) -> None:
        """Have *piece* written, or begin again, when `settle` is awaited."""
        self._waiting.append(piece)

    async def settle(self) -> None:
        """Write what waits."""
        while self._waiting:
            piece = self._waiting.popleft()
            if piece is START_AGAIN or self._file is None:
                await self._begin()
            if piece is not START_AGAIN and self._file is not None:
                await self._file.write(piece)

    async def _begin(self) -> None:
        await self.forget()
        self._file = await self._open.enter_async_context(self._store.writer(self._key, if_absent=self._if_absent))

    async def forget(self) -> None:
        """Leave the object as it was."""
        if self._file is not None:
            self._file.discard()
            self._file = None
        await self._open.aclose()

    async def publish(self) -> Receipt:
        """Make the object visible, and return the proof."""
        await self.settle()
        if self._file is None:
            await self._begin()
        file, self._file = self._file, None
        await self._open.aclose()
        receipt = None if file is None else file.receipt
        assert receipt is not None  # noqa: S101 - as in Target
        return receipt
