from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlroom import deadline
from controlroom.errors import (
    FileOperationError,
    ObjectNotFoundError,
    StorageFullError,
    StorageUnavailableError,
    UnsafePathError,
)
from controlroom.storage import atomic_writer, write_text
from controlroom.storage.paths import staged_name
from controlroom.storage.staging import Folder, make_folders
from controlroom.testing import ManualClock
from tests.unit.storage.folders import contents, staged_in

TOKEN = "0123456789abcdef"


def leave(folder: Path, member: int | None = None) -> Path:
    """A staged file whose writer is dead: nobody holds its lock."""
    path = folder / staged_name(TOKEN, member)
    path.write_text("half")
    return path


def test_what_a_dead_writer_left_is_swept_by_the_next_one(tmp_path: Path) -> None:
    leave(tmp_path)

    write_text(tmp_path / "t", "new")

    assert contents(tmp_path) == {"t": b"new"}


def test_what_a_dead_batch_left_is_swept_with_and_without_its_lock(tmp_path: Path) -> None:
    leave(tmp_path)
    leave(tmp_path, 1)
    leave(tmp_path, 2)
    write_text(tmp_path / "t", "new")
    assert staged_in(tmp_path) == []

    leave(tmp_path, 3)
    write_text(tmp_path / "t", "new")
    assert staged_in(tmp_path) == []


def test_what_a_live_writer_holds_is_not_swept(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "slow") as slow:
        slow.write("whole")
        write_text(tmp_path / "quick", "new")

    assert contents(tmp_path) == {"quick": b"new", "slow": b"whole"}


def test_members_whose_lock_is_held_are_not_swept(tmp_path: Path) -> None:
    owner, member = leave(tmp_path), leave(tmp_path, 1)
    with owner.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write_text(tmp_path / "t", "new")
        assert member.exists()

    write_text(tmp_path / "t", "new")
    assert staged_in(tmp_path) == []


def test_files_that_only_look_similar_are_never_swept(tmp_path: Path) -> None:
    names = [
        ".controlroom-short.staged",
        f".controlroom-{TOKEN}.staged.bak",
        "data.tmp",
        ".hidden",
        f".controlroom-{TOKEN.upper()}.staged",
    ]
    for name in names:
        (tmp_path / name).write_text("precious")

    write_text(tmp_path / "t", "new")

    assert sorted(contents(tmp_path)) == sorted([*names, "t"])


def test_what_cannot_be_swept_does_not_stop_the_writer(tmp_path: Path) -> None:
    (tmp_path / staged_name(TOKEN)).mkdir()
    (tmp_path / staged_name("f" * 16)).symlink_to("/dev/null")

    write_text(tmp_path / "t", "new")

    assert (tmp_path / "t").read_text() == "new"
    assert Path("/dev/null").exists()


def test_a_sweeper_does_not_take_away_what_was_just_published(tmp_path: Path) -> None:
    """Between link(2) and the removal of the staged name a writer may die: then both names are one file."""
    (tmp_path / "t").write_text("published")
    os.link(tmp_path / "t", tmp_path / staged_name(TOKEN))

    write_text(tmp_path / "u", "new")

    assert contents(tmp_path) == {"t": b"published", "u": b"new"}


def test_where_there_are_no_locks_nothing_is_swept_and_everything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    leave(tmp_path)
    monkeypatch.setattr(fcntl, "flock", refuse)

    write_text(tmp_path / "t", "new")

    assert sorted(contents(tmp_path)) == sorted([staged_name(TOKEN), "t"])


def test_a_lock_that_fails_for_another_reason_fails_the_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)

    with pytest.raises(FileOperationError, match="EIO"):
        write_text(tmp_path / "t", "new")
    assert contents(tmp_path) == {}


def taken_before_it_is_locked(take: Callable[[int], None]) -> Callable[..., None]:
    """A flock(2) that comes too late the first time."""
    flock, calls = fcntl.flock, [0]

    def late(fd: Any, operation: int) -> None:
        calls[0] += 1
        if calls[0] == 1:
            take(fd)
        flock(fd, operation)

    return late


def test_a_staged_file_swept_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep(_: int) -> None:
        for name in staged_in(tmp_path):
            (tmp_path / name).unlink()

    monkeypatch.setattr(fcntl, "flock", taken_before_it_is_locked(sweep))
    write_text(tmp_path / "t", "new")

    assert contents(tmp_path) == {"t": b"new"}


def test_a_staged_file_locked_by_a_sweeper_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock
    sweepers = []

    def sweep(_: int) -> None:
        sweepers.append(sweeper := (tmp_path / staged_in(tmp_path)[0]).open("r+"))
        flock(sweeper, fcntl.LOCK_EX)

    monkeypatch.setattr(fcntl, "flock", taken_before_it_is_locked(sweep))
    write_text(tmp_path / "t", "new")
    sweepers[0].close()

    assert contents(tmp_path) == {"t": b"new"}


