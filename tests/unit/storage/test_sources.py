from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ConfigError, FileOperationError, ObjectChangedError, ObjectNotFoundError
from controlroom.storage.sources import check_source, chunks_of

MIB = 1024 * 1024


def whole(source: Any) -> bytes:
    return b"".join(bytes(chunk) for chunk in chunks_of(source))


NO_BYTES = {
    "text": "text",
    "int": 7,
    "None": None,
    "float": 1.5,
    "texts": ["text"],
    "ints": [1],
    "mapping": {"a": 1},
    "text file": io.StringIO("text"),
}


@pytest.mark.parametrize("source", NO_BYTES.values(), ids=NO_BYTES.keys())
def test_what_holds_no_bytes_is_refused_with_advice(source: Any) -> None:
    with pytest.raises(ConfigError, match=r"give bytes|is no source|not bytes"):
        check_source(source)
        whole(source)


def test_large_content_comes_in_chunks_that_fit_in_memory(tmp_path: Path) -> None:
    content = os.urandom(2 * MIB + 1)
    (tmp_path / "f").write_bytes(content)

    for source in (content, tmp_path / "f", io.BytesIO(content)):
        assert [len(chunk) for chunk in chunks_of(source)] == [MIB, MIB, 1]
        assert source is not content or whole(source) == content


def test_a_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"0123")
    file.seek(2)

    assert whole(file) == b"23"


def test_an_array_of_numbers_is_its_bytes() -> None:
    assert whole(memoryview(b"abcd").cast("H")) == b"abcd"


def test_a_path_is_opened_when_it_is_needed_and_closed_when_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * (2 * MIB))
    before = len(os.listdir("/proc/self/fd"))
    chunks = chunks_of(tmp_path / "f")
    assert len(os.listdir("/proc/self/fd")) == before
    next(chunks)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    chunks.close()  # type: ignore[attr-defined]  # a generator, though typed as an iterator
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_path_that_changes_while_it_is_read_raises(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * (2 * MIB))
    chunks = chunks_of(tmp_path / "f")
    next(chunks)
    with (tmp_path / "f").open("ab") as file:
        file.write(b"more")

    with pytest.raises(ObjectChangedError):
        next(chunks)


def test_a_path_to_nothing_or_to_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", "fifo", "."):
        with pytest.raises(ObjectNotFoundError):
            whole(tmp_path / name)


class Broken(io.RawIOBase):
    name = "/dev/broken"

    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_file_that_fails_to_read_is_one_of_our_errors() -> None:
    with pytest.raises(FileOperationError, match="/dev/broken: reading the source"):
        whole(Broken())


def test_what_the_callers_own_generator_raises_is_the_callers() -> None:
    def failing() -> Iterator[bytes]:
        yield b"x"
        raise OSError(errno.EIO, "mine")

    with pytest.raises(OSError, match="mine") as caught:
        whole(failing())
    assert not isinstance(caught.value, FileOperationError)


def test_a_file_that_has_nothing_ready_is_refused_not_taken_as_its_end() -> None:
    class NotReady(io.RawIOBase):
        def read(self, _: int = -1) -> None:  # type: ignore[override]  # what a non-blocking file answers
            return None

    with pytest.raises(ConfigError, match="NoneType"):
        whole(NotReady())
