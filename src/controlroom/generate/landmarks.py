"""What an answer says beside its records: totals, cursors, links, each with its path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from controlroom.generate.document import listed
from controlroom.generate.names import words
from controlroom.generate.operations import Listing
from controlroom.generate.shapes import Shape, Shapes

__all__ = ["Landmark", "landmarks", "whole_number"]

_DEEPEST: Final = 3
_MOST: Final = 500
_COUNTS: Final = (["integer"], ["number"], ["integer", "number"])
_URL_FORMATS: Final = frozenset({"uri", "url", "uri-reference", "iri", "iri-reference", "hyperlink"})
_URL_WORDS: Final = re.compile(r"(?i)\b(urls?|uris?|links?|hyperlinks?)\b")


@dataclass(frozen=True, slots=True)
class Landmark:
    """A scalar in an answer, outside of its records.

    Attributes:
        keys: Where it stands.
        shape: Of its schema.
        is_stated: Whether the document promises it on every page.
    """

    keys: tuple[str, ...]
    shape: Shape
    is_stated: bool

    @property
    def path(self) -> str:
        """Where it stands, as the client writes it."""
        return ".".join(self.keys)

    @property
    def name(self) -> str:
        """The last key, in snake_case."""
        return "_".join(words(self.keys[-1]))

    @property
    def owner(self) -> str:
        """The key before, in snake_case; "" at the top."""
        return "_".join(words(self.keys[-2])) if len(self.keys) > 1 else ""

    @property
    def is_count(self) -> bool:
        """Whether it is a number."""
        is_long_text = self.shape.types == ["string"] and self.shape.schema.get("format") == "int64"  # proto3's JSON
        return self.shape.types in _COUNTS or is_long_text

    @property
    def is_text(self) -> bool:
        """Whether it is a text, or may be."""
        return self.shape.types in ([], ["string"]) and not self.shape.properties

    @property
    def is_url(self) -> bool:
        """Whether the document says that it is a URL: by format, example or description."""
        schema = self.shape.schema
        if schema.get("format") in _URL_FORMATS:
            return True
        shown = [schema.get("example"), *listed(schema.get("examples"))[:3]]
        if any(isinstance(one, str) and one.startswith(("http://", "https://", "/", "?")) for one in shown):
            return True
        return bool(_URL_WORDS.search(f"{schema.get('description', '')}"))


def landmarks(listing: Listing, shapes: Shapes) -> list[Landmark]:
    """Return what stands in the answer beside the records."""
    return list(islice(_scalars(shapes, listing.body, (), is_stated=True), _MOST))


def _scalars(shapes: Shapes, shape: Shape, keys: tuple[str, ...], *, is_stated: bool) -> Iterator[Landmark]:
    required = shape.required
    for name, schema in islice(shape.properties.items(), _MOST):
        inner = shapes.of(schema)
        stated = is_stated and name in required
        if inner.is_object and len(keys) + 1 < _DEEPEST:
            yield from _scalars(shapes, inner, (*keys, name), is_stated=stated and not inner.nullable)
        elif not inner.is_list and not inner.is_object:
            yield Landmark((*keys, name), _only_scalar(shapes, inner), stated)


def _only_scalar(shapes: Shapes, shape: Shape) -> Shape:
    """Return the only one of a shape's choices that is no object (JSON:API: a link is a text or an object)."""
    plain = [inner for inner in map(shapes.of, shape.choices) if not inner.is_object]
    return plain[0] if len(plain) == 1 else shape


def whole_number(shape: Shape, keys: Iterable[str]) -> int | None:
    """Return the first whole number that *shape* states under one of *keys*."""
    stated: Mapping[str, object] = shape.schema
    for key in keys:
        value = stated.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
            return int(value)
    return None
