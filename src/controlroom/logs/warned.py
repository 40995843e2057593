"""Warnings as lines: one each, in the shape of all others."""

from __future__ import annotations

from typing import Any

from controlroom.logs.logger import get_logger

__all__ = ["log_warning"]

_log = get_logger("py.warnings")  # the name under which the standard library logs them


def log_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_stream_and_source: Any, **_same: Any
) -> None:
    """Log a warning; takes the arguments of ``warnings.showwarning``.

    Not shown: the source line, which could hold what nobody registered as secret.
    """
    # Not as `file`: that is what a delivery is called, and it may be bound here.
    _log.warning(str(message), category=category.__name__, at=f"{filename}:{lineno}")
