"""What one setting is, in words: its type, its default, what it allows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from controlroom.errors.text import plain
from controlroom.redaction import redact_text
from controlroom.settings.schema import Setting
from controlroom.settings.secrets_found import holds_secret

__all__ = ["UNSET", "constraints_of", "default_of", "default_text", "type_text"]

UNSET: Any = object()  # no default, or one that is not known before settings are loaded

_PLAIN_FACTORIES = (list, dict, set, frozenset, tuple)
_LIMITS = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "pattern": "matching {}",
}
_SECRETS = {SecretStr: "secret text", SecretBytes: "secret bytes", Secret: "secret"}
_READ_AS_JSON = (list, tuple, set, frozenset, dict)


def type_text(annotation: Any) -> str:
    """Return the type as a reader of the page should know it: ``int``, ``list[str] as JSON``, ``"red" or "blue"``."""
    as_json = _is_json(annotation)
    return f"{_type(annotation)} as JSON" if as_json else _type(annotation)


def constraints_of(info: FieldInfo) -> Iterator[str]:
    """Yield what a value must fulfil besides its type."""
    for item in info.metadata:
        for limit, words in _LIMITS.items():
            if (bound := getattr(item, limit, None)) is not None:
                yield words.format(bound)


def default_of(info: FieldInfo) -> Any:
    """Return the default, or `UNSET`. A factory of the user's own is not called: it may ask the clock, or a server."""
    factory = info.default_factory
    if factory is None:
        return UNSET if info.is_required() else info.default
    if factory in _PLAIN_FACTORIES:
        return factory()
    return UNSET


def default_text(value: Any, setting: Setting) -> str | None:
    """Return *value* as a variable would say it, or None where it is or holds a secret."""
    text = _value(value)
    is_empty = text == "" or (isinstance(value, (Mapping, *_READ_AS_JSON)) and not value)
    if not is_empty and (setting.hidden or holds_secret(value) or redact_text(text) != text):
        return None
    return text


def _value(value: Any) -> str:
    match value:
        case None:
            return ""
        case SecretStr() | SecretBytes() | Secret():
            return "a secret" if value.get_secret_value() else ""
        case BaseModel():
            return _value(value.model_dump())
        case Mapping() | list() | tuple() | set() | frozenset():
            return json.dumps(plain(value), ensure_ascii=False)
        case _:
            found = to_jsonable_python(value, fallback=str)
            return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _is_json(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    if kind is Annotated:
        return _is_json(get_args(annotation)[0])
    if kind in (Union, UnionType):
        return any(_is_json(argument) for argument in get_args(annotation))
    return isinstance(kind, type) and issubclass(kind, (*_READ_AS_JSON, BaseModel))


def _type(annotation: Any) -> str:
    kind, arguments = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return _type(arguments[0])
    if kind in (Union, UnionType):
        return " or ".join(_type(argument) for argument in arguments if argument is not NoneType)
    if kind is Secret:
        return f"secret {_type(arguments[0])}"
    if kind is not None and kind is not Literal:
        return f"{_type(kind)}[{', '.join('…' if each is ... else _type(each) for each in arguments)}]"
    is_enum = isinstance(annotation, type) and issubclass(annotation, Enum)
    choices = [member.value for member in annotation] if is_enum else arguments
    if choices:
        return " or ".join(json.dumps(plain(choice)) for choice in choices)
    return str(_SECRETS.get(annotation) or getattr(annotation, "__name__", annotation))
