"""Decompression in small pieces, so that a bomb is noticed before it has gone off.

gzip and deflate are always at hand; br (RFC 7932) and zstd (RFC 8878) where something is installed that unpacks them within a
bound: brotli or brotlicffi from 1.2 on; Python 3.14's compression.zstd, backports.zstd or zstandard.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol

__all__ = ["Inflater", "UndecodableError", "acceptable", "codings"]

_PIECE_BYTES: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_BROTLI: Final = ("brotli", "brotlicffi")
_ZSTD: Final = ("compression.zstd", "backports.zstd")  # PEP 784, and the same for older Pythons
_WINDOW_LOG: Final = 23  # 8 MiB, the most that zstd may ask of a receiver (RFC 9659)
# zstandard knows no bound for what it gives back. A block is 128 KiB at most and takes 4 bytes at least (RFC 8878 section
# 3.1.1.2), so this many bytes make a MiB, or a little more.
_ZSTANDARD_BYTES: Final = 32
_MORE: Final = "there is more behind its end"


class UndecodableError(Exception):
    """A body is not what its coding says."""


class _Stream(Protocol):
    """One stream of a coding: a member of gzip, a frame of zstd."""

    @property
    def is_over(self) -> bool:
        """Whether its end has come."""

    @property
    def rest(self) -> bytes:
        """What was fed and stands behind its end."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* holds."""


class _Coding(NamedTuple):
    """How a coding is read: *begin* takes the first bytes of a stream; *repeats*: a body may be several streams."""

    begin: Callable[[bytes], _Stream]
    failure: type[Exception]
    repeats: bool = False
    padding: bytes = b""


class Inflater:
    """Unpacks one body coded as one of `codings`."""

    def __init__(self, coding: str) -> None:
        self._coding = codings()[coding]
        self._stream: _Stream | None = None

    @property
    def is_cut_short(self) -> bool:
        """Whether the stream began and its end has not come."""
        return self._stream is not None and not self._stream.is_over

    def unpacked(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* holds, 128 KiB at most at a time; a MiB where only zstandard reads zstd.

        Raises:
            UndecodableError: It is not what it says, or goes on behind its end.
        """
        try:
            for start in range(0, len(data), _PIECE_BYTES):  # what many small streams leave is copied for each of them
                yield from filter(None, self._unpacked(data[start : start + _PIECE_BYTES]))
        except self._coding.failure as error:
            raise UndecodableError(str(error)) from error

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is None or self._stream.is_over:
                data = data if self._stream is None else data.lstrip(self._coding.padding)
                if not data:
                    return
                if self._stream is not None and not self._coding.repeats:
                    raise UndecodableError(_MORE)
                self._stream = self._coding.begin(data)
            yield from self._stream.pieces(data)
            data = self._stream.rest


@cache
def codings() -> Mapping[str, _Coding]:
    """Return what can be read here, by the names of RFC 9110 §8.4.1 and its registry."""
    # gzip may come in several members (RFC 1952 §2.2), and padded with zeros; zstd in several frames (RFC 8878 section 3).
    gzip = _Coding(lambda _: _Deflated(_GZIP), zlib.error, repeats=True, padding=b"\0")
    found = {"gzip": gzip, "x-gzip": gzip, "deflate": _Coding(_deflated, zlib.error)}
    return found | _br() | _zstd()


@cache
def acceptable() -> str:
    """Return what Accept-Encoding may say: what can be read here, and nothing else."""
    return ", ".join(coding for coding in codings() if coding != "x-gzip")  # gzip's old name: read, not asked for


def _br() -> dict[str, _Coding]:
    for name in _BROTLI:
        module = _imported(name)
        if hasattr(getattr(module, "Decompressor", None), "can_accept_more_data"):  # came with the bound
            return {"br": _Coding(partial(_Brotli, module), module.error)}
    return {}


def _zstd() -> dict[str, _Coding]:
    for name in _ZSTD:
        if module := _imported(name):
            return {"zstd": _Coding(partial(_Zstd, module), module.ZstdError, repeats=True)}
    if module := _imported("zstandard"):
        return {"zstd": _Coding(partial(_Zstandard, module), module.ZstdError, repeats=True)}
    return {}


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def _deflated(data: bytes) -> _Stream:
    # "deflate" means zlib's format, but some servers send the bare stream (RFC 9110 §8.4.1.2, note).
    is_bare = (data[0] & 0x0F) != zlib.DEFLATED
    return _Deflated(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS)


class _Deflated:
    def __init__(self, window_bits: int) -> None:
        self._packed = zlib.decompressobj(window_bits)

    @property
    def is_over(self) -> bool:
        return self._packed.eof

    @property
    def rest(self) -> bytes:
        return self._packed.unused_data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        # A full piece may leave something inside although all of the input was taken.
        is_full = False
        while (data or is_full) and not self._packed.eof:
            yield (piece := self._packed.decompress(data, _PIECE_BYTES))
            data, is_full = self._packed.unconsumed_tail, len(piece) == _PIECE_BYTES


class _Brotli:
    rest = b""  # whatever stands behind its end is an error there (RFC 7932 knows one stream)

    def __init__(self, module: Any, _: bytes) -> None:
        self._packed = module.Decompressor()

    @property
    def is_over(self) -> bool:
        return bool(self._packed.is_finished())

    def pieces(self, data: bytes) -> Iterator[bytes]:
        # can_accept_more_data() of brotli 1.2 says yes while output waits: only a piece that is not full tells.
        yield (piece := self._packed.process(data, output_buffer_limit=_PIECE_BYTES))
        while len(piece) >= _PIECE_BYTES:
            yield (piece := self._packed.process(b"", output_buffer_limit=_PIECE_BYTES))
        if self.is_over and not self._packed.can_accept_more_data():  # brotlicffi 1.2.0 keeps it, and says nothing
            raise UndecodableError(_MORE)


class _Zstd:
    def __init__(self, module: Any, _: bytes) -> None:
        self._packed = module.ZstdDecompressor(options={module.DecompressionParameter.window_log_max: _WINDOW_LOG})

    @property
    def is_over(self) -> bool:
        return bool(self._packed.eof)

    @property
    def rest(self) -> bytes:
        return bytes(self._packed.unused_data)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield self._packed.decompress(data, _PIECE_BYTES)
        while not self._packed.eof and not self._packed.needs_input:
            yield self._packed.decompress(b"", _PIECE_BYTES)


class _Zstandard:
    def __init__(self, module: Any, _: bytes) -> None:
        self._packed = module.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG).decompressobj()
        self.rest = b""

    @property
    def is_over(self) -> bool:
        return bool(self._packed.eof)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        self.rest = b""
        for end in range(_ZSTANDARD_BYTES, len(data) + _ZSTANDARD_BYTES, _ZSTANDARD_BYTES):
            yield self._packed.decompress(data[end - _ZSTANDARD_BYTES : end])
            if self._packed.eof:
                self.rest = self._packed.unused_data + data[end:]
                return
