"""What every command owes its caller: an exit code that means something, no secret echoed, and all of its output."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn, TextIO

from controlroom.errors.values import EX_IOERR

__all__ = ["EX_USAGE", "Parser", "flushed"]

EX_USAGE: Final = 64
"""sysexits(3): the command was used wrongly. argparse's own 2 says nothing to a scheduler."""


class Parser(argparse.ArgumentParser):
    """argparse, with exit code 64 for wrong usage, and arguments that may be secrets not echoed."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(allow_abbrev=False, **arguments)

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 64, usage and *message* on stderr."""
        self.print_usage(sys.stderr)
        self.exit(EX_USAGE, f"{self.prog}: {message}\n")

    def options(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Return what *argv* says, or what the process was given; what is unknown is named without its value."""
        options, unknown = self.parse_known_args(argv)
        if unknown:
            names = [argument.partition("=")[0] for argument in unknown if argument.startswith("-")]
            self.error(f"there is no option {', '.join(names)}" if names else "there is an argument too many")
        return options


def flushed(exit_code: int) -> int:
    """Write out what is left for stdout, and return *exit_code*, or 74 where a success could not be delivered."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):  # its reader is gone, its disk full, or it was closed
        _discard(sys.stdout)
        return exit_code or EX_IOERR
    return exit_code


def _discard(stream: TextIO) -> None:
    """Lead what is left in *stream* nowhere, or the interpreter would complain about it at exit (Python docs, signal)."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
