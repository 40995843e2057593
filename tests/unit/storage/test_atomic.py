from __future__ import annotations

import csv
import gzip
import io
import json
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.clock import deadline
from controlroom.errors import (
    ConfigError,
    DataError,
    DeadlineExceededError,
    FileOperationError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    StorageAccessError,
    StorageFullError,
    UnsafePathError,
)
from controlroom.storage import atomic_writer, write_bytes, write_json, write_text
from tests.unit.storage.folders import contents, staged_in


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "target.txt"
    path.write_text("old")
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_reader_sees_the_old_content_until_the_block_ends(old: Path) -> None:
    with atomic_writer(old) as f:
        f.write("new")
        f.flush()
        assert old.read_text() == "old"
        assert [name for name in os.listdir(old.parent) if name != old.name], "it is staged beside the target"

    assert contents(old.parent) == {"target.txt": b"new"}


def test_a_reader_that_opened_the_old_file_reads_it_to_its_end(old: Path) -> None:
    with old.open() as reader:
        write_text(old, "new")
        assert reader.read() == "old"


class Failure(Exception):
    pass


@pytest.mark.parametrize("error", [Failure, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
def test_whatever_leaves_the_block_leaves_the_target_as_it_was(old: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic_writer(old) as f:
        f.write("half")
        f.flush()
        raise error

    assert contents(old.parent) == {"target.txt": b"old"}


def test_a_generator_that_is_closed_inside_the_block_leaves_the_target_as_it_was(old: Path) -> None:
    def writing() -> Iterator[None]:
        with atomic_writer(old) as f:
            f.write("half")
            yield

    generator = writing()
    next(generator)
    generator.close()

    assert contents(old.parent) == {"target.txt": b"old"}


def test_a_context_that_is_never_left_leaves_the_target_as_it_was(old: Path) -> None:
    context = atomic_writer(old)
    context.__enter__().write("half")
    del context

    assert contents(old.parent) == {"target.txt": b"old"}


def test_discarding_leaves_the_target_as_it_was(old: Path) -> None:
    with atomic_writer(old) as text:
        text.write("half")
        text.discard()
        text.write("more" * 100_000)
    with atomic_writer(old, "wb") as binary:
        binary.discard()

    assert contents(old.parent) == {"target.txt": b"old"}


def test_closing_the_file_early_publishes_at_the_end_of_the_block_only(old: Path) -> None:
    with atomic_writer(old) as f:
        f.write("new")
        f.close()
        assert old.read_text() == "old"

    assert old.read_text() == "new"


def test_the_file_cannot_be_written_after_the_block(old: Path) -> None:
    with atomic_writer(old) as f:
        f.write("new")

    with pytest.raises(ValueError, match="closed"):
        f.write("late")


def test_an_empty_block_publishes_an_empty_file(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "empty"):
        pass

    assert contents(tmp_path) == {"empty": b""}


def test_text_keeps_the_line_ends_it_was_given(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "t") as f:
        f.write("a\nb\r\nc\r")

    assert (tmp_path / "t").read_bytes() == b"a\nb\r\nc\r"


def test_csv_json_zip_and_gzip_write_through_it(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "t.csv") as f:
        csv.writer(f).writerows([["a", "b"], ["1", "ü\n"]])
    with atomic_writer(tmp_path / "t.json") as f:
        json.dump({"a": 1}, f)
    with atomic_writer(tmp_path / "t.zip", "wb") as b, zipfile.ZipFile(b, "w") as archive:
        archive.writestr("inner", "content")
    with atomic_writer(tmp_path / "t.gz", "wb") as b, gzip.open(b, "wb") as packed:
        packed.write(b"content")

    assert (tmp_path / "t.csv").read_bytes() == 'a,b\r\n1,"ü\n"\r\n'.encode()
    assert json.loads((tmp_path / "t.json").read_text()) == {"a": 1}
    assert zipfile.ZipFile(tmp_path / "t.zip").read("inner") == b"content"
    assert gzip.decompress((tmp_path / "t.gz").read_bytes()) == b"content"


def test_the_name_that_others_see_is_the_targets(tmp_path: Path) -> None:
    """gzip writes the base name of its file into its header: a random one would change the content every time."""
    with atomic_writer(tmp_path / "t.gz", "wb") as f:
        assert f.name == str(tmp_path / "t.gz")
        assert f.mode == "wb"
        assert os.fstat(f.fileno()).st_size == 0
    with atomic_writer(tmp_path / "t") as text:
        assert text.name == str(tmp_path / "t")


def test_the_file_can_be_sought_and_cut(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "t", "wb") as f:
        f.write(b"0123456789")
        f.seek(2)
        f.write(b"xx")
        f.truncate(6)

    assert (tmp_path / "t").read_bytes() == b"01xx45"


def test_a_wrapper_that_closes_the_file_loses_nothing(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "t", "wb") as f, io.TextIOWrapper(f, encoding="utf-8") as text:
        text.write("ü")

    assert (tmp_path / "t").read_text(encoding="utf-8") == "ü"


@pytest.mark.usefixtures("umask")
def test_a_new_file_obeys_the_umask(tmp_path: Path) -> None:
    write_text(tmp_path / "new", "x")
    (tmp_path / "plain").write_text("x")

    assert mode_of(tmp_path / "new") == mode_of(tmp_path / "plain") == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o755, 0o664, 0o6755])
@pytest.mark.usefixtures("umask")
def test_the_mode_of_a_replaced_file_is_kept(old: Path, mode: int) -> None:
    old.chmod(mode)

    write_text(old, "new")

    assert mode_of(old) == mode


@pytest.mark.usefixtures("umask")
def test_permissions_are_exact_also_where_a_file_is_replaced(old: Path) -> None:
    write_text(old, "new", permissions=0o606)
    write_text(old.parent / "new", "new", permissions=0o777)

    assert mode_of(old) == 0o606
    assert mode_of(old.parent / "new") == 0o777


@pytest.mark.parametrize("permissions", [-1, 0o10000])
def test_permissions_that_are_no_mode_bits_are_refused(old: Path, permissions: int) -> None:
    with pytest.raises(ConfigError, match="mode bits"):
        write_text(old, "new", permissions=permissions)
    assert contents(old.parent) == {"target.txt": b"old"}


def test_what_replaces_a_secret_is_never_readable_by_others_meanwhile(old: Path) -> None:
    old.chmod(0o600)
    with atomic_writer(old) as replacing:
        assert stat.S_IMODE(os.fstat(replacing.fileno()).st_mode) == 0o600
    with atomic_writer(old.parent / "new", permissions=0o400) as exact:
        assert stat.S_IMODE(os.fstat(exact.fileno()).st_mode) == 0o600


def test_a_mode_that_changes_while_the_file_is_written_is_kept_too(old: Path) -> None:
    with atomic_writer(old) as f:
        f.write("new")
        old.chmod(0o604)

    assert mode_of(old) == 0o604


def test_a_target_that_vanishes_while_it_is_written_gets_its_attributes_back(old: Path) -> None:
    old.chmod(0o604)
    with atomic_writer(old) as f:
        f.write("new")
        old.unlink()

    assert (old.read_text(), mode_of(old)) == ("new", 0o604)


def test_the_last_of_two_writers_wins(old: Path) -> None:
    with atomic_writer(old) as first:
        first.write("first")
        write_text(old, "second, which was quicker")

    assert contents(old.parent) == {"target.txt": b"first"}


def test_a_symbolic_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "real").write_text("old")
    (tmp_path / "hop").symlink_to("deep/real")
    (tmp_path / "link").symlink_to("hop")

    write_text(tmp_path / "link", "new")

    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "deep") == {"real": b"new"}


