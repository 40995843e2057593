from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlroom.errors import FileOperationError
from controlroom.storage import LocalStore
from controlroom.storage.hashing import FileDigest

MIB = 1024 * 1024


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def write(digest: FileDigest, fd: int, chunk: bytes) -> None:
    os.write(fd, chunk)
    digest.appended(memoryview(chunk), fd)


@pytest.mark.parametrize("sizes", [[], [0], [1], [4 * MIB], [4 * MIB + 1], [MIB] * 9, [1, 5 * MIB, 0, 1], [9 * MIB, 3]])
def test_it_is_that_of_all_that_was_appended(fd: int, sizes: list[int]) -> None:
    digest, content = FileDigest(), b""
    for number, size_bytes in enumerate(sizes):
        chunk = bytes([number + 1]) * size_bytes
        content += chunk
        write(digest, fd, chunk)

    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest(), "asked twice"


def test_a_buffer_that_is_used_again_is_not_hashed_with_its_new_content(fd: int) -> None:
    digest, buffer, content = FileDigest(), bytearray(MIB), b""
    for number in range(8):
        buffer[:] = bytes([number]) * MIB
        content += buffer
        os.write(fd, buffer)
        digest.appended(memoryview(buffer), fd)
    buffer[:] = bytes(MIB)

    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()


def test_closing_ends_the_thread_and_gives_its_descriptor_back(fd: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    digest = FileDigest()
    write(digest, fd, bytes(20 * MIB))
    digest.close()
    digest.close()

    assert "controlroom-sha256" not in {thread.name for thread in threading.enumerate()}
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_cannot_be_read_again_is_an_error_not_a_wrong_digest(fd: int) -> None:
    digest = FileDigest()
    digest.appended(memoryview(bytes(5 * MIB)), fd)  # but nothing was written

    with pytest.raises(OSError, match="cannot be read again"):
        digest.hexdigest()


def test_a_large_object_has_the_digest_of_its_bytes_and_leaves_no_thread(tmp_path: Path) -> None:
    content = os.urandom(MIB) * 9 + b"end"
    store = LocalStore(tmp_path, durable=False)

    receipt = store.publish("a", content)
    with store.writer("b") as file:
        for start in range(0, len(content), 100_000):
            file.write(content[start : start + 100_000])

    assert receipt.sha256 == hashlib.sha256(content).hexdigest()
    assert file.receipt is not None
    assert file.receipt.sha256 == receipt.sha256
    assert "controlroom-sha256" not in {thread.name for thread in threading.enumerate()}


def test_a_large_publication_that_breaks_off_leaves_no_thread(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(6 * MIB)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        LocalStore(tmp_path).publish("a", broken())
    assert "controlroom-sha256" not in {thread.name for thread in threading.enumerate()}


def test_a_digest_that_failed_is_one_of_our_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pread", lambda *_: b"")

    with pytest.raises(FileOperationError, match="hashing what was written"):
        LocalStore(tmp_path).publish("a", bytes(6 * MIB))
