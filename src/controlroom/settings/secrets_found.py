"""Every secret that settings hold or were given, made known to the redaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from controlroom.redaction import register_secret
from controlroom.settings.layers import Layer, get_in
from controlroom.settings.schema import Setting, leaves
from controlroom.settings.withholding import Withheld

__all__ = ["holds_secret", "register_given", "register_held"]

_AUTHORITY = re.compile(r"://([^\s/?#]+)")
_SHORTEST_PLAIN = 6  # a plain text under a telling name: masking a shorter one everywhere would eat the log


def register_given(settings: Iterable[Setting], layers: Sequence[Layer]) -> None:
    """Register what *layers* hold for secret settings, before anything is said about them, losers included."""
    for layer in layers:
        _register_urls(layer.values)
        for leaf in leaves(settings):
            if (leaf.secret or leaf.telling) and layer.holds(leaf):
                shortest = 1 if leaf.secret else _SHORTEST_PLAIN
                for text in _telling_texts(get_in(layer.values, leaf.keys), leaf.plain):
                    if len(text) >= shortest:
                        register_secret(text)


def register_held(settings: BaseModel) -> None:
    """Register the secrets that validated *settings* hold: also those from defaults and from validators."""
    for value in _values(settings):
        if isinstance(value, Withheld):
            continue
        if isinstance(value, SecretStr | SecretBytes | Secret):
            for text in _texts(value.get_secret_value()):
                register_secret(text)
                _register_urls(text)
        else:
            _register_urls(value)


def holds_secret(value: Any) -> bool:
    """Tell whether a secret, by its type, is in *value*."""
    return any(isinstance(found, SecretStr | SecretBytes | Secret) for found in _values(value))


def _register_urls(value: Any) -> None:
    for text in _texts(value):
        for authority in _AUTHORITY.findall(text) if "://" in text else ():
            for part in (authority, *authority.split(",")):  # several hosts, each with a password, or a comma in one
                password = part.rpartition("@")[0].partition(":")[2]
                register_secret(password)
                register_secret(unquote(password))


def _values(value: Any) -> Iterator[Any]:
    match value:
        case BaseModel():
            yield from _values(
                {name: item for name, item in value.__dict__.items() if name in type(value).model_fields}
            )
            yield from _values(value.model_extra)
        case Mapping():
            for pair in value.items():
                yield from (found for part in pair for found in _values(part))
        case _ if is_dataclass(value) and not isinstance(value, type):
            yield from _values([getattr(value, each.name, None) for each in fields(value)])
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _values(item)
        case _:
            yield value


def _telling_texts(value: Any, plain: frozenset[str] | None) -> Iterator[str]:
    """Yield what may be secret in *value*: a store's token, and not its bucket, which stands under one of *plain* names."""
    if isinstance(value, BaseModel):
        value = value.__dict__
    if plain is not None and isinstance(value, Mapping):
        for key, item in value.items():
            if str(key).lower() not in plain:
                yield from _telling_texts(item, plain)
    elif plain is not None and isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _telling_texts(item, plain)
    else:
        yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    for found in _values(value):
        if isinstance(found, SecretStr | SecretBytes | Secret):
            yield from _texts(found.get_secret_value())
        elif isinstance(found, bytes):
            yield found.decode("utf-8", "replace")
        elif found is not None and not isinstance(found, bool):
            yield str(found)