def test_a_dangling_link_has_its_target_created(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")

    write_text(tmp_path / "link", "new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_creating_exclusively_fails_where_the_name_is_taken(old: Path) -> None:
    with pytest.raises(ObjectExistsError, match="exists already"):
        write_text(old, "new", overwrite=False)
    write_text(old.parent / "fresh", "new", overwrite=False)

    assert contents(old.parent) == {"target.txt": b"old", "fresh": b"new"}
    assert (old.parent / "fresh").stat().st_nlink == 1


def test_a_name_that_is_taken_while_the_block_runs_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ObjectExistsError), atomic_writer(tmp_path / "t", overwrite=False) as f:
        f.write("mine")
        (tmp_path / "t").write_text("theirs")

    assert contents(tmp_path) == {"t": b"theirs"}


def test_a_link_whose_reply_was_lost_is_recognised_as_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def link_twice(*args: Any, **kwargs: Any) -> None:
        link(*args, **kwargs)
        link(*args, **kwargs)

    monkeypatch.setattr(os, "link", link_twice)
    write_text(tmp_path / "t", "mine", overwrite=False)

    assert contents(tmp_path) == {"t": b"mine"}


def make_folder(path: Path) -> None:
    path.mkdir()


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [make_folder, make_fifo, make_loop])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "t")

    with pytest.raises(UnsafePathError, match="The target is as it was"):
        write_text(tmp_path / "t", "new")
    assert staged_in(tmp_path) == []


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(UnsafePathError):
        write_text("/dev/null", "new")


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError, match="no/such/t"):
        write_text(tmp_path / "no" / "such" / "t", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(old: Path) -> None:
    with pytest.raises(UnsafePathError):
        write_text(old / "t", "new")


def test_the_longest_name_is_possible_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / ("n" * 255), "new")

    with pytest.raises(UnsafePathError, match="ENAMETOOLONG"):
        write_text(tmp_path / ("n" * 256), "new")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("path", ["a\0b", "", "t/"])
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    with pytest.raises(UnsafePathError):
        write_text(path, "new")


