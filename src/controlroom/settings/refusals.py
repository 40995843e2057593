"""What validation refused, in words that name the setting and never show what was given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from controlroom.redaction import MASK
from controlroom.settings.layers import Layer, Place
from controlroom.settings.schema import Setting, deepest, every, leaves, settings_of

__all__ = ["refusals", "refused_in_code"]

# pydantic's own messages state what is expected, except those into which the input, or a validator's words, can get.
_OWN_WORDS = frozenset(get_args(ErrorType)) - {
    "assertion_error",
    "get_attribute_error",
    "iteration_error",
    "mapping_type",
    "union_tag_invalid",
    "uuid_parsing",
    "value_error",
}
_NEEDS_JSON = frozenset(
    [
        "dataclass_type",
        "dict_type",
        "frozen_set_type",
        "list_type",
        "mapping_type",
        "model_attributes_type",
        "model_type",
        "sequence_str",
        "set_type",
        "tuple_type",
    ]
)
_SHORTEST_MASKED = 4  # a shorter run of characters in common says nothing; a whole value is masked at any length


def refusals(
    errors: Sequence[ErrorDetails],
    settings: tuple[Setting, ...],
    layers: Sequence[Layer],
    how_to_set: Mapping[str, str],
    otherwise: str = "its default",
) -> Iterator[str]:
    """Yield a line for each thing that is missing or wrong.

    Args:
        errors: What pydantic found.
        settings: Every setting there is.
        layers: What was read, highest first.
        how_to_set: For the name of a setting, how to give it a value.
        otherwise: Where a value comes from that is in no layer.
    """
    wrong: dict[str, tuple[Setting | None, list[str]]] = {}
    for error in errors:
        keys = tuple(str(part) for part in error["loc"])
        setting = deepest(settings, keys)
        if setting is not None and error["type"] == "missing" and keys == setting.keys:
            yield from (f"{each} is missing. {how_to_set[each]}" for each in _required_below(setting))
            continue
        name = _name(setting, keys, error["loc"])
        wrong.setdefault(name, (setting, []))[1].append(_expected(error, setting))
    for name, (setting, expectations) in wrong.items():
        subject = f"{name} is wrong" if name else "The settings do not go together"
        yield f"{subject}. {'; or: '.join(dict.fromkeys(expectations))}.{_origin(setting, layers, otherwise)}"


def refused_in_code(model: type[BaseModel], errors: Sequence[ErrorDetails], values: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing that is missing or wrong in an object of *model* that was made in code."""
    settings = settings_of(model, "")
    how = {setting.name: "Give it as an argument." for setting in every(settings)}
    given = Layer("arguments", dict(values), lambda setting: Place("argument", ".".join(setting.keys)))
    return list(refusals(errors, settings, [given], how, "its default or the environment"))


def _required_below(setting: Setting) -> list[str]:
    names = [leaf.name for leaf in leaves([setting]) if leaf.required]
    return names or [setting.name]


def _name(setting: Setting | None, keys: tuple[str, ...], loc: tuple[int | str, ...]) -> str:
    """Return the dotted name with positions in lists. Keys of a dict belong to the input, and are not shown."""
    if setting is None:
        return ".".join(keys)
    return ".".join([setting.name, *(str(part) for part in loc[len(setting.keys) :] if isinstance(part, int))])


def _expected(error: ErrorDetails, setting: Setting | None) -> str:
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    if error["type"] not in _OWN_WORDS:
        message = "Its validator refused it" if setting and setting.hidden else _without(error["input"], message)
    as_json = isinstance(error["input"], str) and error["type"] in _NEEDS_JSON
    return f"{message}, in a variable written as JSON" if as_json else message


def _origin(setting: Setting | None, layers: Sequence[Layer], otherwise: str) -> str:
    if setting is None:
        return ""
    place = next((str(layer.locate(setting)) for layer in layers if layer.holds(setting)), otherwise)
    return f" It comes from {place}."


def _without(given: Any, message: str) -> str:
    """Return a validator's *message* without anything that it has in common with what was *given*."""
    for text in sorted(_texts(given), key=len, reverse=True):
        whole = re.escape(text) if len(text) >= _SHORTEST_MASKED else rf"(?<!\w){re.escape(text)}(?!\w)"
        message = re.sub(whole, MASK, message, flags=re.IGNORECASE)
        message = _without_runs_of(text, message)
    return message


def _without_runs_of(text: str, message: str) -> str:
    while True:
        run = SequenceMatcher(None, _low(message), _low(text), autojunk=False).find_longest_match()
        if run.size < _SHORTEST_MASKED:
            return message
        message = f"{message[: run.a]}{MASK}{message[run.a + run.size :]}"


def _low(text: str) -> str:
    return low if len(low := text.lower()) == len(text) else text  # "İ" becomes two characters; positions must hold


def _texts(given: Any) -> Iterator[str]:
    if isinstance(given, Mapping):
        yield from (text for item in given.items() for part in item for text in _texts(part))
    elif isinstance(given, list | tuple | set | frozenset):
        yield from (text for item in given for text in _texts(item))
    elif given is not None and (text := str(given)):
        yield text
