"""The async twin of `controlroom.ingestion.work`."""

from __future__ import annotations

import io
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TextIO, cast

from controlroom.database import AsyncUnitOfWork
from controlroom.ingestion.steps import Parcel
from controlroom.storage import AsyncObjectStore, ObjectInfo

__all__ = ["AsyncWork"]

_SPOOL_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 20


class AsyncWork:
    """One file, and the unit of work in which everything about it is written.

    Attributes:
        key: The file's key in the store.
        info: Size, time and version of the file when it was claimed.
        attempt: Which attempt this is, 1-based.
        uow: The unit of work; it commits when the block ends cleanly.
    """

    def __init__(self, store: AsyncObjectStore, parcel: Parcel, opened: ExitStack) -> None:
        self.key: str = parcel.key
        self.info: ObjectInfo = parcel.ticket.info
        self.attempt: int = parcel.ticket.attempt
        self.uow: AsyncUnitOfWork = parcel.uow
        self._store = store
        self._parcel = parcel
        self._opened = opened

    async def open(self) -> BinaryIO:
        """Open the file for reading as bytes, streamed. It is closed when the block ends.

        It is fetched first, into memory up to 8 MiB and to a temporary file beyond, and what is returned is an
        ordinary file: `csv` and its kin read from it without ``await``.

        Raises:
            ObjectChangedError: The file ceased to be the one that was opened.
            ObjectNotFoundError: It is gone.
        """
        spool = SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - closed when the block ends
        self._opened.callback(spool.close)
        async with self._store.open(self.key) as source:
            while chunk := await source.read(_CHUNK_BYTES):
                spool.write(chunk)
        spool.seek(0)
        return cast("BinaryIO", spool)

    async def open_text(self, encoding: str = "utf-8", newline: str = "") -> TextIO:
        """Open the file for reading as text, streamed; the default *newline* is the one that `csv` asks for.

        Bytes that are not *encoding* end the attempt as wrong content: the file is quarantined.
        """
        return self._opened.enter_context(io.TextIOWrapper(await self.open(), encoding=encoding, newline=newline))

    def reject(self, record: Any, reason: str, *, line: int | None = None) -> None:
        """Set a bad record aside with its reason; the file goes on.

        The rejected records of a file appear as ``<quarantine>/<name>.rejects.jsonl`` when its unit commits. Not a
        coroutine: the record is only spooled here.

        Args:
            record: The record as it was read; any data.
            reason: Why, for whoever repairs it.
            line: Its 1-based line or position in the file.

        Raises:
            QuarantineThresholdError: More records are bad than the inbox allows a file.
        """
        self._parcel.rejects.add(record, reason, line)
