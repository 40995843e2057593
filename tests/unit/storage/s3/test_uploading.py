from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError, ObjectChangedError, ObjectNotFoundError
from controlroom.policy.s3_pieces import Piece, Publication
from controlroom.policy.s3_requests import Upload
from controlroom.storage.s3.uploading import PartBuffer, PieceReader

CONTENT = bytes(range(256)) * 40 + b"end"


def pieces_of(reader: PieceReader, size_bytes: int) -> list[Piece]:
    pieces = [reader.read(size_bytes)]
    while not pieces[-1].is_last:
        pieces.append(reader.read(size_bytes))
    return pieces


def chunks() -> Iterator[bytes]:
    yield b""
    yield CONTENT[:7]
    yield b""
    yield CONTENT[7:5000]
    yield CONTENT[5000:]
    yield b""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


SOURCES: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda _: CONTENT,
    "bytearray": lambda _: bytearray(CONTENT),
    "memoryview": lambda _: memoryview(CONTENT),
    "path": lambda path: path,
    "file": lambda _: io.BytesIO(CONTENT),
    "generator": lambda _: chunks(),
    "list": lambda _: [*chunks()],
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("size_bytes", [1000, 5121, len(CONTENT) - 1, len(CONTENT), len(CONTENT) + 1])
def test_a_source_is_cut_to_size_and_its_last_piece_is_known_for_the_last(
    kind: str, size_bytes: int, path: Path
) -> None:
    reader = PieceReader(SOURCES[kind](path), "crc32")
    pieces = pieces_of(reader, size_bytes)
    reader.close()

    assert b"".join(piece.body for piece in pieces) == CONTENT
    assert {piece.size_bytes for piece in pieces[:-1]} <= {size_bytes}
    assert 0 < pieces[-1].size_bytes <= size_bytes
    assert [piece.crc32 for piece in pieces] == [zlib.crc32(piece.body) for piece in pieces]
    assert [piece.sha256 for piece in pieces] == [""] * (len(pieces) - 1) + [hashlib.sha256(CONTENT).hexdigest()]


@pytest.mark.parametrize("kind", ["bytes", "path", "generator"])
def test_nothing_is_one_empty_piece(kind: str, path: Path) -> None:
    path.write_bytes(b"")
    sources: dict[str, Any] = {"bytes": b"", "path": path, "generator": iter([b"", b""])}
    reader = PieceReader(sources[kind], "crc32")
    (piece,) = pieces_of(reader, 10)
    reader.close()

    assert (piece.body, piece.size_bytes, piece.sha256) == (b"", 0, hashlib.sha256(b"").hexdigest())


def test_bytes_that_fit_are_not_copied() -> None:
    (piece,) = pieces_of(PieceReader(CONTENT, "crc32"), len(CONTENT))

    assert piece.body is CONTENT


@pytest.mark.parametrize(
    ("kind", "known"), [("bytes", True), ("bytearray", True), ("path", True), ("file", False), ("generator", False)]
)
def test_the_length_is_told_where_it_is_known(kind: str, known: bool, path: Path) -> None:
    reader = PieceReader(SOURCES[kind](path), "crc32")
    reader.close()

    assert reader.length_bytes == (len(CONTENT) if known else None)
    assert reader.is_at_hand == (kind in ("bytes", "bytearray"))


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_is_read_again_from_its_beginning_where_that_is_possible(kind: str, path: Path) -> None:
    reader = PieceReader(SOURCES[kind](path), "crc32")
    pieces_of(reader, 1000)

    assert reader.rewind() == (kind != "generator")
    if kind != "generator":
        again = pieces_of(reader, 1000)
        assert b"".join(piece.body for piece in again) == CONTENT
        assert again[-1].sha256 == hashlib.sha256(CONTENT).hexdigest()
    reader.close()


def test_a_file_goes_back_to_where_it_stood() -> None:
    file = io.BytesIO(b"header" + CONTENT)
    file.seek(6)
    reader = PieceReader(file, "crc32")
    for _ in range(2):
        assert b"".join(piece.body for piece in pieces_of(reader, 1000)) == CONTENT
        assert reader.rewind()


class Pipe(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return 0


class Odd:
    def read(self, _: int) -> bytes:
        return b""


@pytest.mark.parametrize("source", [Pipe(), Odd()], ids=["pipe", "odd"])
def test_what_cannot_go_back_says_so(source: Any) -> None:
    assert not PieceReader(source, "crc32").rewind()


def test_a_path_that_changes_while_it_is_read_is_found_out(path: Path) -> None:
    reader = PieceReader(path, "crc32")
    reader.read(1000)
    reader.check()
    os.utime(path, ns=(1, 1))

    with pytest.raises(ObjectChangedError):
        reader.check()
    with pytest.raises(ObjectChangedError):
        reader.rewind()
        pieces_of(reader, 1000)
    reader.close()
    PieceReader(CONTENT, "crc32").check()


def test_a_path_without_a_file_is_not_found(tmp_path: Path) -> None:
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(ObjectNotFoundError):
            PieceReader(missing, "crc32")


def test_a_source_that_gives_no_bytes_is_refused_when_it_does() -> None:
    with pytest.raises(ConfigError):
        PieceReader([b"a", "text"], "crc32").read(10)  # type: ignore[list-item]  # that is what is refused


def test_a_sum_that_every_server_knows_is_made_where_it_is_wanted() -> None:
    assert PieceReader(b"a", "md5").read(10).md5 == "DMF1ucDxtqgxw5niaXcmYQ=="
    assert PieceReader(b"a", "crc32").read(10).md5 == ""


def buffer() -> PartBuffer:
    kept = {"Metadata": {}}
    return PartBuffer(Publication("k", "s3://b/k", "w", kept, part_size_bytes=10))


def test_at_most_one_part_is_held_and_it_is_sent_once_more_is_written() -> None:
    held = buffer()

    assert (held.take(memoryview(b"1234567")), held.is_full) == (7, False)
    assert (held.take(memoryview(b"89abcdef")), held.is_full, held.held_bytes) == (3, True, 10)
    assert held.take(memoryview(b"x")) == 0
    first = held.piece(is_last=False)
    assert (first.body, held.held_bytes) == (b"123456789a", 0)
    held.take(memoryview(b"bc"))
    last = held.piece(is_last=True)
    assert (last.body, last.sha256) == (b"bc", hashlib.sha256(b"123456789abc").hexdigest())


def test_parts_grow_where_nobody_knows_how_much_will_come() -> None:
    held = buffer()
    held.upload = Upload("u", is_summed=False, parts=[(10, 0)] * 900)

    assert held.take(memoryview(bytes(30))) == 20
