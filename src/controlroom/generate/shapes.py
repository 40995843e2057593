"""Schemas as they are meant: references followed, allOf merged, null put aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlroom.errors import DataError
from controlroom.generate.document import Document, listed, mapping, texts

__all__ = ["Shape", "Shapes"]

_CHOICES = ("oneOf", "anyOf")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a schema says.

    Attributes:
        schema: Without ``$ref`` and ``allOf``; ``type`` never includes null.
        pointer: The component that this is, if it is one; where it is something else that merely contains one, None.
        nullable: Whether null fits, too.
    """

    schema: Mapping[str, Any]
    pointer: str | None = None
    nullable: bool = False

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties, by JSON name."""
        return mapping(self.schema.get("properties"))

    @property
    def required(self) -> frozenset[str]:
        """The JSON names that are always there."""
        return frozenset(texts(self.schema.get("required")))

    @property
    def types(self) -> list[str]:
        """The types that fit; empty where the schema names none."""
        stated = self.schema.get("type")
        return [stated] if isinstance(stated, str) else texts(stated)

    @property
    def is_object(self) -> bool:
        """Whether it is an object with properties."""
        return bool(self.properties) and self.types in ([], ["object"])

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return self.types == ["array"] or (not self.types and "items" in self.schema)

    @property
    def choices(self) -> list[Any]:
        """The schemas of which one fits."""
        return [one for key in _CHOICES for one in listed(self.schema.get(key))]


class Shapes:
    """The shapes of a document's schemas; those of components are kept."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._known: dict[str, Shape] = {}
        self._open: list[str] = []

    def of(self, schema: object) -> Shape:
        """Return the shape of *schema*.

        Raises:
            DataError: It is built of itself, or a reference leads nowhere.
        """
        found, pointer = self._document.followed(schema)
        if pointer is None:
            return self._of_plain(found)
        if pointer not in self._known:
            self._enter(pointer)
            inner = self._of_plain(found)
            self._open.pop()
            self._known[pointer] = Shape(inner.schema, inner.pointer or pointer, inner.nullable)
        return self._known[pointer]

    def _enter(self, pointer: str) -> None:
        if pointer in self._open:
            message = f"The schema {pointer[:200]!r} is a part of itself (allOf, oneOf or anyOf). Correct the document."
            raise DataError(message)
        self._open.append(pointer)

    def _of_plain(self, schema: Mapping[str, Any]) -> Shape:
        schema, nullable = _without_null(schema)
        parts = [mapping(part) for part in listed(schema.get("allOf"))]
        if len(parts) == 1 and not schema.keys() & {"properties", "additionalProperties", "items", "enum", *_CHOICES}:
            return self._as_nullable(self.of(parts[0]), nullable)
        if parts:
            schema = self._merged(schema, parts)
        choices = [(key, listed(schema.get(key))) for key in _CHOICES if schema.get(key)]
        if len(choices) == 1 and len(choices[0][1]) == 1 and not mapping(schema.get("properties")):
            return self._as_nullable(self.of(choices[0][1][0]), nullable)
        return Shape(schema, None, nullable)

    def _as_nullable(self, inner: Shape, nullable: bool) -> Shape:  # noqa: FBT001 - a fact about the other argument
        return Shape(inner.schema, inner.pointer, inner.nullable or nullable)

    def _merged(self, own: Mapping[str, Any], parts: list[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the schema that *own* and all of *parts* make together; the later one wins."""
        own = {key: value for key, value in own.items() if key != "allOf"}
        properties: dict[str, Any] = {}
        required: dict[str, None] = {}
        merged: dict[str, Any] = {}
        for part in [*(self.of(part).schema for part in parts), own]:
            properties |= mapping(part.get("properties"))
            required |= dict.fromkeys(texts(part.get("required")))
            merged |= {key: value for key, value in part.items() if key not in {"description", "title"}}
        told = {key: value for key, value in own.items() if key in {"description", "title"}}
        stated = {"properties": properties} if properties else {}
        return {**merged, **told, **stated, "required": list(required)}


def _without_null(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return *schema* without what says that null fits, and whether it does: OpenAPI 3.0 and 3.1 say it differently."""
    rest = dict(schema)
    nullable = rest.pop("nullable", False) is True
    if isinstance(stated := rest.get("type"), list) and "null" in stated:
        others = [one for one in stated if one != "null"]
        rest["type"], nullable = (others[0] if len(others) == 1 else others), True
    for key in _CHOICES:
        if isinstance(choices := rest.get(key), list):
            rest[key] = [choice for choice in choices if not _is_null(choice)]
            nullable |= len(rest[key]) < len(choices)
    if isinstance(values := rest.get("enum"), list) and None in values and len(values) > 1:
        rest["enum"], nullable = [value for value in values if value is not None], True
    return rest, nullable


def _is_null(schema: object) -> bool:
    stated = mapping(schema)
    return stated.get("type") == "null" or stated.get("enum") == [None] or stated.get("const", ...) is None
