"""What lies in a folder: the content of its files, and what was left staged."""

from __future__ import annotations

from pathlib import Path

from controlroom.storage.paths import is_staged_name


def staged_in(folder: Path) -> list[str]:
    """Names of staged files anywhere below *folder*."""
    return sorted(path.name for path in folder.rglob("*") if is_staged_name(path.name))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below *folder*, staged ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
