"""Rejected records on their way to the quarantine: spooled, never held in memory, published when the unit commits."""

from __future__ import annotations

import json
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from controlroom.errors import QuarantineThresholdError
from controlroom.errors.text import plain
from controlroom.logs import get_logger

__all__ = ["Rejects"]

_log = get_logger(__name__)

_SPOOL_BYTES = 1 << 20
_LOGGED_SINGLY = 5  # a file of a million bad lines is one fact, not a million warnings


class Rejects:
    """The bad records of one file, one JSON line each: ``{"line": …, "reason": …, "record": …}``."""

    def __init__(self, key: str, limit: int | None) -> None:
        self.count: int = 0
        self._key = key
        self._limit = limit
        self._spool: SpooledTemporaryFile[bytes] | None = None

    def add(self, record: Any, reason: str, line: int | None) -> None:
        """Set one record aside.

        Raises:
            QuarantineThresholdError: One more than the inbox allows a file.
        """
        if self._spool is None:
            self._spool = SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - lives until the unit ends
        entry = {"line": line, "reason": reason, "record": plain(record)}
        self._spool.write(json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        self.count += 1
        if self.count <= _LOGGED_SINGLY:
            _log.warning("record_rejected", file=self._key, key=self._key, line=line, reason=reason)
        if self._limit is not None and self.count > self._limit:
            message = (
                f"{self._key}: {self.count} records were rejected, {self._limit} are allowed. Nothing of the file was "
                "written. Something upstream broke: look at the rejected records before running again."
            )
            raise QuarantineThresholdError(message, rejected=self.count, limit=self._limit)

    def file(self) -> BinaryIO:
        """Return all of them as a file, from its beginning."""
        spool = cast("BinaryIO", self._spool)
        spool.seek(0)
        return spool

    def close(self) -> None:
        """Give the disk space back."""
        if self._spool is not None:
            self._spool.close()
