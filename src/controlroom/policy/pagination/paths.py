"""Where a value stands in a JSON body: "data.items", "results.0.id", or a function of the body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from controlroom.errors import APIContractError

__all__ = ["MISSING", "Path", "has_no_parent", "value_at"]

Path = str | Callable[[Any], Any]
"""Dotted keys, integers index lists; or a callable ``(body) -> value``, None where there is none."""

MISSING: Final[Any] = type("Missing", (), {"__repr__": lambda _: "MISSING", "__bool__": lambda _: False})()
"""What `value_at` returns where there is nothing; not None, which a body may hold."""


def value_at(body: Any, path: Path) -> Any:
    """Return what stands at *path* in *body*, or `MISSING`.

    A key that itself holds dots is found too ("@odata.nextLink"). A callable returns None where it finds nothing.

    Raises:
        APIContractError: The path leads through a text or a number: the body has another shape than was agreed. Or a
            callable failed: that is no end of a list, but a misspelt key or a body that it was not written for.
    """
    if isinstance(path, str):
        return _follow(body, _parts(path), path)
    try:
        return path(body)
    except Exception as error:
        name = getattr(path, "__qualname__", type(path).__qualname__)
        message = (
            f"The callable path {name} failed on the body: {type(error).__name__}: {error}. Correct its keys; where one "
            f"may be absent, let it return None."
        )
        raise APIContractError(message) from error


def has_no_parent(body: Any, path: Path) -> bool:
    """Tell whether all of *path* but its last key leads nowhere in *body*, as where it is misspelt.

    A last key alone may be absent, and a parent may be null: that is how servers say that there is no more.
    """
    if not isinstance(path, str) or path.startswith("@"):  # "@odata.nextLink": an annotation, one key with a dot in it
        return False
    parts = _parts(path)
    while len(parts) > 1 and isinstance(body, Mapping):
        inner, rest = _entry(body, parts)
        if inner is MISSING:  # beside "odata.metadata", "odata.nextLink" is one key too
            return not any(str(key).startswith(f"{parts[0]}.") for key in body)
        body, parts = inner, rest
    return False


@lru_cache(maxsize=1024)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _follow(value: Any, parts: tuple[str, ...], path: str) -> Any:
    while parts:
        match value:
            case dict() | Mapping():  # the first is what JSON makes, and is found out faster
                value, parts = _entry(value, parts)
            case None:
                return MISSING
            case list():
                value, parts = _item(value, parts[0], path), parts[1:]
            case _ if value is MISSING:
                return MISSING
            case _:
                message = f'"{path}" leads through a {type(value).__name__}: the body has another shape than agreed.'
                raise APIContractError(message)
    return value


def _entry(mapping: Mapping[str, Any], parts: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    for key, rest in _keys(parts):
        if key in mapping:
            return mapping[key], rest
    return MISSING, ()


@lru_cache(maxsize=1024)
def _keys(parts: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return what may be the next key, the longest first, and what is then left."""
    return tuple((".".join(parts[:end]), parts[end:]) for end in range(len(parts), 0, -1))


def _item(items: list[Any], part: str, path: str) -> Any:
    try:
        index = int(part)
    except ValueError:
        message = f'"{path}" asks a list for "{part}": the body has another shape than agreed.'
        raise APIContractError(message) from None
    return items[index] if -len(items) <= index < len(items) else MISSING
