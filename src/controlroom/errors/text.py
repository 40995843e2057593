"""Plain data from anything, and the one seam through which every text of every error is masked."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from enum import Enum
from typing import Any

__all__ = ["kept", "masked", "plain", "portable", "redact_with", "shown", "text_of"]

_DEEPEST = 32  # deeper than any body that a person would read
_MOST_NODES = 100_000  # shared parts that hold shared parts multiply without end
_LARGEST_INT_BITS = 8192  # Python refuses to write integers of more than 4300 digits

_trial = threading.local()
_redact: Callable[[Any], Any] | None = None


def redact_with(redact: Callable[[Any], Any]) -> None:
    """Mask every text of every error with *redact* from now on (called by `controlroom.redaction` when it is loaded)."""
    global _redact  # noqa: PLW0603 - the one seam between floor 0 and floor 1, set once on import
    _redact = redact


def masked(value: Any) -> Any:
    """Return *value*, a text or JSON-like data, with secrets masked."""
    return value if _redact is None else _redact(value)


def shown(value: object) -> str:
    """Return the text of *value* with secrets masked."""
    text: str = masked(text_of(value))
    return text


def kept(value: Any) -> Any:
    """Return *value* as an error may keep it: plain data without secrets, and floats also where they are not finite."""
    return value if type(value) is float else masked(plain(value))


def plain(value: Any) -> Any:
    """Return *value* as JSON-ready data; what JSON has no form for becomes its text.

    Never raises. What contains itself, or lies deeper than 32 levels, becomes "…"; keys that become equal are told apart
    by a trailing underscore; sets are sorted.
    """
    return _Plain().form_of(value, ())


class _Plain:
    """One conversion: what lies around a value is passed down, how much was converted is counted."""

    def __init__(self) -> None:
        self._nodes = 0

    def form_of(self, value: Any, around: tuple[int, ...]) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            return "…"
        try:
            return self._form_of(value, around)
        except Exception as unreadable:  # noqa: BLE001 - a foreign container may raise anything; the report must not
            return f"<{type(value).__name__} that raised {type(unreadable).__name__}>"

    def _form_of(self, value: Any, around: tuple[int, ...]) -> Any:
        match value:
            case None | bool():
                return value
            case Enum():
                return self.form_of(value.value, around)
            case str() | int() | float():
                return _exact(value)
            case date() | time():
                return value.isoformat()
            case Mapping() | list() | tuple() | AbstractSet():
                inside = (*around, id(value))
                return "…" if id(value) in around or len(inside) > _DEEPEST else self._composed(value, inside)
            case _:
                return text_of(value)

    def _composed(self, value: Any, inside: tuple[int, ...]) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, inside)
        items = [self.form_of(item, inside) for item in value]
        return sorted(items, key=repr) if isinstance(value, AbstractSet) else items

    def _mapping(self, value: Mapping[Any, Any], inside: tuple[int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = text_of(key)
            while name in result:
                name += "_"
            result[name] = self.form_of(item, inside)
        return result


def _exact(value: str | float) -> str | float:
    """Return *value* without its subclass, or its text where JSON or Python has no way to write the number."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value) if value.bit_length() <= _LARGEST_INT_BITS else text_of(value)
    return float.__float__(value) if math.isfinite(value) else float.__repr__(value)


def text_of(value: object) -> str:
    """Return ``str(value)``, of bytes their text, or a remark in its place where that raises."""
    try:
        if isinstance(value, bytes | bytearray):
            return value.decode("utf-8", "backslashreplace")
        return str.__str__(str(value))
    except Exception as unprintable:  # noqa: BLE001 - a foreign __str__ may raise anything; the report must not
        return f"<{type(value).__name__} whose text raised {type(unprintable).__name__}>"


def portable(value: Any, depth: int = 0) -> Any:
    """Return *value* fit for another process: texts masked, and in place of what cannot be pickled its text.

    A process pool whose worker raises what cannot be pickled reports something else; one whose parent cannot unpickle
    it waits forever (CPython #79492).
    """
    kind = type(value)
    if value is None or kind in {bool, int, float}:
        return _exact(value) if kind is int else value  # protocol 0 of pickle writes decimal digits
    if kind in {str, bytes}:
        return masked(value)
    if kind not in {dict, list, tuple, set, frozenset}:
        return value if _survives_pickling(value) else shown(value)
    if depth >= _DEEPEST:
        return "…"
    if kind is dict:
        return {portable(key, depth + 1): portable(item, depth + 1) for key, item in value.items()}
    return kind(portable(item, depth + 1) for item in value)


def _survives_pickling(value: Any) -> bool:
    if getattr(_trial, "runs", False):  # inside another error that is being tried: that trial decides for both
        return True
    _trial.runs = True
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - what was pickled a moment ago, here
    except Exception:  # noqa: BLE001 - a foreign __reduce__ or __init__ may raise anything
        return False
    finally:
        _trial.runs = False
    return True
