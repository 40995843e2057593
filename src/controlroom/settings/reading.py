"""Reading one file, whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["text_of"]


def text_of(path: Path, problems: list[str]) -> str | None:
    """Return what *path* holds, or None; that a file is there and cannot be read goes to *problems*."""
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else None  # editors on Windows begin with a mark
    except FileNotFoundError:
        return None  # replaced between the two calls
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        problems.append(f"{path}:{line}:{column} is not UTF-8 (byte {error.start}).")
    except OSError as error:
        problems.append(f"{path} cannot be read: {error.strerror}.")
    return None
