"""Where a walk stands, and its form as JSON-ready data that survives the process.

A checkpoint keeps what the next request changes against the first one, not the request itself: parameters and bodies
that the program brings along anyway are not written to a store, and a walk can resume against another host name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from controlroom.errors import ConfigError
from controlroom.policy.pagination.pages import PageRequest
from controlroom.redaction import is_sensitive_name

__all__ = ["Position", "fingerprint", "restored", "saved"]

VERSION = 1


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk stands, behind page number *page*.

    Attributes:
        next: The request for the next page; None when the walk is over.
        page: Pages taken.
        records: Records taken.
        expected: The total that the server last stated, if any.
        index: How many records of the next page were dealt with already, as they came.
    """

    next: PageRequest | None
    page: int = 0
    records: int = 0
    expected: int | None = None
    index: int = 0


def fingerprint(first: PageRequest, style: str) -> str:
    """Return what tells one walk from another: method, path, parameters and body of its first request, and the style.

    The host is left out: the same walk may go on behind another name.
    """
    parts = urlsplit(first.url)
    facts = [style, first.method, parts.path, parts.query, dict(first.params), first.json]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def saved(position: Position, first: PageRequest, style: str, mark: str) -> dict[str, Any]:
    """Return *position* as JSON-ready data; *mark* is the walk's `fingerprint`."""
    return {
        "version": VERSION,
        "fingerprint": mark,
        "style": style,
        "next": None if position.next is None else _changes(first, position.next),
        "page": position.page,
        "records": position.records,
        "expected": position.expected,
        "index": position.index,
    }


def restored(checkpoint: Any, first: PageRequest, mark: str) -> Position:
    """Return the position that *checkpoint* stands for, in the walk whose `fingerprint` is *mark*.

    Raises:
        ConfigError: It is no checkpoint, of another version, or of another walk.
    """
    if isinstance(checkpoint, str | bytes):
        message = "The checkpoint is a text. Give what json.loads makes of it: the object that the page had."
        raise ConfigError(message)
    if not isinstance(checkpoint, Mapping) or checkpoint.get("version") != VERSION:
        message = f"This is no checkpoint of version {VERSION}. Begin the walk without it."
        raise ConfigError(message)
    if checkpoint.get("fingerprint") != mark:
        message = (
            f"The checkpoint belongs to another walk (style {checkpoint.get('style')}, page {checkpoint.get('page')}): "
            f"the path, the parameters, the body or the pagination differ. Resume with the same ones, or begin anew."
        )
        raise ConfigError(message)
    try:
        return _position(checkpoint, first)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        message = "The checkpoint is damaged: an entry is missing or of another type. Begin the walk without it."
        raise ConfigError(message) from error


def _position(checkpoint: Mapping[str, Any], first: PageRequest) -> Position:
    changes, expected = checkpoint["next"], checkpoint["expected"]
    return Position(
        next=None if changes is None else _changed(first, changes),
        page=_count(checkpoint["page"]),
        records=_count(checkpoint["records"]),
        expected=None if expected is None else _count(expected),
        index=_count(checkpoint.get("index", 0)),
    )


def _count(value: Any) -> int:
    count = int(value)
    if count < 0:
        message = f"{count} is no count"
        raise ValueError(message)
    return count


def _changes(first: PageRequest, request: PageRequest) -> dict[str, Any]:
    if request.url == first.url:
        return _changed_entries(first, request, all_params=False)
    bare, hidden = _without_secrets(first, request)
    changes = {"url": _relative(first.url, bare.url), **_changed_entries(first, bare, all_params=True)}
    return {**changes, "hidden": hidden} if hidden else changes


def _without_secrets(first: PageRequest, request: PageRequest) -> tuple[PageRequest, list[str]]:
    """Return *request* without the secrets that *first* brings along too (servers repeat them in links), and their names."""
    secrets = {name: str(value) for name, value in first.params.items() if is_sensitive_name(name)}
    if not secrets:
        return request, []
    parts = urlsplit(request.url)
    items = parts.query.split("&")
    found = {item: name for item in items for name, value in parse_qsl(item) if secrets.get(name) == value}
    named = {name for name, value in request.params.items() if secrets.get(name) == str(value)}
    url = parts._replace(query="&".join(item for item in items if item not in found)).geturl()
    params = {name: value for name, value in request.params.items() if name not in named}
    return replace(request, url=url, params=params), sorted(named | set(found.values()))


def _changed_entries(first: PageRequest, request: PageRequest, *, all_params: bool) -> dict[str, Any]:
    entries = {
        "params": dict(request.params) if all_params else _difference(first.params, request.params),
        "json": _difference(first.json or {}, request.json) if isinstance(request.json, Mapping) else {},
    }
    return {name: changed for name, changed in entries.items() if changed}


def _difference(before: Any, after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of *after* that are new or differ, at any depth; None for those that are gone."""
    known: Mapping[str, Any] = before if isinstance(before, Mapping) else {}
    changed: dict[str, Any] = dict.fromkeys(known.keys() - after.keys())
    for key, value in after.items():
        if key not in known:
            changed[key] = value
        elif known[key] != value:
            both = isinstance(value, Mapping) and isinstance(known[key], Mapping)
            changed[key] = _difference(known[key], value) if both else value
    return changed


def _changed(first: PageRequest, changes: Mapping[str, Any]) -> PageRequest:
    params = changes.get("params", {})
    if "url" in changes:
        hidden = {name: first.params[name] for name in changes.get("hidden", ())}
        request = replace(first, url=urljoin(first.url, changes["url"]), params={**params, **hidden})
    else:
        request = replace(first, params={**first.params, **params})
    return replace(request, json=_merged(first.json, changes["json"])) if "json" in changes else request


def _merged(before: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    known: Mapping[str, Any] = before if isinstance(before, Mapping) else {}
    merged = dict(known)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(known.get(key), Mapping)
        merged[key] = _merged(known[key], value) if both else value
    return merged


def _relative(start: str, url: str) -> str:
    """Return *url* without scheme and host where they are those of *start*."""
    here, there = urlsplit(start), urlsplit(url)
    same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
    return there._replace(scheme="", netloc="").geturl() if same else url
