"""The place of the cloud among the layers: what the loader knows of it before there is a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controlroom.errors import ControlRoomError
from controlroom.settings.cloud.standing import Keys, in_defaults, standing_in, without_references
from controlroom.settings.layers import Layer
from controlroom.settings.schema import Declared

if TYPE_CHECKING:
    from controlroom.policy.flow import Flow
    from controlroom.settings.cloud.references import Secret
    from controlroom.settings.cloud.resolving import Wanted

__all__ = ["Resolution", "in_cloud", "plain_layers"]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of the references in some layers.

    Attributes:
        layers: The layers, highest first, with values in the place of references; the last one is made of defaults.
        problems: A line for everything that a person has to correct.
        outages: A line for everything that can pass by itself.
        outage: The first error of those.
        secrets: What was fetched.
    """

    layers: tuple[Layer, ...] = field(repr=False)
    problems: tuple[str, ...] = ()
    outages: tuple[str, ...] = ()
    outage: ControlRoomError | None = None
    secrets: tuple[Secret, ...] = ()
    failed: tuple[Keys, ...] = ()

    def explains(self, loc: tuple[int | str, ...]) -> bool:
        """Tell whether what validation found at *loc* follows from a reference that has no value."""
        return any(all(one == other for one, other in zip(loc, keys, strict=False)) for keys in self.failed)

    def outage_told(self) -> ControlRoomError:
        """Return the error to raise where nothing else is wrong."""
        assert self.outage is not None  # noqa: S101 - asked for only then
        for line in self.outages:
            self.outage.add_note(line)
        return self.outage


def plain_layers(layers: Sequence[Layer]) -> list[Layer]:
    """Return *layers* without references, which are no secrets."""
    return [replace(layer, values=without_references(layer.values)) for layer in layers]


def in_cloud(declared: Declared, layers: Sequence[Layer]) -> Flow[Wanted, Resolution]:
    """Fetch what the references in *layers* and in defaults stand for; without any, ask for nothing."""
    if next(standing_in(declared, layers), None) is None and not in_defaults(declared, layers):
        return Resolution(tuple(layers))
    from controlroom.settings.cloud.resolving import resolving  # noqa: PLC0415 - what only references need

    return (yield from resolving(declared, layers))
