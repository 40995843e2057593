"""Whether a schedule of this machine started the process: what is certain, and what has to be guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Schedule", "schedule_of"]

_CRONS: Final = frozenset({"anacron", "cron", "crond", "fcron", "supercronic"})
_PROC: Final = Path("/proc")
# crontab(5): cron sets these and knows nothing of a terminal, an SSH session or a service.
_SET_BY_CRON: Final = frozenset({"HOME", "LOGNAME", "PATH"})
_NEVER_UNDER_CRON: Final = frozenset({"DISPLAY", "INVOCATION_ID", "SSH_CONNECTION", "TERM", "WAYLAND_DISPLAY"})


@dataclass(frozen=True, slots=True)
class Schedule:
    """What started the process.

    Attributes:
        by: ``"cron"`` or ``"systemd_timer"``.
        guessed: Only the environment looks like it; nothing proves it.
        unit: The timer's name, where it is one.
    """

    by: str
    guessed: bool = False
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class _Process:
    name: str
    parent: int
    has_terminal: bool


def schedule_of(environ: Mapping[str, str], proc: Path = _PROC) -> Schedule | None:
    """Return the schedule that started this process, or None where somebody, or something else, did.

    Args:
        environ: The process's environment.
        proc: Where Linux shows its processes, proc(5).
    """
    # systemd.exec(5), since 252. INVOCATION_ID alone says "a service", of whatever origin.
    if {"TRIGGER_TIMER_REALTIME_USEC", "TRIGGER_TIMER_MONOTONIC_USEC"} & environ.keys():
        return Schedule("systemd_timer", unit=environ.get("TRIGGER_UNIT"))
    line = list(_ancestry(proc))
    if line and line[0].has_terminal:
        return None
    if any(process.name in _CRONS for process in line[1:]):
        return Schedule("cron")
    seen_to_the_end = bool(line) and line[-1].parent == 0
    return None if seen_to_the_end or not _looks_like_cron(environ) else Schedule("cron", guessed=True)


def _looks_like_cron(environ: Mapping[str, str]) -> bool:
    is_bare = environ.keys() >= _SET_BY_CRON and _NEVER_UNDER_CRON.isdisjoint(environ)
    return is_bare and environ.get("SHELL") == "/bin/sh"


def _ancestry(proc: Path) -> Iterator[_Process]:
    """Yield this process and those above it, as far as they can be seen."""
    seen: set[str] = set()
    pid = "self"
    while pid not in seen and (process := _process(proc / pid)) is not None:
        yield process
        seen.add(pid)
        pid = str(process.parent)


def _process(folder: Path) -> _Process | None:
    try:
        text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        name, _, rest = text.partition("(")[2].rpartition(")")  # a name may hold spaces and parentheses
        _state, parent, _group, _session, terminal, *_ = rest.split()
        return _Process(name.lower(), int(parent), terminal != "0")
    except (OSError, ValueError):
        return None
