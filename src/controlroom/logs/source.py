"""The line of source that a frame stands in, where it is known at little cost and may be shown."""

from __future__ import annotations

import linecache
import os
import stat
from typing import Any, Final

from controlroom.redaction import redact_text

__all__ = ["source_line"]

_LARGEST_FILE_BYTES: Final = 2 << 20  # larger ones are generated; `linecache` would keep all of it
_LONGEST: Final = 160
_LONGEST_READ: Final = 8_192  # a longer line is data
_MOST_REMEMBERED: Final = 4_096
_OF_ANYTHING: Final = frozenset(
    {"<string>", "<stdin>"}
)  # what exec() and eval() call all code; from 3.13 on `-c` is known by it

_lines: dict[tuple[str, int], str] = {}


def source_line(file: str, line: int, module: dict[str, Any]) -> str:
    """Return the line of *file*, from which *module* (its globals) came, without its indentation; "" where unknown.

    A long one is masked and cut, in this order: half a secret matches no pattern. Of a file that was changed after it
    was imported, the line may be another one, as in every traceback.
    """
    known = _lines.get((file, line))
    if known is None:
        known = _read(file, line, module)
        if len(_lines) >= _MOST_REMEMBERED:
            _lines.clear()
        _lines[file, line] = known
    return known if len(known) <= _LONGEST else redact_text(known)[:_LONGEST] + "…"


def _read(file: str, line: int, module: dict[str, Any]) -> str:
    if file in _OF_ANYTHING:
        return ""
    try:
        is_known = file in linecache.cache or _is_small(file) or linecache.lazycache(file, module)
        text = linecache.getline(file, line).strip() if is_known else ""
    except Exception:  # noqa: BLE001 - a foreign loader may raise anything; what is said about a failure must not
        return ""
    return text if len(text) <= _LONGEST_READ else ""


def _is_small(file: str) -> bool:
    """Whether *file* is one to read: the name of code may be anything, a device too."""
    try:
        found = os.stat(file)  # noqa: PTH116 - a Path costs more than the call
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST_FILE_BYTES
