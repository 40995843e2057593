"""From layers with references to layers with values: a flow that asks for what is needed and for nothing else.

A reference is a value of the layer in which it stands: it wins, loses and is merged as any other value there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from controlroom.errors import ControlRoomError, Disposition
from controlroom.policy.flow import Flow
from controlroom.redaction import is_sensitive_name, register_secret
from controlroom.settings.cloud.calls import Outcome, Value
from controlroom.settings.cloud.layer import Resolution
from controlroom.settings.cloud.references import Reference, Secret, member_of, parsed
from controlroom.settings.cloud.standing import (
    Standing,
    in_defaults,
    is_lost,
    replaced,
    standing_in,
)
from controlroom.settings.layers import ABSENT, Layer, Place, as_variable, get_in
from controlroom.settings.schema import Declared, Setting

__all__ = ["Wanted", "resolving"]

# "JSON structure of AWS Secrets Manager database credential secrets": what of it is an address rather than a secret.
_NO_SECRETS: Final = frozenset(
    {"dbclusteridentifier", "dbinstanceidentifier", "dbname", "engine", "host", "masterarn", "port", "username"}
)
_SHORTEST_MEMBER = 6  # masking "app" or "5432" wherever it stands would eat the log
_FORMS = "aws-sm://name#json-key or aws-ssm:///path"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A step: fetch these. Its result: for each a value, or the error that says why there is none."""

    secrets: frozenset[Secret]


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a reference has no value: a sentence, and the error where it can pass by itself."""

    said: str
    outage: ControlRoomError | None = None


def resolving(declared: Declared, layers: Sequence[Layer]) -> Flow[Wanted, Resolution]:
    """Fetch what the references in *layers* and in defaults stand for, as far as it is used.

    All at once, except where what a reference stands for decides whether another one, below it, is used at all.
    """
    defaults = Layer("cloud references in defaults", in_defaults(declared, layers), lambda _: Place("default", ""))
    everything = (*layers, defaults) if defaults.values else tuple(layers)
    standing = list(standing_in(declared, everything))
    waiting = list(standing)
    known: dict[Secret, Outcome] = {}
    settled: dict[Standing, Any] = {}
    while True:
        current = _with_values(everything, settled)
        needed = [each for each in waiting if is_lost(each, current) is False]
        if not needed:
            return _resolution(everything, current, settled, standing, known)
        references = {each: _parsed(each.text) for each in needed}
        secrets = {reference.secret for reference in references.values() if isinstance(reference, Reference)}
        if secrets - known.keys():
            known |= yield Wanted(frozenset(secrets - known.keys()))
        for each, reference in references.items():
            settled[each] = reference if isinstance(reference, _Failure) else _value(declared, each, reference, known)
        waiting = [each for each in waiting if each not in settled]


def _parsed(text: str) -> Reference | _Failure:
    try:
        return parsed(text)
    except ValueError as wrong:
        return _Failure(f"What stands there begins like a reference, but {wrong}. Write {_FORMS}.")


def _value(declared: Declared, at: Standing, reference: Reference, known: Mapping[Secret, Outcome]) -> Any:
    """Return what *reference* stands for, read as a variable would be, or a `_Failure`."""
    outcome = known[reference.secret]
    if isinstance(outcome, ControlRoomError):
        return _Failure(outcome.message, outcome if outcome.disposition is Disposition.RETRY else None)
    if reference.key is None:
        return _read(declared, at, outcome)
    try:
        text = member_of(outcome.text, reference.key)
    except ValueError:
        return _Failure("It holds no JSON object, and so no member of one. Leave out what follows the #.")
    except LookupError:
        return _Failure("Its JSON has no such member, or it is null. Correct what follows the #.")
    if outcome.secret and _is_secret(reference.key, text):
        register_secret(text)
    return as_variable(declared, at.setting, at.keys, text)


def _read(declared: Declared, at: Standing, value: Value) -> Any:
    if value.several:
        items = json.dumps(value.text.split(","))
        read = as_variable(declared, at.setting, at.keys, items)
        return value.text if read == items else read
    return as_variable(declared, at.setting, at.keys, value.text)


def _is_secret(key: str, text: str) -> bool:
    name = key.rpartition(".")[2]
    return is_sensitive_name(name) or (len(text) >= _SHORTEST_MEMBER and name.lower() not in _NO_SECRETS)


def _with_values(layers: Sequence[Layer], settled: Mapping[Standing, Any]) -> list[Layer]:
    current = list(layers)
    for number, layer in enumerate(layers):
        # Nothing for what failed, which validation then says nothing about: a reference itself would be taken for a secret.
        new = {
            at.keys: "" if isinstance(value, _Failure) else value for at, value in settled.items() if at.layer == number
        }
        if new:
            current[number] = replace(layer, values=replaced(layer.values, (), new))
    return current


def _resolution(
    written: Sequence[Layer],
    current: Sequence[Layer],
    settled: Mapping[Standing, Any],
    standing: Sequence[Standing],
    secrets: Iterable[Secret],
) -> Resolution:
    failures = [(at, failure) for at, failure in settled.items() if isinstance(failure, _Failure)]
    layers = tuple(
        replace(layer, locate=partial(_located, written[number], [at for at in standing if at.layer == number]))
        for number, layer in enumerate(current)
    )
    return Resolution(
        layers,
        tuple(_lines([(at, failure) for at, failure in failures if failure.outage is None], written)),
        tuple(_lines([(at, failure) for at, failure in failures if failure.outage is not None], written)),
        next((failure.outage for _, failure in failures if failure.outage is not None), None),
        tuple(secrets),
        tuple(at.keys for at, _ in failures),
    )


def _located(layer: Layer, standing: Sequence[Standing], setting: Setting) -> Place:
    """Return where *setting* stands in *layer*, and behind an arrow the references that stand there."""
    place = layer.locate(setting)
    around = [
        at for at in standing if all(str(one) == other for one, other in zip(at.keys, setting.keys, strict=False))
    ]
    own = [at for at in around if len(at.keys) >= len(setting.keys) or not _stands_beside(layer, at, setting)]
    shown = ", ".join(dict.fromkeys(text for at in own if (text := _shown(at.text))))
    return replace(place, source=f"{place.source} → {shown}") if shown else place


def _stands_beside(layer: Layer, at: Standing, setting: Setting) -> bool:
    """Tell whether *setting* has a text of its own beside the reference that fills the rest of what it is in."""
    found = get_in(layer.values, tuple(map(str, at.keys)))
    return isinstance(found, Mapping) and get_in(found, setting.keys[len(at.keys) :], ABSENT) is not ABSENT


def _lines(failures: Iterable[tuple[Standing, _Failure]], layers: Sequence[Layer]) -> Iterable[str]:
    """Yield a line for each thing that went wrong, with all the settings that it went wrong for."""
    by_reason: dict[str, list[Standing]] = {}
    for at, failure in failures:
        by_reason.setdefault(failure.said, []).append(at)
    for said, several in by_reason.items():
        names = ", ".join(dict.fromkeys(_name(at) for at in several))
        references = ", ".join(dict.fromkeys(shown for at in several if (shown := _shown(at.text))))
        places = ", ".join(dict.fromkeys(str(layers[at.layer].locate(at.setting)) for at in several))
        source = f" from {references}" if references else ""
        yield f"{names} cannot be fetched{source}. {said} {'It is' if len(several) == 1 else 'They are'} named in {places}."


def _name(at: Standing) -> str:
    """Return the dotted name with positions in lists. Keys of a dict belong to the input, and are not shown."""
    below = at.keys[len(at.setting.keys) :]
    return ".".join([at.setting.name, *(str(key) for key in below if isinstance(key, int))])


def _shown(text: str) -> str:
    """Return the reference as it may be shown: nothing of what only begins like one."""
    try:
        return str(parsed(text))
    except ValueError:
        return ""
