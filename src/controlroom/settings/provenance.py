"""Where each value came from, remembered with the settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from controlroom.settings.layers import Layer, get_in
from controlroom.settings.schema import Setting, leaves

if TYPE_CHECKING:
    from controlroom.settings.cloud.references import Secret

__all__ = ["Origin", "Provenance", "origins_of"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one setting's value stands.

    Attributes:
        path: Attribute names, from the settings object down.
        source: "environment", ".env:3", "app.toml:7", "default" …
        key: The exact key there; empty for a default.
        shadowed: The places that also set it, and lost, highest first.
        hidden: Its value is never shown.
    """

    path: tuple[str, ...]
    source: str
    key: str
    shadowed: tuple[str, ...]
    hidden: bool


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """Where the values of one settings object came from."""

    origins: tuple[Origin, ...]
    near_misses: tuple[str, ...]
    secrets: tuple[Secret, ...] = ()  # what was fetched for them from the cloud

    def replaced(self, names: Iterable[str]) -> Provenance:
        """Return this for a copy in which the code replaced the fields *names*."""
        new = set(names)
        origins = [
            replace(origin, source="model_copy", key="", shadowed=()) if origin.path[0] in new else origin
            for origin in self.origins
        ]
        return replace(self, origins=tuple(origins))

    def __eq__(self, other: object) -> bool:
        """Where a value came from is no part of what it is: it never makes two settings objects differ."""
        return other is None or isinstance(other, Provenance)

    def __hash__(self) -> int:
        return hash(Provenance)


def origins_of(settings: Iterable[Setting], layers: Sequence[Layer]) -> Iterator[Origin]:
    """Yield where each of *settings* got its value; *layers* are highest first."""
    for leaf in leaves(settings):
        holding = [layer for layer in layers if layer.holds(leaf)]
        places = [layer.locate(leaf) for layer in holding]
        if len(places) > 1 and all(isinstance(get_in(layer.values, leaf.keys), Mapping) for layer in holding):
            # A dict is filled from every layer, key by key: none of them is shadowed as a whole.
            source, key = (
                " + ".join(texts) for texts in zip(*((place.source, place.key) for place in places), strict=True)
            )
            yield Origin(leaf.path, source, key, (), leaf.hidden)
        elif places:
            yield Origin(leaf.path, places[0].source, places[0].key, tuple(map(str, places[1:])), leaf.hidden)
        else:
            yield Origin(leaf.path, "default", "", (), leaf.hidden)
