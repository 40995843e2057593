"""The places where settings stand, one layer each, highest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pydantic_settings
from pydantic.fields import FieldInfo

from controlroom.settings.cloud.marks import REFERENCE, is_reference
from controlroom.settings.schema import Declared, Setting, deepest, every, leaves

__all__ = [
    "ABSENT",
    "Layer",
    "Place",
    "as_variable",
    "get_in",
    "merged",
    "not_too_deep",
    "of_assignments",
    "of_data",
    "of_variables",
    "path_in",
]

_DELIMITER = "__"
_DEEPEST = 64  # levels
ABSENT = object()
"""What stands where nothing stands."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one value stands: the source, the exact key in it, and the variable that it spells where that is another."""

    source: str
    key: str
    variable: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.key} ({self.source})" if self.key else self.source


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says.

    Attributes:
        title: The source as a report lists it: ".env (absent)".
        values: What it says, keyed as pydantic expects it.
        locate: Where it says so.
        locate_part: Where a part of it stands, by the keys that lead there from the top; None: where all of it does.
        unused: What stands there under a name that sets nothing.
        dotted: Names there are dotted ones (``db.url``), not variables (``APP_DB__URL``).
    """

    title: str
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    locate: Callable[[Setting], Place] = field(default=lambda _: Place("", ""), repr=False)
    unused: tuple[Place, ...] = ()
    dotted: bool = False
    locate_part: Callable[[tuple[str, ...]], Place | None] = field(default=lambda _: None, repr=False)

    def holds(self, setting: Setting) -> bool:
        """Tell whether this layer says something about *setting*."""
        return get_in(self.values, setting.keys, ABSENT) is not ABSENT


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
            return not_too_deep(super().decode_complex_value(field_name, field, value))
        except (ValueError, RecursionError):
            # Text, so that one error can report every problem; a reference leaves room for the keys that are beside it.
            return {REFERENCE: value} if is_reference(value) else value


def of_variables(declared: Declared, texts: Mapping[str, str], title: str, place: Callable[[str], Place]) -> Layer:
    """Return the layer of *texts* by variable name, in any case: the environment, ``.env``, a secrets directory."""
    settings = declared.settings
    spelled = {name.lower(): name for name in texts}
    values = _rekeyed(_Texts(declared, texts)(), settings)
    known = {variable.lower() for setting in every(settings) for variable in setting.variables}
    known.add(declared.profile_variable.lower())
    holding = [leaf for leaf in leaves(settings) if isinstance(get_in(values, leaf.keys), Mapping)]
    into = tuple(f"{variable.lower()}{_DELIMITER}" for leaf in holding for variable in leaf.variables)
    unused = [place(name) for low, name in spelled.items() if low not in known and not low.startswith(into)]

    def locate(setting: Setting) -> Place:
        return place(_name_for(setting, settings, spelled))

    def locate_part(keys: tuple[str, ...]) -> Place | None:
        setting = deepest(settings, keys)
        below = keys[len(setting.keys) :] if setting else ()
        variables = setting.variables if setting else ()
        names = (spelled.get(_DELIMITER.join((each, *below)).lower()) for each in variables)
        return next((place(name) for name in names if name), None)

    told = (*unused, *_unknown_in_json(values, settings, spelled, place))
    return Layer(title, values, locate, told, locate_part=locate_part)


def of_data(
    declared: Declared, data: Mapping[str, Any], title: str, place: Callable[[tuple[str, ...]], Place]
) -> Layer:
    """Return the layer of nested *data*: keyword overrides, a file."""
    preferred = _preferred(declared.settings)
    spelled = {preferred.get(key.lower(), key): key for key in data}
    values = _rekeyed(data, declared.settings)
    unknown = _unknown(values, declared.settings, takes_more=declared.takes_more)
    unused = tuple(place((spelled.get(key[0], key[0]), *key[1:])) for key in unknown)

    def at(keys: tuple[str, ...]) -> Place:
        return place((spelled.get(keys[0], keys[0]), *keys[1:]))

    def locate_part(keys: tuple[str, ...]) -> Place | None:
        setting = deepest(declared.settings, keys)
        return replace(at(setting.keys), source=at(keys).source) if setting else None

    return Layer(title, values, lambda setting: at(setting.keys), unused, dotted=True, locate_part=locate_part)


def of_assignments(declared: Declared, assignments: Mapping[str, str], title: str) -> Layer:
    """Return the layer of texts by dotted name, each read as a variable would be."""
    names = {_as_variable(name, declared): name for name in assignments}
    texts = {variable: assignments[name] for variable, name in names.items()}
    return of_variables(declared, texts, title, lambda variable: Place(title, names.get(variable, "")))


def as_variable(declared: Declared, setting: Setting, keys: tuple[int | str, ...], text: str) -> Any:
    """Return *text*, a value of *setting* or, with more *keys*, of a part of it, as it is read from a variable.

    Where a variable with that text would count as not set, `ABSENT` is returned.
    """
    below = keys[len(setting.keys) :]
    if not all(isinstance(key, str) for key in below):
        return text
    variable = _DELIMITER.join((setting.variables[0], *map(str, below)))
    values = _rekeyed(_Texts(declared, {variable: text})(), declared.settings)
    # Below a dict, pydantic-settings lowers the keys that it finds in the names of variables.
    read = get_in(values, (*setting.keys, *(str(key).lower() for key in below)), ABSENT)
    if read is ABSENT:
        return ABSENT if text.strip() in {"", "null"} else text
    return text if isinstance(read, Mapping) and REFERENCE in read else read


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return one mapping, in which the first layer that says something wins, key by nested key."""
    result: dict[str, Any] = {}
    for layer in layers:
        result = _filled(result, layer.values)
    return result


