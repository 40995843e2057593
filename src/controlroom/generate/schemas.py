"""From schemas to types: objects become models, named choices and lists become aliases, the rest stands where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controlroom.generate.document import keys_of, mapping
from controlroom.generate.kinds import (
    ANY,
    FREE_FORM,
    NONE,
    Alias,
    Definition,
    Field,
    Kind,
    ListOf,
    MapOf,
    Model,
    Named,
    Plain,
    Values,
    either,
)
from controlroom.generate.names import Names, class_name
from controlroom.generate.prose import paragraphs, sentence
from controlroom.generate.shapes import Shape, Shapes

__all__ = ["Schemas"]

_SCALARS: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_FORMATS: Final = {
    "date-time": "dt.datetime",
    "date": "dt.date",
    "time": "dt.time",
    "duration": "dt.timedelta",
    "uuid": "UUID",
}


class Schemas:
    """Types for schemas, and the definitions that they need.

    Args:
        shapes: Of the document.
        names: Of the module; definitions get theirs here.
    """

    def __init__(self, shapes: Shapes, names: Names) -> None:
        self._shapes = shapes
        self._names = names
        self._of_components: dict[str, Kind] = {}
        self.definitions: dict[str, Definition] = {}

    def kind(self, schema: object, wanted: str) -> Kind:
        """Return the type of what fits *schema*; *wanted* is what to call it, if it needs a name and has none.

        Raises:
            DataError: A reference leads nowhere, or a schema is a part of itself.
        """
        shape = self._shapes.of(schema)
        inner = self._inline(shape, wanted) if shape.pointer is None else self._component(shape, shape.pointer)
        return either(inner, NONE) if shape.nullable else inner

    def model(self, kind: Kind, wanted: str) -> Named | Plain | None:
        """Return a class for *kind*, as an endpoint needs one for its records; None where plain JSON says as much."""
        if kind in (ANY, FREE_FORM):
            return None
        if isinstance(kind, Plain) or (isinstance(kind, Named) and isinstance(self.definitions[kind.name], Model)):
            return kind
        return self._defined(Model(self._names.claim(class_name(wanted, "Record")), root=kind))

    def alias(self, kind: Kind, wanted: str) -> Named:
        """Return a name for *kind*."""
        return self._defined(Alias(self._names.claim(class_name(wanted, "Kind")), kind))

    def _defined(self, definition: Definition) -> Named:
        self.definitions[definition.name] = definition
        return Named(definition.name)

    def _component(self, shape: Shape, pointer: str) -> Kind:
        if pointer in self._of_components:
            return self._of_components[pointer]
        name = class_name([pointer, *keys_of(pointer)][-1], "Schema")
        self._of_components[pointer] = ANY  # of itself, and no object: Python has no such type
        if shape.is_object:
            name = self._names.claim(name)
            self._of_components[pointer] = Named(name)
            return self._object(shape, name)
        kind = self._inline(shape, name)
        if not isinstance(kind, Plain | Named) and kind != FREE_FORM:
            kind = self.alias(kind, name)
        self._of_components[pointer] = kind
        return kind

    def _inline(self, shape: Shape, wanted: str) -> Kind:
        if (values := _values(shape.schema)) is not None:
            return values
        if shape.is_object:
            return self._object(shape, self._names.claim(class_name(wanted, "Schema")))
        if shape.choices:
            return either(*(self.kind(choice, f"{wanted}{n}") for n, choice in enumerate(shape.choices, 1)))
        if len(shape.types) > 1:
            return either(*(self._inline(_of_type(shape, one), wanted) for one in shape.types))
        if shape.is_list:
            return ListOf(self.kind(shape.schema.get("items"), f"{wanted}Item"))
        return self._map_or_scalar(shape, wanted)

    def _map_or_scalar(self, shape: Shape, wanted: str) -> Kind:
        stated = shape.types[0] if shape.types else ""
        if stated == "object" or (not stated and "additionalProperties" in shape.schema):
            values = shape.schema.get("additionalProperties")
            return MapOf(self.kind(values, f"{wanted}Value")) if mapping(values) else FREE_FORM
        if stated == "string" and (known := _FORMATS.get(str(shape.schema.get("format")))):
            return Plain(known)
        return Plain(_SCALARS.get(stated, "Any"))

    def _object(self, shape: Shape, name: str) -> Named:
        self.definitions[name] = Model(name)  # its place, before those that it needs
        more = shape.schema.get("additionalProperties")
        model = Model(
            name,
            told=tuple(paragraphs(shape.schema.get("description"))),
            fields=tuple(self._fields(shape, name)),
            keeps_more=more is True or bool(mapping(more)) or bool(shape.choices),
        )
        return self._defined(model)

    def _fields(self, shape: Shape, owner: str) -> list[Field]:
        fields, required = [], shape.required
        for json_name, schema in shape.properties.items():
            stated = mapping(schema)
            if stated.get("writeOnly") is True:  # never in an answer
                continue
            kind = self.kind(schema, f"{owner}{class_name(json_name, 'Field')}")
            is_required = json_name in required
            told = sentence(stated.get("description"))
            fields.append(Field(json_name, kind if is_required else either(kind, NONE), is_required, told))
        return fields


def _of_type(shape: Shape, stated: str) -> Shape:
    return Shape({**shape.schema, "type": stated})


def _values(schema: Mapping[str, Any]) -> Kind | None:
    """Return the values of an enum that Python's Literal can hold; None where there is none, or one that it cannot."""
    stated = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(stated, list) or not stated:
        return None
    if not all(isinstance(value, str | int) or value is None for value in stated):
        return None
    unique = {(type(value), value): value for value in stated if value is not None}
    kinds: list[Kind] = [Values(tuple(unique.values()))] if unique else []
    return either(*kinds, NONE) if None in stated else kinds[0]