def scans(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    made: list[object] = []
    scandir = os.scandir

    def counting(*args: Any) -> Any:
        made.append(args)
        return scandir(*args)

    monkeypatch.setattr(os, "scandir", counting)
    return made


def test_a_folder_of_few_entries_is_swept_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = scans(monkeypatch)
    for _ in range(5):
        write_text(tmp_path / "t", "new", durable=False)

    assert len(made) == 5


def test_looking_through_a_large_folder_costs_a_constant_share_of_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (tmp_path / str(number)).touch()
    made = scans(monkeypatch)
    for _ in range(301):
        write_text(tmp_path / "t", "new", durable=False)
    assert len(made) == 1

    leave(tmp_path)
    write_text(tmp_path / "t", "new", durable=False)
    assert len(made) == 2
    assert staged_in(tmp_path) == []


def test_a_folder_that_is_locked_by_another_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Folder(tmp_path) as held, Folder(tmp_path) as waiting, held.locked(required=True):
        waits: list[float] = []

        def release_at_the_third(wait_s: float) -> None:
            waits.append(wait_s)
            if len(waits) == 3:
                fcntl.flock(held.fd, fcntl.LOCK_UN)

        monkeypatch.setattr("controlroom.clock.sleep", release_at_the_third)
        with waiting.locked(required=True):
            assert len(waits) == 3


def test_a_lock_that_is_never_released_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with Folder(tmp_path) as held, Folder(tmp_path) as waiting, held.locked(required=True), ManualClock() as clock:
        with pytest.raises(StorageUnavailableError, match="held the lock"), waiting.locked(required=True):
            pass
        assert 29 < sum(clock.sleeps) < 31


def test_a_lock_is_not_waited_for_beyond_the_deadline(tmp_path: Path) -> None:
    with Folder(tmp_path) as held, Folder(tmp_path) as waiting, held.locked(required=True), ManualClock() as clock:
        with deadline(2), pytest.raises(StorageUnavailableError), waiting.locked(required=True):
            pass
        assert sum(clock.sleeps) < 2.1


def test_a_lock_on_a_folder_that_fails_for_another_reason_fails_the_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Folder(tmp_path) as folder, pytest.raises(OSError, match="Input/output"), folder.locked(required=False):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF])
def test_a_filesystem_without_locks_is_an_error_only_where_one_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Folder(tmp_path) as folder:
        with folder.locked(required=False):
            pass
        with pytest.raises(FileOperationError, match="no locks on folders"), folder.locked(required=True):
            pass


def test_folders_are_made_below_the_root_and_each_new_name_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))

    make_folders(tmp_path, tmp_path / "a" / "b", durable=True)
    make_folders(tmp_path, tmp_path / "a" / "b", durable=True)
    make_folders(tmp_path, tmp_path / "c", durable=False)

    assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "c").is_dir()
    assert synced == [str(tmp_path), str(tmp_path / "a")]


def test_a_file_where_a_folder_is_needed_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")

    with pytest.raises(UnsafePathError, match="must be a folder is a file"):
        make_folders(tmp_path, tmp_path / "a" / "b", durable=True)


def test_a_root_that_vanished_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError):
        make_folders(tmp_path / "gone", tmp_path / "gone" / "a", durable=True)


def test_a_folder_that_somebody_else_makes_at_the_same_moment_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def made_twice(path: Path, *args: Any) -> None:
        mkdir(path, *args)
        mkdir(path, *args)

    monkeypatch.setattr(Path, "mkdir", made_twice)
    make_folders(tmp_path, tmp_path / "a", durable=False)

    assert (tmp_path / "a").is_dir()


def test_the_disk_itself_is_reached_where_fsync_stops_at_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS: F_FULLFSYNC, fcntl(2)."""
    asked: list[int] = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda fd, command: asked.append(command))

    write_text(tmp_path / "t", "new")

    assert asked == [51, 51]


def without_nameless_files(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = os.open

    def refusing(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refusing)


needs_nameless_files = pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without a name")


@needs_nameless_files
def test_a_new_file_has_no_name_until_it_is_whole_so_that_a_kill_leaves_nothing(tmp_path: Path) -> None:
    with atomic_writer(tmp_path / "t", "wb", overwrite=False) as f:
        f.write(b"new")
        f.flush()
        assert os.listdir(tmp_path) == []

    assert (tmp_path / "t").read_bytes() == b"new"


@needs_nameless_files
@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT])
def test_where_files_need_a_name_a_staged_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    without_nameless_files(monkeypatch, number)
    with atomic_writer(tmp_path / "t", "wb", overwrite=False) as f:
        f.write(b"new")
        assert len(staged_in(tmp_path)) == 1

    assert contents(tmp_path) == {"t": b"new"}


@needs_nameless_files
def test_without_proc_a_staged_one_does_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlroom.storage.staging._NAMELESS", str(tmp_path / "no-proc" / "{}"))
    before = len(os.listdir("/proc/self/fd"))
    with atomic_writer(tmp_path / "t", "wb", overwrite=False) as f:
        f.write(b"new")
        assert len(staged_in(tmp_path)) == 1

    assert contents(tmp_path) == {"t": b"new"}
    assert len(os.listdir("/proc/self/fd")) == before


@needs_nameless_files
def test_a_refusal_that_means_something_else_is_not_taken_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_nameless_files(monkeypatch, errno.ENOSPC)
    with pytest.raises(StorageFullError), atomic_writer(tmp_path / "t", "wb", overwrite=False):
        pass

    assert contents(tmp_path) == {}