@pytest.mark.parametrize("mode", ["a", "r+", "x", "w+b", "rb"])
def test_modes_that_are_no_whole_write_are_refused(old: Path, mode: str) -> None:
    with pytest.raises(ConfigError, match="'w' or 'wb'"):
        atomic_writer(old, mode)


def test_an_unknown_encoding_is_refused_and_nothing_is_left(old: Path) -> None:
    for encoding in ("utf-9", "rot13"):
        with pytest.raises(ConfigError, match="no encoding"), atomic_writer(old, encoding=encoding):
            pass
    with pytest.raises(ConfigError, match="no encoding"):
        write_text(old, "new", encoding="utf-9")

    assert contents(old.parent) == {"target.txt": b"old"}


def test_text_that_the_encoding_has_no_form_for_is_refused_and_nothing_is_left(old: Path) -> None:
    with pytest.raises(DataError, match="latin-1"):
        write_text(old, "日本", encoding="latin-1")
    with pytest.raises(DataError):
        write_text(old, "\ud800")

    assert contents(old.parent) == {"target.txt": b"old"}


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [float("nan"), [float("inf")], object(), {"a": {1, 2}}, LOOP, "\ud800", {(1, 2): 3}],
    ids=["nan", "infinity", "object", "set", "loop", "surrogate", "tuple key"],
)
def test_json_refuses_what_it_has_no_form_for_and_nothing_is_left(old: Path, value: Any) -> None:
    with pytest.raises(DataError):
        write_json(old, value)

    assert contents(old.parent) == {"target.txt": b"old"}


def test_json_that_nests_too_deep_is_refused(old: Path) -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(DataError):
        write_json(old, value)


def test_json_is_utf_8_with_a_line_end(tmp_path: Path) -> None:
    write_json(tmp_path / "t", {"ü": [1, None]})
    write_json(tmp_path / "indented", {"a": 1}, indent=2)

    assert (tmp_path / "t").read_bytes() == '{"ü": [1, null]}\n'.encode()
    assert (tmp_path / "indented").read_text() == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x")])
def test_bytes_of_any_kind_are_written(tmp_path: Path, data: bytes) -> None:
    write_bytes(tmp_path / "t", data)

    assert (tmp_path / "t").read_bytes() == b"x"


def test_a_relative_path_is_found_once_wherever_the_block_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with atomic_writer("t") as f:
        f.write("new")
        monkeypatch.chdir(tmp_path / "elsewhere")

    assert (tmp_path / "t").read_text() == "new"


