"""Decompression in small pieces, so that a bomb is noticed before it has gone off."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

__all__ = ["CODINGS", "Inflater"]

_PIECE_BYTES = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS
CODINGS: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


class Inflater:
    """Unpacks one body coded as one of `CODINGS`."""

    def __init__(self, coding: str) -> None:
        self._window_bits = CODINGS[coding]
        self._stream: zlib._Decompress | None = None

    @property
    def is_cut_short(self) -> bool:
        """Whether the stream began and its end has not come."""
        return self._stream is not None and not self._stream.eof

    def unpacked(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* holds, 64 KiB at most at a time.

        Raises:
            zlib.error: It is not what it says.
        """
        while data:
            if self._stream is None or self._stream.eof:
                # gzip may come in several members (RFC 1952 §2.2), and padded with zeros.
                data = data if self._stream is None else data.lstrip(b"\0")
                if not data:
                    return
                self._stream = zlib.decompressobj(self._bits_for(data))
            yield self._stream.decompress(data, _PIECE_BYTES)
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def _bits_for(self, data: bytes) -> int:
        # "deflate" means zlib's format, but some servers send the bare stream (RFC 9110 §8.4.1.2, note).
        bare = self._window_bits == zlib.MAX_WBITS and (data[0] & 0x0F) != zlib.DEFLATED
        return -zlib.MAX_WBITS if bare else self._window_bits
