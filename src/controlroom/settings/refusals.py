"""What validation refused, in words that name the setting and never show what was given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticKnownError
from pydantic_core.core_schema import ErrorType

from controlroom.redaction import MASK
from controlroom.settings.layers import Layer, Place, path_in
from controlroom.settings.positions import unquoted
from controlroom.settings.schema import Setting, deepest, every, leaves, settings_of

__all__ = ["raised_by_validator", "refusals", "refused_in_code"]

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
_NUMBER = re.compile(r"(?<!\w)[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
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
    wrong: dict[str, tuple[list[str], list[str]]] = {}
    for error in errors:
        keys = tuple(str(part) for part in error["loc"])
        setting = deepest(settings, keys)
        if setting is not None and error["type"] == "missing" and keys == setting.keys:
            yield from (f"{each} is missing. {how_to_set[each]}" for each in _required_below(setting))
            continue
        name = _name(setting, keys, error["loc"])
        expectations, origins = wrong.setdefault(name, ([], []))
        layer, origin = _stray(name, layers) if setting is None else _origin(setting, error["loc"], layers, otherwise)
        expectations.append(_expected(error, setting, is_data=layer is not None and layer.dotted))
        origins.extend([origin] if origin else [])
    for name, (expectations, origins) in wrong.items():
        subject = f"{name} is wrong" if name else "The settings do not go together"
        origin = f" It comes from {', '.join(dict.fromkeys(origins))}." if origins else ""
        yield f"{subject}. {'; or: '.join(dict.fromkeys(expectations))}.{origin}"


def refused_in_code(model: type[BaseModel], errors: Sequence[ErrorDetails], values: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing that is missing or wrong in an object of *model* that was made in code."""
    settings = settings_of(model, "")
    how = {setting.name: "Give it as an argument." for setting in every(settings)}
    given = Layer("arguments", dict(values), lambda setting: Place("argument", ".".join(setting.keys)), dotted=True)
    return list(refusals(errors, settings, [given], how, "its default or the environment"))


def raised_by_validator(error: Exception) -> str:
    """Return a line for what was no refusal but a mistake in a validator. Its text, which may hold the input, is not shown."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = f" at {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}" if traceback else ""
    return (
        f"A validator, or what makes a default, raised {type(error).__name__}{where}, so the values were not checked any"
        " further. Correct it, or let it raise ValueError with what is expected."
    )


def _required_below(setting: Setting) -> list[str]:
    names = [leaf.name for leaf in leaves([setting]) if leaf.required]
    return names or [setting.name]


def _name(setting: Setting | None, keys: tuple[str, ...], loc: tuple[int | str, ...]) -> str:
    """Return the dotted name, with positions in lists and fields there. Keys of a dict are input, and are not shown."""
    if setting is None:
        return ".".join(keys)
    below = (str(part) for part in loc[len(setting.keys) :] if isinstance(part, int) or part in setting.inner)
    return ".".join([setting.name, *below])


def _expected(error: ErrorDetails, setting: Setting | None, *, is_data: bool) -> str:
    """Return what was expected; *is_data*: of a value that was given as such, not as the text of a variable."""
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    if not _is_pydantics_own(error):
        message = "Its validator refused it" if setting and setting.hidden else _without(error["input"], message)
    given = error["input"]
    if not isinstance(given, str):
        return message
    if error["type"] in _NEEDS_JSON and not is_data:
        message = f"{message}, in a variable written as JSON{_flaw(given)}"
    return message if given.strip() else f"{message}; it is empty"


def _flaw(given: str) -> str:
    """Return where the JSON breaks off that *given* was meant to be, without anything of it."""
    try:
        json.loads(given if given.lstrip().startswith(("[", "{")) else "null")
    except json.JSONDecodeError as error:
        return f"; the JSON is broken at character {error.pos + 1}: {unquoted(error.msg)}".rstrip(": ")
    except (RecursionError, ValueError):  # int() refuses more than 4300 digits
        return "; the JSON is too deep, or holds too long a number"
    return ""


def _is_pydantics_own(error: ErrorDetails) -> bool:
    """Tell whether pydantic says it: a validator may raise its own words under any type (PydanticCustomError)."""
    if error["type"] not in _OWN_WORDS:
        return False
    try:
        return PydanticKnownError(error["type"], error.get("ctx")).message() == error["msg"]  # type: ignore[arg-type]  # one of them, as was just asked
    except (TypeError, ValueError, KeyError):
        return False


def _stray(name: str, layers: Sequence[Layer]) -> tuple[Layer | None, str]:
    """Return where a name stands that is not allowed at all (``extra="forbid"``)."""
    found = ((layer, str(place)) for layer in layers for place in layer.unused if place.key == name)
    return next(found, (None, ""))


def _origin(
    setting: Setting, loc: tuple[int | str, ...], layers: Sequence[Layer], otherwise: str
) -> tuple[Layer | None, str]:
    """Return where the value stands that is wrong: of a dict that several sources fill, in the one that gave the part."""
    holding = [layer for layer in layers if layer.holds(setting)]
    paths = [path_in(layer.values, loc) for layer in holding]
    deep = max(map(len, paths), default=0)
    for layer, path in zip(holding, paths, strict=True):
        if len(path) == deep > len(setting.keys) and (place := layer.locate_part(path)) is not None:
            return layer, str(place)
    return next(((layer, str(layer.locate(setting))) for layer in holding), (None, otherwise))


def _without(given: Any, message: str) -> str:
    """Return a validator's *message* without anything that it has in common with what was *given*."""
    for text in sorted(_texts(given), key=len, reverse=True):
        whole = re.escape(text) if len(text) >= _SHORTEST_MASKED else rf"(?<!\w){re.escape(text)}(?!\w)"
        message = re.sub(whole, MASK, message, flags=re.IGNORECASE)
        message = _without_runs_of(text, message)
        message = _without_number(text, message)
    return message


def _without_number(text: str, message: str) -> str:
    """Return *message* without the number that *text* stands for, however it is written: ``042`` is 42."""
    try:
        number = float(text)
    except ValueError:
        return message
    return _NUMBER.sub(lambda found: MASK if float(found[0]) == number else found[0], message)


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
    elif given is not None and (text := str(given).strip()):
        yield text
