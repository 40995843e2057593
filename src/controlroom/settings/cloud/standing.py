"""Where references stand in the layers, and which of them matter. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from controlroom.settings.cloud.marks import REFERENCE, is_reference
from controlroom.settings.layers import ABSENT, Layer, merged
from controlroom.settings.schema import Declared, Setting, deepest, leaves, nested_model

__all__ = ["Keys", "Standing", "in_defaults", "is_lost", "replaced", "standing_in", "without_references"]

Keys = tuple[str | int, ...]

_NOTHING: Final = object()
_UNKNOWN: Final = object()


@dataclass(frozen=True, slots=True)
class Standing:
    """A text that is a reference, or begins like one.

    Attributes:
        layer: The number of the layer.
        keys: Where it stands in the layer's values.
        text: As it was written.
        setting: The setting that it is a value of, or of a part.
    """

    layer: int
    keys: Keys
    text: str = field(repr=False)
    setting: Setting


def standing_in(declared: Declared, layers: Sequence[Layer]) -> Iterator[Standing]:
    """Yield every reference in *layers* that is the value of a setting, or a part of one."""
    for number, layer in enumerate(layers):
        for keys, text in _texts(layer.values, ()):
            named = tuple(str(key) for key in keys)
            setting = deepest(declared.settings, named)
            # Under a name that sets nothing it is somebody else's business.
            if setting is not None and (not setting.nested or named == setting.keys or setting.takes_more):
                yield Standing(number, keys, text, setting)


def _texts(value: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    match value:
        case str() if is_reference(value):
            yield keys, value
        case SecretStr() if is_reference(value.get_secret_value()):
            yield keys, value.get_secret_value()
        case Mapping():
            for key, item in value.items():
                yield from _texts(item, keys if key == REFERENCE else (*keys, key))
        case list() | tuple():
            for position, item in enumerate(value):
                yield from _texts(item, (*keys, position))
        case _:
            pass


def replaced(value: Any, keys: Keys, new: Mapping[Keys, Any]) -> Any:
    """Return *value*, which stands under *keys*, with the values *new* for the references in it.

    A mapping may hold a reference beside other keys (``APP_DB=aws-sm://db`` with ``APP_DB__POOL=3``): these win.
    """
    if isinstance(value, Mapping):
        parts = {key: replaced(item, (*keys, key), new) for key, item in value.items() if key != REFERENCE}
        rest = {key: item for key, item in parts.items() if item is not ABSENT}
        if REFERENCE not in value:
            return rest
        below = new.get(keys, {REFERENCE: value[REFERENCE]})
        if isinstance(below, Mapping):
            return merged([Layer("", rest), Layer("", dict(below))])
        return rest if rest and below is ABSENT else below
    if type(value) in {list, tuple}:
        return type(value)(replaced(item, (*keys, position), new) for position, item in enumerate(value))
    return new.get(keys, value)


def without_references(value: Any) -> Any:
    """Return *value* without references: they are no secrets, and a report has to show them."""
    match value:
        case str() | SecretStr():
            return None if next(_texts(value, ()), None) else value
        case Mapping():
            return {key: without_references(item) for key, item in value.items() if key != REFERENCE}
        case list() | tuple():
            return [without_references(item) for item in value]
        case _:
            return value


def is_lost(reference: Standing, layers: Sequence[Layer]) -> bool | None:
    """Tell whether higher layers leave nothing of *reference* to be used; None where other references decide that."""
    higher = layers[: reference.layer]
    stands = [_stands(layer.values, reference.keys) for layer in higher]
    for value in stands:
        if value is _UNKNOWN:
            return None
        if value is not _NOTHING and not isinstance(value, Mapping):
            return True
    if not reference.setting.nested or len(reference.keys) > len(reference.setting.keys):
        return False  # mappings are merged key by key, and nobody knows the keys of this one
    covered = [_covered(leaf, higher) for leaf in leaves(reference.setting.nested)]
    return None if None in covered and False not in covered else all(covered)


def _covered(leaf: Setting, higher: Sequence[Layer]) -> bool | None:
    for layer in higher:
        value = _stands(layer.values, leaf.keys)
        if value is _UNKNOWN:
            return None
        if value is not _NOTHING:
            return not isinstance(value, Mapping)
    return False


def _stands(value: Any, keys: Keys) -> Any:
    """Return what stands in *value* under *keys*; what a reference would give nobody knows yet."""
    for key in keys:
        if not isinstance(value, Mapping):
            break
        if key not in value:
            return _UNKNOWN if REFERENCE in value else _NOTHING
        value = value[key]
    holds = REFERENCE in value if isinstance(value, Mapping) else next(_texts(value, ()), ((), ""))[1]
    return _UNKNOWN if holds and not isinstance(value, list | tuple) else value


def in_defaults(declared: Declared, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return the defaults that are, or hold, references and that nothing in *layers* replaces."""
    return _in_defaults(declared.model, None, declared.settings, layers)


def _in_defaults(
    model: type[BaseModel], made: BaseModel | None, settings: Sequence[Setting], layers: Sequence[Layer]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in settings:
        default = _default(model, made, setting.path[-1])
        if setting.nested:
            below = default if isinstance(default, BaseModel) else None
            kind = type(below) if below is not None else nested_model(model.model_fields[setting.path[-1]].annotation)
            if kind is not None and (below is not None or any(layer.holds(setting) for layer in layers)):
                part: Any = _in_defaults(kind, below, setting.nested, layers)
                if part:
                    found[setting.keys[-1]] = part
        elif not any(layer.holds(setting) for layer in layers) and next(_texts(default, ()), None):
            found[setting.keys[-1]] = default
    return found


def _default(model: type[BaseModel], made: BaseModel | None, name: str) -> Any:
    if made is not None:
        return getattr(made, name, None)
    info = model.model_fields[name]
    return None if info.is_required() or info.default_factory is not None else info.default
