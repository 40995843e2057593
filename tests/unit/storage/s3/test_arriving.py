from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controlroom.errors import ConfigError
from controlroom.policy.s3_pieces import Piece
from controlroom.storage.s3.arriving import ArrivingReader, StreamedContent, streamed

CONTENT = bytes(range(256)) * 2048


async def arriving(*pieces: Any) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


async def pieces_of(reader: ArrivingReader, size_bytes: int) -> list[Piece]:
    pieces = [await reader.read(size_bytes)]
    while not pieces[-1].is_last:
        pieces.append(await reader.read(size_bytes))
    return pieces


@pytest.mark.parametrize("size_bytes", [1000, 100_000, len(CONTENT) // 2, len(CONTENT), len(CONTENT) + 1])
def test_what_arrives_is_cut_to_size_and_its_last_piece_is_known_for_the_last(size_bytes: int) -> None:
    reader = ArrivingReader(arriving(b"", CONTENT[:7], b"", CONTENT[7:], b""), "crc32")
    pieces = asyncio.run(pieces_of(reader, size_bytes))
    reader.close()

    assert b"".join(bytes(piece.body) for piece in pieces) == CONTENT
    assert {piece.size_bytes for piece in pieces[:-1]} <= {size_bytes}
    assert pieces[-1].sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_nothing_that_arrives_is_one_empty_piece() -> None:
    (piece,) = asyncio.run(pieces_of(ArrivingReader(arriving(b""), "crc32"), 10))

    assert (piece.body, piece.is_last) == (b"", True)


def test_what_arrives_and_is_no_bytes_is_refused() -> None:
    with pytest.raises(ConfigError):
        asyncio.run(ArrivingReader(arriving("text"), "crc32").read(10))


def test_small_content_is_sent_as_it_is_and_large_content_bit_by_bit() -> None:
    assert streamed(b"small") == b"small"
    assert isinstance(streamed(bytes(1024**2)), StreamedContent)


def test_content_is_sent_as_often_as_it_takes_whatever_was_read_of_it() -> None:
    body = StreamedContent(CONTENT)

    async def sent() -> bytes:
        return b"".join([bytes(chunk) async for chunk in body])

    assert body.read(3) == CONTENT[:3]
    for _ in range(2):
        assert asyncio.run(sent()) == CONTENT
    assert body.tell() == 3


def test_content_is_read_like_a_file() -> None:
    body = StreamedContent(CONTENT)

    assert len(body) == len(CONTENT)
    assert body.read() == CONTENT
    assert body.read(1) == b""
    assert (body.seek(-2, 2), body.read()) == (len(CONTENT) - 2, CONTENT[-2:])
    assert (body.seek(5), body.seek(2, 1), body.read(1)) == (5, 7, CONTENT[7:8])
