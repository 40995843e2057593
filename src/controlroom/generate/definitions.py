"""Models and aliases as source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from controlroom.generate.kinds import (
    NONE,
    Alias,
    Definition,
    Field,
    Kind,
    ListOf,
    MapOf,
    Model,
    Named,
    Union,
    Values,
    either,
    flat,
)
from controlroom.generate.layout import Bracketed, Expression, call, laid_out
from controlroom.generate.literals import literal, quoted, width_at_most
from controlroom.generate.names import BUILT_IN, OF_A_MODEL, Names, field_name
from controlroom.generate.prose import comment, docstring
from controlroom.generate.schemas import Schemas

__all__ = ["fitted", "source_of"]

_LONGEST_TYPE = 60  # with a name of 40 signs before it, and "= None" behind


def fitted(schemas: Schemas) -> dict[str, Definition]:
    """Return the definitions of *schemas*, with names for all types that are too long to stand in a line."""
    for name in list(schemas.definitions):
        definition = schemas.definitions[name]
        if isinstance(definition, Alias):
            schemas.definitions[name] = replace(definition, kind=_parts_fitted(schemas, definition.kind, name))
        elif definition.root is not None:
            schemas.definitions[name] = replace(definition, root=_fitted(schemas, definition.root, f"{name}Value"))
        else:
            fields = tuple(
                replace(one, kind=_fitted(schemas, one.kind, f"{name}_{one.json_name}")) for one in definition.fields
            )
            schemas.definitions[name] = replace(definition, fields=fields)
    return schemas.definitions


def _fitted(schemas: Schemas, kind: Kind, wanted: str) -> Kind:
    """Return *kind*, or a name for it where it is long; None stays outside of it."""
    if width_at_most(flat(kind)) <= _LONGEST_TYPE:
        return kind
    members = kind.members if isinstance(kind, Union) else (kind,)
    inner = either(*(member for member in members if member != NONE))
    named = inner if isinstance(inner, Named) else schemas.alias(_parts_fitted(schemas, inner, wanted), wanted)
    return either(named, NONE) if NONE in members else named


def _parts_fitted(schemas: Schemas, kind: Kind, wanted: str) -> Kind:
    match kind:
        case ListOf(item):
            return ListOf(_fitted(schemas, item, f"{wanted}Item"))
        case MapOf(value):
            return MapOf(_fitted(schemas, value, f"{wanted}Value"))
        case Union(members):
            return Union(tuple(_fitted(schemas, member, f"{wanted}{n}") for n, member in enumerate(members, 1)))
        case _:
            return kind


def source_of(definition: Definition, taken: Mapping[str, object]) -> str:
    """Return *definition* as source; its fields hide none of *taken*."""
    if isinstance(definition, Alias):
        return laid_out(f"{definition.name} = ", _alias(definition.kind), indent=0)
    if definition.root is not None:
        return f"class {definition.name}(RootModel[{flat(definition.root)}]):\n    pass"
    return "\n".join([f"class {definition.name}(BaseModel):", *(_body(definition, taken) or ["    pass"])])


def _alias(kind: Kind) -> Expression:
    """Return *kind* as an expression: one that can be broken, where it is long."""
    match kind:
        case Values(values):
            return Bracketed("Literal[", tuple(("", literal(value)) for value in values), "]")
        case Union(members) if width_at_most(flat(kind)) > _LONGEST_TYPE:
            return Bracketed("Union[", tuple(("", flat(member)) for member in members), "]")
        case _:
            return flat(kind)


def _body(model: Model, taken: Mapping[str, object]) -> list[str]:
    names = Names(OF_A_MODEL | BUILT_IN | taken.keys())
    fields = [(names.claim(field_name(field.json_name)), field) for field in model.fields]
    settings: dict[str, Expression] = {"extra": quoted("allow")} if model.keeps_more else {}
    if any(name.startswith("model_") for name, _ in fields):
        settings["protected_namespaces"] = "()"
    lines = docstring(model.told, 4) if model.told else []
    blocks = [lines] if lines else []
    if settings:
        blocks.append([laid_out("    model_config = ", call("ConfigDict", **settings), indent=4)])
    if fields:
        blocks.append([line for name, field in fields for line in _field(name, field)])
    return [line for block in blocks for line in ["", *block]][1:]


def _field(name: str, field: Field) -> list[str]:
    settings: dict[str, Expression] = {} if field.is_required else {"default": "None"}
    if name != field.json_name:
        settings["alias"] = quoted(field.json_name)
    head = f"    {name}: {flat(field.kind)}"
    lines: Sequence[str] = comment([field.told], 4) if field.told else []
    if settings.keys() <= {"default"}:
        return [*lines, head if field.is_required else f"{head} = None"]
    return [*lines, laid_out(f"{head} = ", call("Field", **settings), indent=4)]
