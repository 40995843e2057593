"""URLs: whose they are, and how a query is put on them without disturbing the rest.

What is judged here is what is sent: a URL that two parsers could read differently (backslashes, user info, control
characters) is refused, so that no credential follows it to another host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, unquote_plus, urlsplit

from controlroom.errors import ConfigError

__all__ = ["Origin", "filled", "joined", "origin_of", "with_query", "without_query"]

_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]")
_PORTS = {"http": 80, "https": 443}
_PLACE = re.compile(r"\{(\w+)\}")


class Origin(NamedTuple):
    """Scheme, host and port: what a credential belongs to (RFC 6454)."""

    scheme: str
    host: str
    port: int

    def is_among(self, hosts: frozenset[str]) -> bool:
        """Tell whether *hosts* names this host, with this port or without one."""
        return self.host in hosts or f"{self.host}:{self.port}" in hosts

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def origin_of(url: str) -> Origin:
    """Return the origin of *url*.

    Raises:
        ValueError: It is no absolute http or https URL that can be read in one way only; says why.
    """
    if _AMBIGUOUS.search(url):
        message = "it contains a backslash or a control character"
        raise ValueError(message)
    end = url.find("/", len("https://")) if url.startswith(("http://", "https://")) else -1
    return _origin(url if end < 0 else url[:end])


@lru_cache(maxsize=256)
def _origin(url: str) -> Origin:
    """Asked several times for each request, of the same few: what follows the host does not count."""
    parts, port = _parsed(url)
    if parts.scheme not in _PORTS or not parts.hostname or " " in parts.netloc:
        message = "it is no absolute http or https URL"
        raise ValueError(message)
    if "@" in parts.netloc:
        message = "it carries a user name or password"
        raise ValueError(message)
    return Origin(parts.scheme, parts.hostname.lower().rstrip("."), port or _PORTS[parts.scheme])


def _parsed(url: str) -> tuple[SplitResult, int | None]:
    """Split *url*. The parser's own words are left out: it quotes what it cannot read, such as half a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        message = "its host or its port cannot be read"
        raise ValueError(message) from None
    return parts, port


def joined(base_url: str, path: str) -> str:
    """Return *path* below *base_url*, whose own path is kept; an absolute URL comes back as it is."""
    if not path.startswith("/") and "://" in path.split("?", 1)[0]:
        return path
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url


def filled(template: str, values: Mapping[str, object]) -> str:
    """Return *template* with each "{name}" replaced, escaped so that it stays one segment of the path.

    Raises:
        ConfigError: A name has no value, a value no place, or a value would change the path ("", "." or "..").
    """
    names = set(_PLACE.findall(template))
    if names != values.keys():
        absent, homeless = ", ".join(sorted(names - values.keys())), ", ".join(sorted(values.keys() - names))
        needs = f" It needs {absent}." if absent else ""
        lacks = f" It has no place for {homeless}." if homeless else ""
        message = f"The path {template} does not go with the arguments given.{needs}{lacks} Nothing was sent."
        raise ConfigError(message)
    return _PLACE.sub(lambda place: _segment(place[1], values[place[1]]), template)


def _segment(name: str, given: object) -> str:
    value = str(given)
    is_none = given is None or (isinstance(given, bytes | Sequence | Mapping) and given != value)
    if value in {"", ".", ".."} or is_none:
        message = f"{name}={given!r} would lead to another path: give a text or a number. Nothing was sent."
        raise ConfigError(message)
    return _quoted(value, name)


def _quoted(text: str, name: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        message = (
            f"The parameter {name!a} holds half a character (a lone surrogate): it has no UTF-8. Nothing was sent."
        )
        raise ConfigError(message) from None


def with_query(url: str, params: Mapping[str, Any]) -> str:
    """Return *url* with *params* in its query, in the place of any of the same name; the rest stays byte for byte.

    A value is a text, a number, a bool ("true", "false"), None (left out) or a sequence of those (repeated).

    Raises:
        ConfigError: A value is none of these, or a text that UTF-8 cannot write.
    """
    added = [f"{_quoted(name, name)}={_quoted(text, name)}" for name, text in _pairs(params)]
    if "?" not in url and "#" not in url:
        return f"{url}?{'&'.join(added)}" if added else url
    head, kept = _split(url)
    query = "&".join([*(item for item in kept if _name_of(item) not in params), *added])
    return f"{head}?{query}" if query else head


def without_query(url: str, names: frozenset[str], values: frozenset[str]) -> str:
    """Return *url* without the query entries called one of *names* or worth one of *values*."""
    if "?" not in url and "#" not in url:
        return url
    head, items = _split(url)
    kept = [item for item in items if _name_of(item) not in names and not _values_of(item) & values]
    return f"{head}?{'&'.join(kept)}" if kept else head


def _split(url: str) -> tuple[str, list[str]]:
    head, _, query = url.partition("#")[0].partition("?")
    return head, [item for item in query.split("&") if item]


def _name_of(item: str) -> str:
    return unquote_plus(item.partition("=")[0])


def _values_of(item: str) -> set[str]:
    value = item.partition("=")[2]
    return {unquote_plus(value), unquote(value)}


def _pairs(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        several = not isinstance(value, str | bytes) and isinstance(value, Sequence)
        for single in value if several else [value]:
            if single is not None:
                yield name, _text(name, single)


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    message = f"The parameter {name!r} is a {type(value).__name__}: give a text, a number or a list of those."
    raise ConfigError(message)