def not_too_deep(value: Any) -> Any:
    """Return *value*, JSON-like data.

    Raises:
        RecursionError: It is nested deeper than any settings are; what walks through it could not come back.
    """
    below = [value]
    for _ in range(_DEEPEST):
        below = [item for each in below for item in _parts(each)]
        if not below:
            return value
    raise RecursionError


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def get_in(data: Any, keys: tuple[str, ...], default: Any = None) -> Any:
    """Return what stands in *data* under *keys*; a text or an object on the way holds all that is below it."""
    for key in keys:
        if not isinstance(data, Mapping):
            return data
        if key not in data:
            return default
        data = data[key]
    return data


def path_in(data: Any, loc: Iterable[int | str]) -> tuple[str, ...]:
    """Return as much of *loc*, where pydantic says that something is wrong, as leads into *data*; tags of unions do not."""
    path: list[str] = []
    for part in loc:
        if isinstance(data, Mapping) and str(part) in data:
            data = data[str(part)]
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path.append(str(part))
    return tuple(path)


def _filled(high: Mapping[str, Any], low: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key in high if isinstance(high[key], Mapping) and isinstance(low.get(key), Mapping)}
    return {**low, **high, **{key: _filled(high[key], low[key]) for key in both}}


def _rekeyed(data: Mapping[str, Any], settings: tuple[Setting, ...]) -> dict[str, Any]:
    """Give every field of the top level its preferred key, so that layers that spell it differently meet."""
    preferred = _preferred(settings)
    return {preferred.get(key.lower(), key): value for key, value in data.items()}


def _preferred(settings: tuple[Setting, ...]) -> dict[str, str]:
    return {
        spelling.lower(): setting.keys[0]
        for setting in settings
        for spelling in (setting.path[0], *setting.aliases, setting.keys[0])
    }


def _unknown(
    data: Mapping[str, Any], settings: tuple[Setting, ...], above: tuple[str, ...] = (), *, takes_more: bool
) -> Iterator[tuple[str, ...]]:
    nested = {setting.keys[-1]: setting for setting in settings}
    nested |= {alias: setting for setting in settings for alias in setting.aliases if above}
    for key, value in data.items():
        if key not in nested:
            if not takes_more:
                yield (*above, str(key))
        elif nested[key].nested and isinstance(value, Mapping):
            setting = nested[key]
            yield from _unknown(value, setting.nested, (*above, str(key)), takes_more=setting.takes_more)


def _unknown_in_json(
    values: Mapping[str, Any],
    settings: tuple[Setting, ...],
    spelled: Mapping[str, str],
    place: Callable[[str], Place],
) -> Iterator[Place]:
    """Yield the place of each key that sets nothing in a variable that holds JSON. The key is input, and not shown."""
    for keys in _unknown(values, settings, takes_more=True):
        holder = deepest(settings, keys)
        if holder is None or keys[-1] == REFERENCE:
            continue
        variables = [_DELIMITER.join((variable, *keys[len(holder.keys) :])) for variable in holder.variables]
        if any(variable.lower() in spelled for variable in variables):
            continue  # a variable of its own, and told already
        around = [setting for setting in every(settings) if setting.keys == keys[: len(setting.keys)]]
        names = [spelled.get(variable.lower()) for setting in reversed(around) for variable in setting.variables]
        if name := next(filter(None, names), None):
            found = place(name)
            yield Place(found.source, f"a key in {found.key}", variables[0])


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
