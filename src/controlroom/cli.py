"""The ``controlroom`` command: what a run did, and what this host looks like."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import re
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata

from controlroom import __version__
from controlroom.errors import ControlRoomError
from controlroom.errors.values import EX_CONFIG, EX_IOERR
from controlroom.hosts.terminal import Parser, flushed
from controlroom.logs.surroundings import look_around

__all__ = ["main"]

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)[^;]*(?:;(?P<when>.*))?")
_FOR_DEVELOPMENT = re.compile(r"extra == ['\"](dev|docs|test)['\"]")
_ABSENT = "absent"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that *argv* names (the process's arguments when None) and return its exit code.

    Raises:
        SystemExit: ``--help`` or ``--version`` was asked for (0), or the usage is wrong (64).
    """
    parser = Parser(prog="controlroom", description="What a run did, and what this host looks like.")
    parser.add_argument("--version", action="version", version=f"controlroom {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    explain = commands.add_parser("explain", help="the story of a run, from its log alone")
    explain.add_argument(
        "logs",
        metavar="RUN.JSONL",
        nargs="+",
        help="JSON lines, as --log-file writes them; all files of a rotated log, compressed or not; - is stdin",
    )
    explain.add_argument("--run", metavar="ID", help="only this one of the runs in the log")
    explain.add_argument("--html", metavar="FILE", help="also write the story as a page that needs no network")
    explain.add_argument("--json", action="store_true", help="print the story as JSON instead of text")
    commands.add_parser("settings", help="check, explain or document a settings class, without running its job")
    commands.add_parser("generate-client", help="a typed client, declared from an OpenAPI document")
    commands.add_parser("doctor", help="what this host looks like to a job; nothing secret, safe to paste")
    given = sys.argv[1:] if argv is None else list(argv)
    try:
        if given[:1] == ["settings"]:
            return flushed(_settings(given[1:]))
        if given[:1] == ["generate-client"]:
            return flushed(_generate_client(given[1:]))
        options = parser.options(given)
        return flushed(_explain(options) if options.command == "explain" else _doctor())
    except BrokenPipeError:  # `controlroom explain … | head`
        return flushed(EX_IOERR)
    except OSError as error:  # a full disk behind stdout
        print(f"controlroom: the output could not be written: {error.strerror or error}", file=sys.stderr)
        return flushed(EX_IOERR)
    except ControlRoomError as error:
        print(f"controlroom: {error}", file=sys.stderr)
        return error.exit_code


def _explain(options: argparse.Namespace) -> int:
    from controlroom import explain  # noqa: PLC0415 - the doctor should work where this does not

    told = explain.read(options.logs, options.run)
    if options.html is not None:
        explain.write_html(told, options.html)
    explain.show(told, sys.stdout, as_json=options.json)
    return 0


def _settings(argv: Sequence[str]) -> int:
    from controlroom.settings import command  # noqa: PLC0415 - as above; and its options need pydantic

    parser = Parser(prog="controlroom settings", description="What a settings class declares, finds and lacks.")
    command.add_to(parser)
    try:
        text, exit_code = command.performed(parser.options(argv))
    except command.Misused as misused:
        parser.error(str(misused))
    print(text)
    return exit_code


def _generate_client(argv: Sequence[str]) -> int:
    from controlroom.generate import command  # noqa: PLC0415 - as above

    parser = Parser(prog="controlroom generate-client", description="A typed client, from an OpenAPI 3 document.")
    command.add_to(parser)
    text, remarks = command.performed(parser.options(argv))
    binary = getattr(sys.stdout, "buffer", None)  # Python reads UTF-8, whatever a terminal writes; a notebook has none
    if binary is None:
        sys.stdout.write(text)
    else:
        binary.write(text.encode())
    for remark in remarks:
        print(f"controlroom: {remark}", file=sys.stderr)
    return 0


def _doctor() -> int:
    required, optional = _dependencies()
    sections = {
        "": dict(_host()),
        "dependencies": {name: _version(name) for name in required},
        "extras": {name: _version(name) for name in optional},
    }
    width = max(len(name) for section in sections.values() for name in section)
    for title, section in sections.items():
        lines = [f"{name:<{width}}  {value}" for name, value in section.items()]
        print("\n".join([*([f"\n{title}"] if title else []), *lines]))
    return EX_CONFIG if _ABSENT in sections["dependencies"].values() else 0


def _host() -> Iterator[tuple[str, str]]:
    """Yield what a job would find here. No paths, no names of machines or users, no values of variables."""
    found = look_around()
    yield "controlroom", __version__
    yield "python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "system", f"{platform.system()} {platform.machine()}"
    yield "host", found.host.value
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    terminals = [name for name, stream in streams.items() if stream is not None and stream.isatty()]
    yield "terminal", ", ".join(terminals) or "none"
    yield "log level", logging.getLevelName(logging.getLogger().level)
    yield "log handlers", ", ".join(type(handler).__name__ for handler in found.handlers) or "none"
    ignored = [number.name for number in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(number) is signal.SIG_IGN]
    yield "signals ignored", ", ".join(ignored) or "none"
    yield "open files", str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield "processors", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())


def _dependencies() -> tuple[list[str], list[str]]:
    """Return the distributions that controlroom needs, and those that its extras for users name."""
    try:
        declared = metadata.requires("controlroom") or []
    except metadata.PackageNotFoundError:  # a source tree on the path
        return [], []
    parsed = [found for text in declared if (found := _REQUIREMENT.match(text))]
    required = {found["name"] for found in parsed if "extra" not in (found["when"] or "")}
    used = {found["name"] for found in parsed if not _FOR_DEVELOPMENT.search(found["when"] or "")}
    optional = used - required - {"controlroom"}
    return sorted(required, key=str.lower), sorted(optional, key=str.lower)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return _ABSENT
