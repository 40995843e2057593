"""Names that look like a setting that was not set: the typo that would otherwise be a default, silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from controlroom.settings.layers import Layer, Place
from controlroom.settings.schema import Setting, leaves

__all__ = ["closest_name", "near_misses"]

_ALIKE = 0.65  # RETIRES/RETRIES 0.86, URI/URL 0.67, HOST/PORT 0.5
_ALIKE_WITHOUT_PREFIX = 0.8  # any program's variables are candidates then


def near_misses(settings: tuple[Setting, ...], layers: Sequence[Layer], prefix: str) -> Iterator[str]:
    """Yield "APP_RETIRES is set; did you mean APP_RETRIES?" for each name that sets nothing and almost does."""
    unset = [leaf for leaf in leaves(settings) if not any(layer.holds(leaf) for layer in layers)]
    variables = {variable.lower(): variable for leaf in unset for variable in leaf.variables}
    for layer in layers:
        for place in layer.unused:
            stem = place.key.rpartition("/")[2]
            if meant := closest_name(stem, unset) if layer.dotted else _meant(stem, variables, prefix):
                yield f"{place.key} is set{_where(place)}; did you mean {meant}?"


def closest_name(name: str, settings: Iterable[Setting]) -> str | None:
    """Return the dotted name among *settings* that *name* was probably meant to be."""
    return _closest(name, {setting.name.lower(): setting.name for setting in settings}, _ALIKE)


def _meant(name: str, variables: dict[str, str], prefix: str) -> str | None:
    low, start = name.lower(), prefix.lower()
    if not start or not low.startswith(start):
        return _closest(name, variables, _ALIKE_WITHOUT_PREFIX)
    bare = {variable.removeprefix(start): spelled for variable, spelled in variables.items()}
    return _closest(low.removeprefix(start), bare, _ALIKE)  # the prefix in common would make all names alike


def _closest(name: str, candidates: dict[str, str], cutoff: float) -> str | None:
    found = get_close_matches(name.lower(), candidates, n=1, cutoff=cutoff)
    return candidates[found[0]] if found else None


def _where(place: Place) -> str:
    return "" if place.source == "environment" else f" ({place.source})"
