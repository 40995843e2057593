"""Lists as declared endpoints: their names, their paths, and the comments that say where all of it comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controlroom.generate.document import listed, mapping
from controlroom.generate.kinds import Kind, flat
from controlroom.generate.layout import Expression, call, laid_out
from controlroom.generate.literals import quoted
from controlroom.generate.names import Names, attribute, is_identifier, words
from controlroom.generate.operations import Listing
from controlroom.generate.paging import Paging
from controlroom.generate.prose import comment, sentence, shortened

__all__ = ["Declared", "record_name", "source_of_endpoint", "wanted_name"]

_VERBS: Final = frozenset({"get", "list", "fetch", "read", "retrieve"})
_OWN_ARGUMENTS: Final = ("self", "endpoint", "params", "resume", "prefetch")  # of methods that take a path's, too
_ORDER: Final = ("params", "records", "pagination", "model", "total")
_PLACE: Final = re.compile(r"\{([^{}/]*)\}")
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Declared:
    """An endpoint as it will be declared.

    Attributes:
        name: Of the attribute.
        kind: Of a record.
        model: The class of a record; None where it is plain JSON.
    """

    name: str
    listing: Listing
    paging: Paging
    kind: Kind
    model: str | None


def wanted_name(listing: Listing) -> str:
    """Return what to call the endpoint: after the operation's id, without "get" or "list"; else after its path."""
    stated = listing.operation.get("operationId")
    found = words(_without_path(stated, listing.path)) if isinstance(stated, str) else []
    while found and found[0] in _VERBS:
        found = found[1:]
    fixed = [part for part in listing.path.split("/") if "{" not in part and words(part)]
    return attribute("_".join(found) or "_".join(words(fixed[-1] if fixed else "")), "records")


def _without_path(operation_id: str, path: str) -> str:
    """Return an operation's id without path and method, which FastAPI puts behind the function's name."""
    return operation_id.removesuffix(f"{re.sub(r'[^A-Za-z0-9_]', '_', path)}_get")


def record_name(listing: Listing) -> str:
    """Return what to call a record without a name of its own: the singular of the list's, as far as English is regular."""
    name = wanted_name(listing)
    for plural, singular in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if name.endswith(plural) and not name.endswith(("ss", "us", "is")):
            return name.removesuffix(plural) + singular
    return name


def source_of_endpoint(declared: Declared) -> str:
    """Return the endpoint as an attribute of a client's class, below its comments."""
    path, renamed = _path_for_keywords(declared.listing.path)
    lines = comment([*_told(declared.listing), *renamed, *declared.paging.because], 4)
    arguments: dict[str, Expression] = dict(declared.paging.arguments)
    if declared.listing.place:
        arguments["records"] = quoted(".".join(declared.listing.place))
    if declared.paging.style is not None:
        arguments["pagination"] = declared.paging.style
    if declared.model is not None:
        arguments["model"] = declared.model
    kind = "" if declared.model is not None else f"[{flat(declared.kind)}]"
    ordered = {name: arguments[name] for name in _ORDER if name in arguments}
    source = laid_out(f"    {declared.name} = ", call(f"Endpoint{kind}", quoted(path), **ordered), indent=4)
    return "\n".join([*lines, source])


def _path_for_keywords(path: str) -> tuple[str, list[str]]:
    """Return *path* with places that can be filled by keyword, and what was renamed for it."""
    names = Names(_OWN_ARGUMENTS)
    places: dict[str, str] = {}
    for original in _PLACE.findall(path):
        if original not in places:
            plain = original if is_identifier(original) else attribute(original, "value")
            places[original] = names.claim(plain)
    changed = [f"{new} stands for {shortened(old, 80)}" for old, new in places.items() if old != new]
    filled = _PLACE.sub(lambda place: f"{{{places[place[1]]}}}", path)
    return filled, [f"In the path, {'; '.join(changed)}."] if changed else []


def _told(listing: Listing) -> Sequence[str]:
    """Return what the document says of the list, and how it can be filtered."""
    summary = next(filter(None, map(sentence, _descriptions(listing.operation))), "")
    deprecated = " Deprecated." if listing.operation.get("deprecated") is True else ""
    needed = [one.name for one in listing.query.values() if one.is_required]
    optional = [one.name for one in listing.query.values() if not one.is_required]
    told = [f"{summary.rstrip('.')}." if summary else "", f"GET {shortened(listing.path, 100)}.{deprecated}"]
    if needed:
        told.append(f"Needs params: {_listed(needed)}.")
    if optional:
        told.append(f"Takes params: {_listed(optional)}.")
    if listing.needed_headers:
        told.append(f"Needs headers, which the client is given: {_listed(listing.needed_headers)}.")
    if urls := [str(mapping(server).get("url", "")) for server in listed(listing.operation.get("servers"))]:
        told.append(f"The document has it elsewhere: {_listed(urls)}.")
    if listing.others:
        told.append(f"Other lists in the answer, which are not read: {_listed(listing.others)}.")
    return [text for text in told if text]


def _descriptions(operation: Mapping[str, Any]) -> list[object]:
    """Return what describes *operation*; a summary that only repeats its name (FastAPI makes those up) comes last."""
    summary, told = operation.get("summary"), operation.get("description")
    name, said = words(str(operation.get("operationId"))), words(str(summary))
    return [told] if name[: len(said)] == said else [summary, told]


def _listed(names: Sequence[str]) -> str:
    shown = [shortened(name, 60) for name in names[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