def test_a_folder_that_is_renamed_meanwhile_gets_the_file_and_keeps_no_litter(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with atomic_writer(tmp_path / "a" / "t") as f:
        f.write("new")
        (tmp_path / "a").rename(tmp_path / "b")

    assert contents(tmp_path) == {"b/t": b"new"}


def test_nothing_is_begun_after_the_deadline(old: Path) -> None:
    with deadline(0), pytest.raises(DeadlineExceededError):
        write_text(old, "new")

    assert contents(old.parent) == {"target.txt": b"old"}


class Calls:
    """The system calls that matter for durability, in order, and what they were made on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        for name in ("fsync", "rename", "link"):
            monkeypatch.setattr(os, name, self._recording(name, getattr(os, name)))

    def _recording(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            on = name
            if name == "fsync":
                on = "fsync folder" if stat.S_ISDIR(os.fstat(args[0]).st_mode) else "fsync file"
            self.made.append(on)
            return call(*args, **kwargs)

        return recorded


def test_durable_syncs_the_file_then_names_it_then_syncs_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch)

    write_text(tmp_path / "t", "new")
    write_text(tmp_path / "u", "new", overwrite=False)

    assert calls.made == ["fsync file", "rename", "fsync folder", "fsync file", "link", "fsync folder"]


def test_without_durable_nothing_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)

    write_text(tmp_path / "t", "new", durable=False)

    assert calls.made == ["rename"]


def failing(number: int, *, after: int = 0) -> Callable[..., Any]:
    """A system call that fails with *number*, once it was let through *after* times."""
    left = [after]

    def call(*_: Any, **__: Any) -> None:
        if left[0] > 0:
            left[0] -= 1
            return
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(
    ("call", "number", "kind"),
    [
        ("fsync", 5, FileOperationError),
        ("fsync", 28, StorageFullError),
        ("rename", 18, FileOperationError),
        ("rename", 30, StorageAccessError),
        ("fstat", 5, FileOperationError),
        ("dup", 24, FileOperationError),
    ],
)
def test_a_call_that_fails_leaves_the_target_as_it_was_and_nothing_else(
    old: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: type[FileOperationError]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing(number))
        with pytest.raises(kind) as failed:
            write_text(old, "new")

    assert type(failed.value) is kind
    assert failed.value.ref == str(old)
    assert contents(old.parent) == {"target.txt": b"old"}


def test_a_folder_that_cannot_be_synced_is_in_doubt_and_the_file_visible(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing(5, after=1))
        with pytest.raises(PublicationInDoubtError, match="visible and whole"):
            write_text(old, "new")

    assert contents(old.parent) == {"target.txt": b"new"}


def test_the_file_is_published_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    log = SimpleNamespace(debug=lambda event, **facts: events.append((event, facts)))
    monkeypatch.setattr("controlroom.storage.atomic._log", log)

    write_text(tmp_path / "t", "new")
    with atomic_writer(tmp_path / "t") as f:
        f.discard()

    assert events == [
        ("file_published", {"ref": str(tmp_path / "t"), "size_bytes": 3, "durability": "file_and_folder"})
    ]


def test_pyarrow_writes_through_it(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: its writer is not tried")
    csv_of = pytest.importorskip("pyarrow.csv")
    with atomic_writer(tmp_path / "t.csv", "wb") as f:
        csv_of.write_csv(pyarrow.table({"a": [1, 2]}), f)

    assert (tmp_path / "t.csv").read_bytes() == b'"a"\n1\n2\n'


def test_data_alone_is_waited_for_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    fsync = os.fsync

    def watched(fd: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(fd).st_mode))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", watched)

    for durable, expected in (("none", []), ("file", [False]), ("file_and_folder", [False, True])):
        synced.clear()
        write_text(tmp_path / "t", "new", durable=durable)  # type: ignore[arg-type]  # one of the levels
        assert synced == expected


def test_a_level_of_many_files_is_refused_for_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="atomic_batch"):
        write_text(tmp_path / "t", "new", durable="batch")
    with pytest.raises(ConfigError, match="is no level"):
        atomic_writer(tmp_path / "t", durable="full")  # type: ignore[call-overload]  # which is the point

    assert contents(tmp_path) == {}
