"""Names that look like a setting that was not set: the typo that would otherwise be a default, silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from controlroom.settings.layers import Layer, Place
from controlroom.settings.schema import Setting, leaves

__all__ = ["Stray", "closest_name", "strays"]

_ALIKE = 0.65  # RETIRES/RETRIES 0.86, URI/URL 0.67, HOST/PORT 0.5
_ALIKE_WITHOUT_PREFIX = 0.8  # any program's variables are candidates then


@dataclass(frozen=True, slots=True)
class Stray:
    """A name that sets nothing.

    Attributes:
        text: The name, where it stands, and what was probably meant.
        ours: It starts with the prefix, or stands in a file of ours: nobody else's.
        alike: It is almost the name of a setting, which is not set there itself.
    """

    text: str
    ours: bool
    alike: bool


def strays(settings: tuple[Setting, ...], layers: Sequence[Layer], prefix: str) -> Iterator[Stray]:
    """Yield "APP_RETIRES is set; did you mean APP_RETRIES?" for each name that sets nothing and is ours, or almost."""
    unset = [leaf for leaf in leaves(settings) if not any(layer.holds(leaf) for layer in layers)]
    for layer in layers:
        known = list(leaves(settings)) if layer.unused else []
        taken = {name for leaf in known if layer.holds(leaf) for name in (leaf.name, *leaf.variables)}
        for place in layer.unused:
            name = place.variable or place.key
            prefixed = prefix != "" and name.lower().startswith(prefix.lower())
            if layer.dotted:
                meant = closest_name(name, known)
            elif prefixed:
                meant = _closest_variable(name, known, prefix)
            else:
                meant = _closest(name, _variables(unset), _ALIKE_WITHOUT_PREFIX)
            if meant or prefixed or layer.dotted:
                is_taken = meant in taken
                hint = "there is no such setting." if meant is None else f"did you mean {meant}?"
                if is_taken:
                    hint = f"there is no such setting, and {meant} is set as well."
                text = f"{place.key} is set{_where(place)}; {hint}"
                yield Stray(text, prefixed or layer.dotted, meant is not None and not is_taken)


def closest_name(name: str, settings: Iterable[Setting]) -> str | None:
    """Return the dotted name among *settings* that *name* was probably meant to be."""
    return _closest(name, {setting.name.lower(): setting.name for setting in settings}, _ALIKE)


def _variables(settings: Iterable[Setting]) -> dict[str, str]:
    return {variable.lower(): variable for setting in settings for variable in setting.variables}


def _closest_variable(name: str, settings: Iterable[Setting], prefix: str) -> str | None:
    start = prefix.lower()  # in common, it would make all names alike
    bare = {variable.removeprefix(start): spelled for variable, spelled in _variables(settings).items()}
    return _closest(name.lower().removeprefix(start), bare, _ALIKE)


def _closest(name: str, candidates: dict[str, str], cutoff: float) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415 - only where a name sets nothing

    found = get_close_matches(name.lower(), candidates, n=1, cutoff=cutoff)
    return candidates[found[0]] if found else None


def _where(place: Place) -> str:
    return "" if place.source == "environment" else f" ({place.source})"
