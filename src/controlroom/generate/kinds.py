"""Types of Python for schemas, as values; and the models and aliases that they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from controlroom.generate.literals import literal

__all__ = [
    "ANY",
    "FREE_FORM",
    "NONE",
    "Alias",
    "Definition",
    "Field",
    "Kind",
    "ListOf",
    "MapOf",
    "Model",
    "Named",
    "Plain",
    "Union",
    "Values",
    "either",
    "flat",
    "names_in",
]


@dataclass(frozen=True, slots=True)
class Plain:
    """A type that needs no definition: "str", "dt.datetime", "None"."""

    text: str


@dataclass(frozen=True, slots=True)
class Named:
    """A model or an alias of the module."""

    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one kind."""

    item: Kind


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object whose keys are data."""

    value: Kind


@dataclass(frozen=True, slots=True)
class Values:
    """One of some values."""

    values: tuple[str | int | bool, ...]


@dataclass(frozen=True, slots=True)
class Union:
    """One of some kinds."""

    members: tuple[Kind, ...]


Kind: TypeAlias = Plain | Named | ListOf | MapOf | Values | Union

ANY = Plain("Any")
NONE = Plain("None")
FREE_FORM = MapOf(ANY)


@dataclass(frozen=True, slots=True)
class Field:
    """A property of a model."""

    json_name: str
    kind: Kind
    is_required: bool
    told: str


@dataclass(frozen=True, slots=True)
class Model:
    """A class. *root*: it wraps a value that is no object."""

    name: str
    told: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    keeps_more: bool = False
    root: Kind | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What its fields are."""
        return (self.root,) if self.root is not None else tuple(field.kind for field in self.fields)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a kind."""

    name: str
    kind: Kind


Definition: TypeAlias = Model | Alias


def either(*kinds: Kind) -> Kind:
    """Return the union of *kinds*: each once, None last; anything makes the rest meaningless."""
    members: dict[Kind, None] = {}
    for kind in kinds:
        members |= dict.fromkeys(kind.members if isinstance(kind, Union) else (kind,))
    if ANY in members:
        return ANY
    ordered = [kind for kind in members if kind != NONE] + [kind for kind in members if kind == NONE]
    return ordered[0] if len(ordered) == 1 else Union(tuple(ordered)) if ordered else ANY


def flat(kind: Kind) -> str:
    """Return *kind* as an annotation, on one line."""
    match kind:
        case Plain(text) | Named(text):
            return text
        case ListOf(item):
            return f"list[{flat(item)}]"
        case MapOf(value):
            return f"dict[str, {flat(value)}]"
        case Values(values):
            return f"Literal[{', '.join(map(literal, values))}]"
        case Union(members):
            return " | ".join(map(flat, members))


def names_in(kind: Kind) -> set[str]:
    """Return the models and aliases that *kind* names."""
    match kind:
        case Named(name):
            return {name}
        case ListOf(inner) | MapOf(inner):
            return names_in(inner)
        case Union(members):
            return set[str]().union(*map(names_in, members))
        case Plain() | Values():
            return set()
