"""A schedule is certain where something proves it, and a guess where only the environment looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlroom.logs.cron import Schedule, schedule_of

BARE = {
    "SHELL": "/bin/sh",
    "HOME": "/home/ada",
    "LOGNAME": "ada",
    "PATH": "/usr/bin:/bin",
    "LANG": "C",
    "PWD": "/home/ada",
}


def proc(folder: Path, *names: str, terminal: int = 0, top: int = 0) -> Path:
    """A /proc where this process is the first of *names*, and each one's parent the next."""
    for number, name in enumerate(names):
        parent = top if number == len(names) - 1 else 101 + number
        for pid in {str(100 + number), *(["self"] if number == 0 else [])}:
            (folder / pid).mkdir(parents=True)
            (folder / pid / "stat").write_text(f"{100 + number} ({name}) S {parent} 1 1 {terminal} -1 4194304 0 0\n")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("python", "cron", "cron", "systemd"),
        ("python", "sh", "crond", "systemd"),
        ("python", "uv", "bash", "run (nightly) sh", "CROND", "crond", "init"),
        ("python", "supercronic"),
        ("python", "sh", "anacron", "sh", "cron", "systemd"),
    ],
)
def test_cron_among_the_ancestors_is_certain(names: tuple[str, ...], tmp_path: Path) -> None:
    assert schedule_of({}, proc(tmp_path, *names)) == Schedule("cron", guessed=False)


def test_a_person_at_a_terminal_that_cron_started_is_no_schedule(tmp_path: Path) -> None:
    assert schedule_of(BARE, proc(tmp_path, "python", "bash", "tmux", "cron", "systemd", terminal=34816)) is None


def test_a_job_that_is_itself_called_cron_was_not_started_by_it(tmp_path: Path) -> None:
    assert schedule_of({}, proc(tmp_path, "cron", "bash", "systemd")) is None


def test_where_all_ancestors_are_seen_and_none_is_cron_nothing_is_guessed(tmp_path: Path) -> None:
    assert schedule_of(BARE, proc(tmp_path, "python", "sh", "systemd")) is None


def test_where_they_are_hidden_the_bare_environment_of_cron_is_a_guess(tmp_path: Path) -> None:
    """hidepid=2 (proc(5)) shows a user's own processes only."""
    hidden = proc(tmp_path, "python", "sh", top=7)

    assert schedule_of(BARE, hidden) == Schedule("cron", guessed=True)
    assert schedule_of(BARE, tmp_path / "no proc at all") == Schedule("cron", guessed=True)


@pytest.mark.parametrize(
    "other",
    [
        {"TERM": "xterm"},
        {"INVOCATION_ID": "4711"},
        {"SSH_CONNECTION": "10.0.0.1 50000 10.0.0.2 22"},
        {"SHELL": "/bin/bash"},
    ],
)
def test_what_cron_never_sets_ends_the_guessing(other: dict[str, str], tmp_path: Path) -> None:
    assert schedule_of({**BARE, **other}, tmp_path) is None


@pytest.mark.parametrize("missing", ["SHELL", "HOME", "LOGNAME", "PATH"])
def test_a_container_is_not_taken_for_cron(missing: str, tmp_path: Path) -> None:
    assert schedule_of({name: value for name, value in BARE.items() if name != missing}, tmp_path) is None


@pytest.mark.parametrize("sign", ["TRIGGER_TIMER_REALTIME_USEC", "TRIGGER_TIMER_MONOTONIC_USEC"])
def test_a_timer_of_systemd_says_so(sign: str, tmp_path: Path) -> None:
    environ = {sign: "1763766000000000", "TRIGGER_UNIT": "ingest.timer", "INVOCATION_ID": "4711"}

    assert schedule_of(environ, tmp_path) == Schedule("systemd_timer", unit="ingest.timer")


def test_a_service_is_no_schedule(tmp_path: Path) -> None:
    environ = {"INVOCATION_ID": "4711", "JOURNAL_STREAM": "8:9", "TRIGGER_UNIT": "ingest.path"}

    assert schedule_of(environ, proc(tmp_path, "python", "systemd")) is None


@pytest.mark.parametrize(
    "stat", ["", "4711", "4711 (python", "4711 (python) S", "4711 (python) S x 1 1 0", "\udcff" * 9]
)
def test_what_cannot_be_read_is_not_seen(stat: str, tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "stat").write_bytes(stat.encode("utf-8", "surrogateescape"))

    assert schedule_of({}, tmp_path) is None
    assert schedule_of(BARE, tmp_path) == Schedule("cron", guessed=True)


def test_ancestors_that_go_in_a_circle_end(tmp_path: Path) -> None:
    for pid in ("self", "100"):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "stat").write_text("100 (python) S 100 1 1 0 -1")

    assert schedule_of({}, tmp_path) is None
