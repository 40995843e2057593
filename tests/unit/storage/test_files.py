from __future__ import annotations

import gc
import io
import os
import resource
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controlroom.errors import FileOperationError, ObjectChangedError, StorageFullError
from controlroom.storage import LocalStore, atomic_writer
from controlroom.storage.files import ObjectSink, ObjectWriter, open_regular
from tests.unit.storage.folders import contents

KIB = 1024


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path)
    store.publish("a", b"0123456789" * 100 * KIB)
    return store


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def cut(path: Path) -> None:
    os.truncate(path, 300 * KIB)


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"x")
    os.utime(path, ns=(0, 1))


@pytest.mark.parametrize("change", [append, cut, rewrite])
def test_a_file_that_changes_while_it_is_read_raises_before_it_gives_mixed_content(
    store: LocalStore, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    with store.open("a") as file:
        file.read(200 * KIB)
        change(tmp_path / "a")
        with pytest.raises(ObjectChangedError, match="changed while it was read"):
            file.read(200 * KIB)


@pytest.mark.parametrize("change", [append, cut, rewrite])
def test_a_file_that_changes_before_it_is_read_to_its_end_raises(
    store: LocalStore, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    with store.open("a") as file:
        change(tmp_path / "a")
        with pytest.raises(ObjectChangedError):
            file.read()


def test_a_file_cut_short_raises_even_where_its_times_do_not_show(store: LocalStore, tmp_path: Path) -> None:
    found = (tmp_path / "a").stat()
    with store.open("a") as file:
        file.read(200 * KIB)
        cut(tmp_path / "a")
        os.utime(tmp_path / "a", ns=(found.st_atime_ns, found.st_mtime_ns))
        with pytest.raises(ObjectChangedError):
            while file.read(200 * KIB):
                pass


def test_an_object_that_is_replaced_or_deleted_is_read_on_to_its_end(store: LocalStore) -> None:
    for change in (lambda: store.publish("a", b"new"), lambda: store.delete("a")):
        content = store.read_bytes("a")
        with store.open("a") as file:
            begin = file.read(10)
            change()
            assert begin + file.read() == content


def test_an_empty_object_ends_at_once(store: LocalStore) -> None:
    store.publish("empty", b"")

    with store.open("empty") as file:
        assert (file.read(), file.read(1), file.readline()) == (b"", b"", b"")


def test_an_object_is_a_file_like_any_other(store: LocalStore) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner", "content")
    store.publish("z", buffer.getvalue())

    with store.open("z") as file:
        assert zipfile.ZipFile(file).read("inner") == b"content"
        assert os.fstat(file.fileno()).st_size == file.info.size_bytes
    with store.open("a") as file:
        assert file.seek(-5, os.SEEK_END) == 1000 * KIB - 5
        assert file.read() == b"56789"
        assert file.tell() == 1000 * KIB


def test_a_reader_lets_go_of_its_descriptor(store: LocalStore) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with store.open("a") as file:
        pass
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.fileno()

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_read_that_fails_is_one_of_our_errors(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(5, os.strerror(5))

    with store.open("a") as file:
        monkeypatch.setattr(os, "readv", fail)
        with pytest.raises(FileOperationError, match="reading: Input/output error"):
            file.read(1)
        monkeypatch.setattr(os, "lseek", fail)
        with pytest.raises(FileOperationError, match="seeking"):
            file.seek(5)
        monkeypatch.undo()


def test_an_end_before_the_stated_size_is_not_taken_for_the_end(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network filesystems have ended early, without any error."""
    with store.open("a") as file:
        file.read(10)
        monkeypatch.setattr(os, "readv", lambda fd, buffers: 0)
        with pytest.raises(ObjectChangedError):
            file.read(200 * KIB)
    monkeypatch.setattr(os, "read", lambda fd, size: b"")
    with store.open("a") as file, pytest.raises(ObjectChangedError):
        file.read()


@pytest.fixture
def small_files_only() -> Iterator[None]:
    """RLIMIT_FSIZE stands in for a small disk: write(2) fails with EFBIG beyond 64 KiB."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * KIB, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files_only")
def test_what_is_discarded_needs_no_room(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "t", "wb") as f:
        f.write(b"x" * 100 * KIB)
        f.discard()
    with LocalStore(tmp_path).writer("t") as w:
        w.write(b"x" * 100 * KIB)
        w.discard()

    assert contents(tmp_path) == {}


@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.usefixtures("small_files_only")
def test_a_full_disk_inside_the_block_is_one_of_our_errors_and_leaves_nothing(tmp_path: Path, mode: str) -> None:
    with pytest.raises(StorageFullError, match="EFBIG"), atomic_writer(tmp_path / "t", mode) as f:
        for _ in range(1000):
            f.write("x" * KIB if mode == "w" else b"x" * KIB)  # type: ignore[arg-type]  # as the mode says
    with pytest.raises(StorageFullError), LocalStore(tmp_path).writer("t") as w:
        for _ in range(1000):
            w.write(b"x" * KIB)
    with pytest.raises(StorageFullError):
        LocalStore(tmp_path).publish("t", b"x" * 100 * KIB)
    with pytest.raises(StorageFullError), atomic_writer(tmp_path / "t", "wb") as f:
        f.truncate(100 * KIB)

    assert contents(tmp_path) == {}


def test_a_write_that_is_repeated_after_a_failure_doubles_nothing() -> None:
    """The buffer above a sink repeats what the sink did not take: it must say exactly how much it took."""
    taken = bytearray()
    full = [False]

    def append_some(view: memoryview) -> int:
        if full[0]:
            full[0] = False
            raise StorageFullError("full")
        full[0] = len(taken) == 0
        taken.extend(view[: len(view) // 2])
        return len(view) // 2 or len(view)

    file = ObjectWriter(ObjectSink("ref", append_some))
    content = bytes(range(256)) * 2 * KIB
    with pytest.raises(StorageFullError):
        file.write(content)
    file.discard()
    file.close()

    assert content.startswith(bytes(taken))


def test_an_object_is_written_from_front_to_back(store: LocalStore) -> None:
    with store.writer("w") as file:
        file.write(b"01234")
        assert file.tell() == 5
        assert not file.seekable()
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0)
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()

    assert store.read_bytes("w") == b"01234"


def test_a_zip_is_written_to_a_store(store: LocalStore) -> None:
    with store.writer("z") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner", "content")

    assert zipfile.ZipFile(io.BytesIO(store.read_bytes("z"))).read("inner") == b"content"


def test_a_file_that_could_not_be_looked_at_is_closed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed a second time, its number would be somebody else's by then."""
    (tmp_path / "a").write_bytes(b"a")

    def refuse(fd: int) -> os.stat_result:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", refuse)
        with pytest.raises(OSError, match="Input/output") as caught:  # its traceback keeps alive what was begun
            open_regular(tmp_path / "a", "a")
    fd = os.open(tmp_path / "a", os.O_RDONLY)
    del caught
    gc.collect()

    assert os.read(fd, 1) == b"a"
    os.close(fd)
