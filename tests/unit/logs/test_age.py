"""A file's age is that of its first line: for every process, after any restart, whatever the clock did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlroom.clock import installed
from controlroom.logs.appending import AppendedFile
from controlroom.logs.rotation import parts_of
from controlroom.testing import ManualClock

HOUR_S = 3600.0


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def opened(path: Path) -> AppendedFile:
    return AppendedFile(path, max_age_s=HOUR_S)


def texts(path: Path) -> list[str]:
    return [part.read_text() for part in parts_of(path)]


def test_a_file_rotates_with_the_first_line_after_its_age(path: Path, clock: ManualClock) -> None:
    file = opened(path)
    for line, minutes in ((b"one\n", 59), (b"two\n", 1), (b"three\n", 1), (b"four\n", 59)):
        file.append(line)
        clock.advance(minutes * 60)
    file.append(b"five\n")
    clock.advance(60)
    file.append(b"six\n")
    file.close()

    assert texts(path) == ["one\ntwo\nthree\n", "four\nfive\nsix\n"]


def test_its_age_survives_a_restart_and_holds_for_every_process(path: Path, clock: ManualClock) -> None:
    first = opened(path)
    first.append(b"one\n")
    first.close()
    clock.advance(40 * 60)
    second, third = opened(path), opened(path)
    second.append(b"two\n")
    clock.advance(21 * 60)
    third.append(b"three\n")
    clock.advance(40 * 60)
    second.append(b"four\n")
    second.close()
    third.close()

    assert texts(path) == ["one\ntwo\n", "three\nfour\n"]


def test_a_file_from_before_is_as_old_as_its_first_line_says(path: Path, clock: ManualClock) -> None:
    written_at = datetime(2025, 12, 31, 22, 30, 0, 1, tzinfo=UTC)
    line = json.dumps({"timestamp": f"{written_at:%Y-%m-%dT%H:%M:%S.%f}Z"}, separators=(",", ":")) + "\n"
    path.write_text(line)
    file = opened(path)
    file.append(b"one\n")
    file.close()

    assert texts(path) == [line, "one\n"]


def test_a_file_whose_first_line_says_nothing_counts_from_the_first_look(path: Path, clock: ManualClock) -> None:
    path.write_text("what another program wrote\n")
    file = opened(path)
    file.append(b"one\n")
    clock.advance(59 * 60)
    file.append(b"two\n")
    clock.advance(2 * 60)
    file.append(b"three\n")
    file.close()

    assert texts(path) == ["what another program wrote\none\ntwo\n", "three\n"]


def test_a_file_that_was_emptied_is_young_again(path: Path, clock: ManualClock) -> None:
    file = opened(path)
    file.append(b"one\n")
    clock.advance(50 * 60)
    path.write_bytes(b"")  # copytruncate of logrotate
    file.append(b"two\n")
    clock.advance(50 * 60)
    file.append(b"three\n")
    file.close()

    assert texts(path) == ["two\nthree\n"]


def test_an_empty_file_is_not_rotated_away_however_old(path: Path, clock: ManualClock) -> None:
    file = opened(path)
    clock.advance(10 * HOUR_S)
    file.append(b"one\n")
    file.close()

    assert texts(path) == ["one\n"]


class Adjusted(ManualClock):
    """A clock that is put right."""

    by = timedelta(0)

    def utcnow(self) -> datetime:
        return super().utcnow() + self.by


def test_a_clock_that_went_back_neither_rotates_nor_makes_a_file_eternal(path: Path) -> None:
    with installed(clock := Adjusted()):
        clock.by = timedelta(days=365)  # wrong by a year when the first line came
        file = opened(path)
        file.append(b"one\n")
        clock.by = timedelta(0)
        file.append(b"two\n")
        clock.advance(59 * 60)
        file.append(b"three\n")
        clock.advance(2 * 60)
        file.append(b"four\n")
        file.close()

    assert texts(path) == ["one\ntwo\nthree\n", "four\n"]


@pytest.mark.parametrize("note", [b"", b"garbage\n", b"1 2 3\n", b"\xff\xff\n", b"1" * 5000])
def test_a_note_that_is_spoilt_is_made_good(path: Path, clock: ManualClock, note: bytes) -> None:
    file = opened(path)
    file.append(b"one\n")
    Path(f"{path}.lock").write_bytes(note)
    file.append(b"two\n")
    clock.advance(HOUR_S + 1)
    file.append(b"three\n")
    file.close()

    assert texts(path) == ["one\ntwo\n", "three\n"]


def test_size_and_age_rotate_whichever_comes_first(path: Path, clock: ManualClock) -> None:
    file = AppendedFile(path, max_bytes=8, max_age_s=HOUR_S)
    file.append(b"one\n")
    file.append(b"two\n")
    file.append(b"three\n")
    clock.advance(HOUR_S + 1)
    file.append(b"4\n")
    file.close()

    assert texts(path) == ["one\ntwo\n", "three\n", "4\n"]
