"""The GETs of a document that answer with a list of records, and where in the answer those stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controlroom.errors import DataError
from controlroom.generate.document import Document, listed, mapping
from controlroom.generate.names import words
from controlroom.generate.shapes import Shape, Shapes

__all__ = ["Listing", "Parameter", "Search", "listings"]

_RECORDS: Final = (
    *("data", "items", "results", "records", "value", "rows", "entries", "elements", "objects", "content", "list"),
    *("values", "resources", "hits", "members", "collection"),
)
_PAGING: Final = frozenset(
    {
        *("total", "count", "size", "limit", "offset", "page", "pages", "per", "next", "previous", "prev", "first"),
        *("last", "cursor", "token", "meta", "metadata", "links", "link", "paging", "pagination", "has", "more"),
        *("start", "end", "object", "url", "current", "max", "skip", "top", "info", "kind", "etag", "context", "odata"),
        *("self", "href", "uri", "errors", "error", "warnings", "success", "message", "request"),
        *("took", "timestamp"),
    }
)
_ENVELOPES: Final = (["embedded"], ["response"], ["result"])
_SHORTEST_NAME: Final = 3


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or of the header.

    Attributes:
        name: As it is sent.
        shape: Of its schema.
    """

    name: str
    shape: Shape
    is_required: bool
    is_deprecated: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A GET that answers with a list.

    Attributes:
        path: As the document writes it.
        operation: As the document has it.
        query: Its query parameters, by name.
        headers: Names and descriptions of the answer's documented header fields.
        body: The shape of the answer.
        place: Where the records stand in it: keys, none where it is the list itself.
        item: The schema of a record.
        needed_headers: Header fields that a request has to have.
        others: Other lists in the answer, which were not chosen.
    """

    path: str
    operation: Mapping[str, Any]
    query: Mapping[str, Parameter]
    headers: Mapping[str, str]
    body: Shape
    place: tuple[str, ...]
    item: Any
    needed_headers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(slots=True)
class Search:
    """What became of the document's GETs.

    Attributes:
        unclear: Those that hold several lists, none of which is named like records.
        others: How many operations are no lists.
    """

    found: list[Listing]
    unclear: list[str]
    others: int


def listings(document: Document, shapes: Shapes) -> Search:
    """Return every GET of *document* that answers with a list.

    Raises:
        DataError: A path is none, or a reference leads nowhere.
    """
    search = Search([], [], 0)
    for path, item in mapping(document.tree["paths"]).items():
        if path.startswith("x-"):
            continue
        if not path.startswith("/"):
            message = f"The path {path[:200]!r} does not begin with a slash, as OpenAPI wants it. Correct the document."
            raise DataError(message)
        operations = document.followed(item)[0]
        search.others += sum(1 for method in ("post", "put", "patch", "delete") if method in operations)
        if "get" in operations:
            _judge(search, document, shapes, path, operations)
    return search


def _judge(search: Search, document: Document, shapes: Shapes, path: str, item: Mapping[str, Any]) -> None:
    operation = {**{key: item[key] for key in item.keys() & {"servers"}}, **document.followed(item["get"])[0]}
    answer = _answer(document, operation)
    schema = _json_schema(answer)
    lists = [] if schema is None else list(_lists(shapes, shapes.of(schema), ()))
    chosen = _chosen(lists, path)
    if schema is None or chosen is None:
        search.others += 1
        if len(lists) > 1 and not path.endswith("}") and all(_is_of_paging(name) for name in _beside(lists)):
            search.unclear.append(path)
        return
    place, found, _siblings = chosen
    search.found.append(
        Listing(
            path,
            operation,
            {one.name: one for one in _parameters(document, shapes, item, operation, "query")},
            {
                name: str(document.followed(header)[0].get("description", ""))
                for name, header in mapping(answer.get("headers")).items()
            },
            shapes.of(schema),
            place,
            found.schema.get("items"),
            tuple(one.name for one in _parameters(document, shapes, item, operation, "header") if one.is_required),
            tuple(".".join(other) for other, _, _ in lists if other != place),
        )
    )


def _answer(document: Document, operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the answer that tells of success."""
    answers = mapping(operation.get("responses"))
    good = sorted(status for status in answers if re.fullmatch("2[0-9][0-9]|2XX", status))
    chosen = "200" if "200" in good else next(iter(good), None)
    return mapping(None) if chosen is None else document.followed(answers[chosen])[0]


def _json_schema(answer: Mapping[str, Any]) -> Any:
    for kind, media in mapping(answer.get("content")).items():
        name = kind.partition(";")[0].strip().lower()
        if name in {"application/json", "*/*", "text/json"} or name.endswith("+json"):
            return mapping(media).get("schema")
    return None


def _parameters(
    document: Document, shapes: Shapes, item: Mapping[str, Any], operation: Mapping[str, Any], place: str
) -> Iterator[Parameter]:
    stated = [one for level in (item, operation) for one in listed(level.get("parameters"))]
    for one in (document.followed(one)[0] for one in stated):
        if one.get("in") == place and isinstance(name := one.get("name"), str):
            schema = one.get("schema", _json_schema(one))
            yield Parameter(name, shapes.of(schema), one.get("required") is True, one.get("deprecated") is True)


_Found = tuple[tuple[str, ...], Shape, tuple[str, ...]]


def _lists(shapes: Shapes, shape: Shape, place: tuple[str, ...]) -> Iterator[_Found]:
    """Yield the lists in a body: it, or one in it, or one a level deeper."""
    if shape.is_list:
        yield place, shape, ()
        return
    for name, schema in shape.properties.items():
        inner = shapes.of(schema)
        if inner.is_list:
            yield (*place, name), inner, tuple(other for other in shape.properties if other != name)
        elif inner.is_object and not place and (words(name) in _ENVELOPES or name.lower() in _RECORDS):
            yield from _lists(shapes, inner, (name,))


def _beside(lists: list[_Found]) -> set[str]:
    return {name for _, _, siblings in lists for name in siblings} - {place[-1] for place, _, _ in lists}


def _chosen(lists: list[_Found], path: str) -> _Found | None:
    """Return the list that holds the records; None where the answer is one record, or nothing tells."""
    if path.endswith("}"):  # the address of one thing, which may well have a list of its own
        lists = [one for one in lists if all(_is_of_paging(name) for name in one[2])]
    likely = [one for one in lists if not one[0] or _is_named_like_records(one[0][-1], path)]
    if len(likely) == 1:
        return likely[0]
    if len(lists) == 1 and not likely and all(_is_of_paging(name) for name in lists[0][2]):
        return lists[0]
    return None


def _is_named_like_records(name: str, path: str) -> bool:
    if name.lower() in _RECORDS:
        return True
    segment = path.rstrip("/").rsplit("/", 1)[-1].removesuffix(".json")
    here, there = "".join(words(name)), "".join(words(segment))
    if "{" in segment or min(len(here), len(there)) < _SHORTEST_NAME:
        return False
    return here.endswith(there) or there.endswith(here)


def _is_of_paging(name: str) -> bool:
    return not _PAGING.isdisjoint(words(name))
