"""The places where settings stand, one layer each, highest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic_settings
from pydantic.fields import FieldInfo

from controlroom.settings.schema import Declared, Setting, every, leaves

__all__ = ["Layer", "Place", "get_in", "merged", "of_assignments", "of_data", "of_variables"]

_DELIMITER = "__"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Place:
    """Where one value stands: the source, and the exact key in it."""

    source: str
    key: str

    def __str__(self) -> str:
        return f"{self.key} ({self.source})" if self.key else self.source


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says.

    Attributes:
        title: The source as a report lists it: ".env (absent)".
        values: What it says, keyed as pydantic expects it.
        locate: Where it says so.
        unused: What stands there under a name that sets nothing.
        dotted: Names there are dotted ones (``db.url``), not variables (``APP_DB__URL``).
    """

    title: str
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    locate: Callable[[Setting], Place] = field(default=lambda _: Place("", ""), repr=False)
    unused: tuple[Place, ...] = ()
    dotted: bool = False

    def holds(self, setting: Setting) -> bool:
        """Tell whether this layer says something about *setting*."""
        return get_in(self.values, setting.keys, _ABSENT) is not _ABSENT


class _Texts(pydantic_settings.EnvSettingsSource):
    """pydantic-settings' reading of variables, from any mapping, leaving it to validation to refuse what is not JSON."""

    def __init__(self, declared: Declared, texts: Mapping[str, str]) -> None:
        super().__init__(
            declared.model, case_sensitive=False, env_prefix=declared.prefix, env_nested_delimiter=_DELIMITER
        )
        self.env_vars = {
            name.lower(): text for name, text in texts.items() if text != "" or not self.config.get("env_ignore_empty")
        }

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value  # so that one error can report every problem


def of_variables(declared: Declared, texts: Mapping[str, str], title: str, place: Callable[[str], Place]) -> Layer:
    """Return the layer of *texts* by variable name, in any case: the environment, ``.env``, a secrets directory."""
    settings = declared.settings
    spelled = {name.lower(): name for name in texts}
    values = _rekeyed(_Texts(declared, texts)(), settings)
    known = {variable.lower() for setting in every(settings) for variable in setting.variables}
    holding = [leaf for leaf in leaves(settings) if isinstance(get_in(values, leaf.keys), Mapping)]
    into = tuple(f"{variable.lower()}{_DELIMITER}" for leaf in holding for variable in leaf.variables)
    unused = tuple(place(name) for low, name in spelled.items() if low not in known and not low.startswith(into))
    return Layer(title, values, lambda setting: place(_name_for(setting, settings, spelled)), unused)


def of_data(declared: Declared, data: Mapping[str, Any], title: str, place: Callable[[str], Place]) -> Layer:
    """Return the layer of nested *data*: keyword overrides, a TOML file."""
    values = _rekeyed(data, declared.settings)
    unused = tuple(place(name) for name in _unknown(values, declared.settings))
    return Layer(title, values, lambda setting: place(".".join(setting.keys)), unused, dotted=True)


def of_assignments(declared: Declared, assignments: Mapping[str, str], title: str) -> Layer:
    """Return the layer of texts by dotted name, each read as a variable would be."""
    names = {_as_variable(name, declared): name for name in assignments}
    texts = {variable: assignments[name] for variable, name in names.items()}
    return of_variables(declared, texts, title, lambda variable: Place(title, names.get(variable, "")))


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return one mapping, in which the first layer that says something wins, key by nested key."""
    result: dict[str, Any] = {}
    for layer in layers:
        result = _filled(result, layer.values)
    return result


def get_in(data: Any, keys: tuple[str, ...], default: Any = None) -> Any:
    """Return what stands in *data* under *keys*; a text or an object on the way holds all that is below it."""
    for key in keys:
        if not isinstance(data, Mapping):
            return data
        if key not in data:
            return default
        data = data[key]
    return data


def _filled(high: Mapping[str, Any], low: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key in high if isinstance(high[key], Mapping) and isinstance(low.get(key), Mapping)}
    return {**low, **high, **{key: _filled(high[key], low[key]) for key in both}}


def _rekeyed(data: Mapping[str, Any], settings: tuple[Setting, ...]) -> dict[str, Any]:
    """Give every field of the top level its preferred key, so that layers that spell it differently meet."""
    preferred: dict[str, str] = {}
    for setting in settings:
        for spelling in (setting.path[0], *setting.aliases, setting.keys[0]):
            preferred[spelling.lower()] = setting.keys[0]
    return {preferred.get(key.lower(), key): value for key, value in data.items()}


def _unknown(data: Mapping[str, Any], settings: tuple[Setting, ...], above: str = "") -> Iterable[str]:
    nested = {setting.keys[-1]: setting.nested for setting in settings}
    for key, value in data.items():
        if key not in nested:
            yield f"{above}{key}"
        elif nested[key] and isinstance(value, Mapping):
            yield from _unknown(value, nested[key], f"{above}{key}.")


def _name_for(setting: Setting, settings: tuple[Setting, ...], spelled: Mapping[str, str]) -> str:
    """Return the variable that speaks of *setting*: its own, one that reaches into it, or one that it stands in."""
    own = [variable.lower() for variable in setting.variables]
    into = tuple(f"{variable}{_DELIMITER}" for variable in own)
    around = [other for other in every(settings) if other.keys == setting.keys[: len(other.keys)]]
    names = [
        *(name for low, name in spelled.items() if low.startswith(into)),
        *(spelled.get(variable.lower()) for other in reversed(around) for variable in other.variables),
    ]
    return next(filter(None, names), own[0])


def _as_variable(name: str, declared: Declared) -> str:
    words = tuple(name.split("."))
    around = [each for each in every(declared.settings) if words[: len(each.path)] in (each.path, each.keys)]
    if not around:
        return f"{declared.prefix}{_DELIMITER.join(words)}"
    return _DELIMITER.join((around[-1].variables[0], *words[len(around[-1].path) :]))
