from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from controlroom.errors import FileOperationError
from controlroom.storage.s3.journal import JournalView, NotedUpload, UploadsJournal

UPLOAD = NotedUpload("bucket", None, "a/b", "u1")
OTHER = NotedUpload("bucket", "http://127.0.0.1:1", "c", "u2")


def seen(path: Path) -> tuple[set[NotedUpload], set[NotedUpload]]:
    """The living, and the dead."""
    view = JournalView(path)
    view.close()
    return view.living, set(view.dead)


def test_an_upload_is_noted_while_its_writer_lives_and_struck_off_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder"
    journal = UploadsJournal(path)
    journal.note(UPLOAD)
    journal.note(OTHER)
    assert seen(path) == ({UPLOAD, OTHER}, set())
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in path.iterdir())

    journal.forget("u1")
    journal.forget("u1")
    journal.forget("never noted")
    assert seen(path) == ({OTHER}, set())
    journal.forget("u2")
    assert os.listdir(path) == []


def test_a_writer_that_lets_go_leaves_what_counts_as_dead(tmp_path: Path) -> None:
    journal = UploadsJournal(tmp_path)
    journal.note(UPLOAD)
    journal.close()

    assert seen(tmp_path) == (set(), {UPLOAD})
    assert seen(tmp_path) == (set(), {UPLOAD})


def test_one_sweep_has_the_dead_at_a_time(tmp_path: Path) -> None:
    journal = UploadsJournal(tmp_path)
    journal.note(UPLOAD)
    journal.close()
    first = JournalView(tmp_path)

    assert seen(tmp_path) == ({UPLOAD}, set())
    first.forget(UPLOAD)
    first.close()
    assert seen(tmp_path) == (set(), set())


def test_a_note_that_was_cut_short_is_removed_and_what_is_no_note_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "1.upload").write_bytes(b'{"bucket": "b"')
    (tmp_path / "2.upload").write_bytes(b'{"bucket": "b"}')
    (tmp_path / "3.upload").write_bytes(b"")
    (tmp_path / "readme").write_bytes(b"")

    assert seen(tmp_path) == (set(), set())
    assert os.listdir(tmp_path) == ["readme"]


def test_no_journal_and_no_folder_have_nothing(tmp_path: Path) -> None:
    assert (JournalView(None).living, JournalView(None).dead) == (set(), {})
    assert seen(tmp_path / "none") == (set(), set())


def test_a_journal_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(FileOperationError, match="noting an upload"):
        UploadsJournal(tmp_path / "file").note(UPLOAD)


def test_a_forked_or_replaced_note_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"{}")
    (tmp_path / "1.upload").symlink_to(tmp_path / "target")

    with pytest.raises(FileOperationError):
        JournalView(tmp_path)
    assert (tmp_path / "target").exists()
