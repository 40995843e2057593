"""A pickle without secrets: what is taken out of the state of settings before it leaves the process."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from controlroom.errors import ConfigError
from controlroom.redaction import MASK, redact

__all__ = ["Withheld", "refuse", "without_secrets"]

_LISTED = (list, tuple, set, frozenset)


class Withheld:
    """In the place of a secret that was not pickled: asking for it raises ConfigError."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def _secret_value(self) -> Any:
        refuse(self._name)

    def _display(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"SecretStr({MASK!r})"  # as pydantic shows a secret, which the redaction knows for a mask

    def __len__(self) -> int:  # noqa: PLE0303 - it raises
        refuse(self._name)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))


class _WithheldText(Withheld, SecretStr):  # type: ignore[override]  # a property in the place of the value refuses it
    def _display(self) -> str:
        return MASK


class _WithheldBytes(Withheld, SecretBytes):  # type: ignore[override]  # as above
    def _display(self) -> bytes:  # type: ignore[override]  # SecretBytes shows bytes
        return MASK.encode()


class _WithheldOther(Withheld, Secret[Any]):
    pass


_WITHHELD = {SecretStr: _WithheldText, SecretBytes: _WithheldBytes, Secret: _WithheldOther}


def refuse(name: str) -> NoReturn:
    """Raise the error of whoever asks for what was withheld."""
    message = (
        f"{name} is or holds a secret, and was withheld when these settings were pickled. Load the settings where they are"
        " needed, or pickle what keeping_secrets() returns."
    )
    raise ConfigError(message)


def without_secrets(values: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return *values* with a `Withheld` for each secret, and the names of those in which one is not to be replaced.

    A secret is what says so by its type, what stands under a telling name, and each text in which the redaction finds one:
    the password of a URL, a secret under another name.
    """
    kept: dict[str, Any] = {}
    for name, value in values.items():
        replaced = _replaced(value, name)
        if not _shows_secret(name, replaced):
            kept[name] = replaced
    return kept, frozenset(values.keys() - kept.keys())


def _replaced(value: Any, name: str) -> Any:
    kind = type(value)
    for secret, withheld in _WITHHELD.items():
        if isinstance(value, secret):
            return value if isinstance(value, Withheld) else withheld(name)
    if isinstance(value, BaseModel):
        return _with_parts(value, {**value.__dict__}, name)
    if kind is dict:
        return {_replaced(key, name): _replaced(item, name) for key, item in value.items()}
    if kind in _LISTED:
        return kind([_replaced(item, name) for item in value])
    if is_dataclass(value) and not isinstance(value, type):
        return _with_parts(value, {each.name: getattr(value, each.name, None) for each in fields(value)}, name)
    return value


def _with_parts(value: Any, parts: Mapping[str, Any], name: str) -> Any:
    twin = copy(value)
    for part, item in parts.items():
        object.__setattr__(twin, part, _replaced(item, f"{name}.{part}"))  # past what frozen models refuse
    return twin


def _shows_secret(name: str, value: Any) -> bool:
    """Tell whether something secret is left: where it was not to be replaced, or has no type of its own."""
    texts = {name: list(_texts(value))}
    return bool(redact(texts) != texts)


def _texts(value: Any) -> Iterator[Any]:
    match value:
        case None | bool() | Withheld():
            return
        case SecretStr() | SecretBytes() | Secret():
            yield {"secret": "one that was not to be replaced"}
        case str() | int() | float():
            yield str(value)
        case bytes():
            yield value.decode("utf-8", "replace")
        case Mapping():
            for key, item in value.items():
                yield from _texts(key)
                yield {str(key): list(_texts(item))}
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _texts(item)
        case BaseModel():
            yield from _texts(value.__dict__)
            yield from _texts(value.__pydantic_extra__)
            yield from _texts(value.__pydantic_private__)
        case _:
            yield from _texts_of_object(value)


def _texts_of_object(value: Any) -> Iterator[str]:
    """Yield what any other object shows, and what it would write: a class of the user's own may keep a secret anywhere."""
    yield str(value)
    try:
        pickled = pickle.dumps(value)
    except Exception:  # noqa: BLE001 - then the settings cannot be pickled either, and their own pickling says why
        return
    yield pickled.decode("utf-8", "ignore")
