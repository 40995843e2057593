"""What the handler of one file works with."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import Any, BinaryIO, TextIO

from controlroom.database import UnitOfWork
from controlroom.ingestion.steps import Parcel
from controlroom.storage import ObjectInfo, ObjectStore

__all__ = ["Work"]


class Work:
    """One file, and the unit of work in which everything about it is written.

    Attributes:
        key: The file's key in the store.
        info: Size, time and version of the file when it was claimed.
        attempt: Which attempt this is, 1-based.
        uow: The unit of work; it commits when the block ends cleanly.
    """

    def __init__(self, store: ObjectStore, parcel: Parcel, opened: ExitStack) -> None:
        self.key: str = parcel.key
        self.info: ObjectInfo = parcel.ticket.info
        self.attempt: int = parcel.ticket.attempt
        self.uow: UnitOfWork = parcel.uow
        self._store = store
        self._parcel = parcel
        self._opened = opened

    def open(self) -> BinaryIO:
        """Open the file for reading as bytes, streamed. It is closed when the block ends.

        Raises:
            ObjectChangedError: The file ceases to be the one that was opened.
            ObjectNotFoundError: It is gone.
        """
        return self._opened.enter_context(self._store.open(self.key))

    def open_text(self, encoding: str = "utf-8", newline: str = "") -> TextIO:
        """Open the file for reading as text, streamed; the default *newline* is the one that `csv` asks for.

        Bytes that are not *encoding* end the attempt as wrong content: the file is quarantined.
        """
        return self._opened.enter_context(io.TextIOWrapper(self.open(), encoding=encoding, newline=newline))

    def reject(self, record: Any, reason: str, *, line: int | None = None) -> None:
        """Set a bad record aside with its reason; the file goes on.

        The rejected records of a file appear as ``<quarantine>/<name>.rejects.jsonl`` when its unit commits.

        Args:
            record: The record as it was read; any data.
            reason: Why, for whoever repairs it.
            line: Its 1-based line or position in the file.

        Raises:
            QuarantineThresholdError: More records are bad than the inbox allows a file.
        """
        self._parcel.rejects.add(record, reason, line)
