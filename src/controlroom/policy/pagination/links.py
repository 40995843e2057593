"""The Link header (RFC 8288), read as its appendix B asks: tolerant of spaces and order, never of commas in quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Link", "links"]

_TARGET = re.compile(r"[\s,]*<([^>]*)>")
_PARAMETER = re.compile(r"\s*;\s*([^\s=;,\"<>]*)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*)))?")
_END = re.compile(r"\s*(?:,|\Z)")
_REST = re.compile(r"[\s,]*\Z")


@dataclass(frozen=True, slots=True)
class Link:
    """One link: where to, in which relations (lower case), and from where if not from the page itself."""

    target: str
    relations: frozenset[str]
    anchor: str | None = None


def links(header: str) -> Iterator[Link]:
    """Yield the links of *header*, several header lines joined by commas.

    Raises:
        ValueError: From here on the text is no list of links.
    """
    position = 0
    while not _REST.match(header, position):
        target = _TARGET.match(header, position)
        if target is None:
            raise _unreadable(header, position)
        parameters, position = _parameters(header, target.end())
        relations = frozenset(parameters.get("rel", "").lower().split())
        yield Link(target[1].strip(), relations, parameters.get("anchor"))


def _parameters(header: str, position: int) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    while parameter := _PARAMETER.match(header, position):
        name, quoted, token = parameter.groups()
        value = token or "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        found.setdefault(name.lower(), value)  # section 3.3: only the first rel counts
        position = parameter.end()
    end = _END.match(header, position)
    if end is None:
        raise _unreadable(header, position)
    return found, end.end()


def _unreadable(header: str, position: int) -> ValueError:
    return ValueError(f"no link at character {position} of {header!r}")
