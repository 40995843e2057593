"""``controlroom generate-client``: reads a document, writes a module."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from controlroom.errors import ConfigError
from controlroom.generate.module import Generated, generate, is_untouched
from controlroom.generate.reading import parsed
from controlroom.storage import atomic_writer

__all__ = ["add_to", "performed", "written"]

_STREAM: Final = "-"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options to *parser*."""
    parser.add_argument("document", metavar="OPENAPI.JSON", help="an OpenAPI 3 document, JSON or YAML; - is stdin")
    parser.add_argument("-o", "--output", metavar="CLIENT.PY", default=_STREAM, help="the module; stdout if absent")
    parser.add_argument("--class-name", metavar="NAME", help="of the client; after the document's title if absent")
    parser.add_argument("--base-url", metavar="URL", help="where the API is; the document's first server if absent")
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="an AsyncApiClient")
    parser.add_argument("--force", action="store_true", help="overwrite a module that was edited, or any other file")


def performed(options: argparse.Namespace) -> tuple[str, list[str]]:
    """Return what to print on stdout, and what to say on stderr.

    Raises:
        ConfigError: The document cannot be read, an option is impossible, or the file is not to be overwritten.
        DataError: The document is none, or cannot be understood.
        FileOperationError: The module cannot be written; nothing changed.
    """
    content, name = _content(options.document)
    found = generate(
        parsed(content, name),
        name=options.class_name,
        base_url=options.base_url,
        asynchronous=options.asynchronous,
    )
    doubts = [f"undecided: {doubt}" for doubt in found.doubts]
    if options.output == _STREAM:
        return found.source, doubts
    written(found, options.output, force=options.force)
    told = f"{options.output}: {found.client} with {found.endpoints} endpoints and {found.models} models and aliases.\n"
    return told, doubts


def written(found: Generated, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write *found* to *path*: whole, or not at all.

    Args:
        found: What to write.
        path: Where to; its folder exists.
        force: Also over a file that was edited, or is something else.

    Raises:
        ConfigError: The file there was not generated, or was edited since; it is as it was.
        FileOperationError: It cannot be written; nothing changed.
    """
    target = Path(path)
    is_there = target.exists()
    if not force and is_there and not _may_be_replaced(target):
        message = (
            f"{os.fspath(path)} was not generated, or was edited since; it is as it was. Write elsewhere and merge, or say "
            f"--force to lose it."
        )
        raise ConfigError(message)
    with atomic_writer(target, "wb", overwrite=force or is_there) as file:
        file.write(found.source.encode())


def _may_be_replaced(target: Path) -> bool:
    try:
        return is_untouched(target.read_bytes().decode("utf-8"))
    except (OSError, ValueError):
        return False


def _content(document: str) -> tuple[bytes, str]:
    if document == _STREAM:
        return sys.stdin.buffer.read(), "stdin"
    try:
        return Path(document).read_bytes(), document
    except (OSError, ValueError) as error:
        message = f"The document {document!r} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise ConfigError(message) from error
