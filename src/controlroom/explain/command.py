"""`controlroom explain run.jsonl`, without the command line around it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, Final

from controlroom.errors import ConfigError, DataError
from controlroom.explain.story import Story, story
from controlroom.explain.text import render_text

__all__ = ["main"]

_LONGEST_LINE_BYTES: Final = 2**20  # four times what our logs write; a longer one is no line of theirs


def main(path: str | os.PathLike[str], run_id: str | None = None) -> str:
    """Return the story of the log at *path*, or of the one run *run_id* in it, as text of 80 columns.

    Raises:
        ConfigError: The file cannot be read, or holds no such run.
        DataError: It is no log of controlroom's.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - also what only os.PathLike names
            told = story(_lines(file))
    except (OSError, ValueError) as error:
        message = f"The log {os.fspath(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise ConfigError(message) from error
    if not told.events:
        message = f"{os.fspath(path)!r} holds no line of a controlroom log. Give the file that --log-file named."
        raise DataError(message)
    return render_text(told if run_id is None else _only(told, run_id))


def _only(told: Story, run_id: str) -> Story:
    if run_id not in told.runs:
        known = ", ".join(list(filter(None, told.runs))[:5]) or "none"
        message = f"The log tells of no run {run_id!r}. Runs it tells of: {known}."
        raise ConfigError(message)
    return Story(
        runs={run_id: told.runs[run_id]},
        events=told.events,
        foreign_lines=told.foreign_lines,
        truncated_lines=told.truncated_lines,
    )


def _lines(file: BinaryIO) -> Iterator[str]:
    """Yield the lines of *file*, each cut where none of ours could be longer."""
    while line := file.readline(_LONGEST_LINE_BYTES):
        yield line.decode("utf-8", "replace")
        while not line.endswith(b"\n") and (line := file.readline(_LONGEST_LINE_BYTES)):
            pass
