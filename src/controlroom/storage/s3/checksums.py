"""What content is known by: SHA-256 of all of it, and of each piece what the server checks it by."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from typing import Any

from controlroom.policy.s3_pieces import Piece, Sums

__all__ = ["Summing"]


class Summing:
    """Sums of content that goes by piece by piece.

    Args:
        sums: What the server checks pieces by.
    """

    def __init__(self, sums: Sums) -> None:
        self._sums = sums
        self._whole = hashlib.sha256()

    def piece(self, content: bytes | bytearray | memoryview, body: Any, *, is_last: bool) -> Piece:
        """Return *content* as the next piece; *body* is what will be sent for it."""
        self._whole.update(content)
        md5 = ""
        if self._sums == "md5":
            md5 = b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode("ascii")
        return Piece(
            body, len(content), zlib.crc32(content), self._whole.hexdigest() if is_last else "", md5, is_last=is_last
        )
