"""`controlroom explain`, without the command line around it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TextIO, TypeAlias

from controlroom.errors import ConfigError, DataError
from controlroom.explain.reading import StrPath, read_logs
from controlroom.explain.story import Story
from controlroom.explain.text import render_text

__all__ = ["Logs", "main", "read", "show", "write_html"]

_MOST_NAMED = 5
_SIGNS = "✗├─└│…→�"

Logs: TypeAlias = StrPath | Sequence[StrPath]


def read(logs: Logs, run_id: str | None = None) -> Story:
    """Return the story of one log, or of several files that make one up, or of one run in it.

    Args:
        logs: A file, or the files of a rotated log, in any order; compressed ones (gzip) are recognised. ``"-"`` is
            stdin.
        run_id: Only this run; the beginning of its id is enough where no other run's id begins so.

    Raises:
        ConfigError: A file cannot be read, or there is no such run, or more than one.
        DataError: No line is an event: it is no log of controlroom's.
    """
    told = read_logs([logs] if isinstance(logs, str | os.PathLike) else list(logs), run_id)
    named = "The log" if not isinstance(logs, str | os.PathLike) else repr(os.fspath(logs))
    if not told.events_read:
        message = f"{named} holds no line of a controlroom log. Give the file that --log-file named."
        raise DataError(message)
    if run_id is not None and not told.runs:
        message = f"The log tells of no run {run_id!r}. Runs it tells of: {_named(told.other_runs) or 'none'}."
        raise ConfigError(message)
    if run_id is not None and len(told.runs) + told.untold_runs > 1:
        message = f"The ids of several runs begin with {run_id!r}: {_named(list(told.runs))}. Give more of the one."
        raise ConfigError(message)
    return told


def main(logs: Logs, run_id: str | None = None) -> str:
    """Return the story of *logs*, or of the one run *run_id* in it, as text of 80 columns; see `read`.

    Raises:
        ConfigError: A file cannot be read, or there is no such run, or more than one.
        DataError: It is no log of controlroom's.
    """
    return render_text(read(logs, run_id))


def show(told: Story, stream: TextIO, *, as_json: bool = False) -> None:
    """Print *told*: in colours on a terminal (unless ``NO_COLOR`` is set), in ASCII where *stream* has no other signs.

    Args:
        told: The story.
        stream: Where to.
        as_json: Print ``told.to_dict()`` instead of text.
    """
    if as_json:
        print(json.dumps(told.to_dict(), indent=2, allow_nan=False), file=stream)  # ASCII: safe on every stream
        return
    encoding = stream.encoding or "utf-8"
    coloured = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    text = render_text(told, ascii_only=not _can_show(_SIGNS, encoding), coloured=coloured)
    print(text.encode(encoding, "backslashreplace").decode(encoding), end="", file=stream)


def write_html(told: Story, path: StrPath) -> None:
    """Write *told* as one page of HTML, which needs nothing else, to *path*; a file that is there is replaced whole.

    Raises:
        FileOperationError: It cannot be written; nothing changed.
    """
    # Imported here: the story as text should not wait for what only this needs.
    from controlroom.explain.html import render_html  # noqa: PLC0415 - as above
    from controlroom.storage import atomic_writer  # noqa: PLC0415 - as above

    page = render_html(told.to_dict()).encode("utf-8", "replace")
    with atomic_writer(path, "wb") as file:
        file.write(page)


def _named(runs: Sequence[str]) -> str:
    further = f" and {len(runs) - _MOST_NAMED:,} more" if len(runs) > _MOST_NAMED else ""
    return ", ".join(runs[:_MOST_NAMED]) + further


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
