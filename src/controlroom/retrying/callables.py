"""What can be tried again: a function of either colour, under the name that log lines give it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from controlroom.errors import ConfigError

__all__ = ["asynchronous", "is_async", "name_of"]


def is_async(fn: Callable[..., Any]) -> bool:
    """Tell the colour of *fn*; refuse what cannot be called, or not again.

    Raises:
        ConfigError: It cannot be called, or is a generator function.
    """
    if not callable(fn):
        message = f"{fn!r} cannot be called, so it cannot be retried: give a function."
        raise ConfigError(message)
    # By its code, since the predicates of `inspect` cost 1 µs each, on every call.
    inner = _innermost(fn)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    flags: int = getattr(code, "co_flags", 0)
    if flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        message = f"{name_of(fn)} is a generator: begun again, it would repeat records. Retry what it calls instead."
        raise ConfigError(message)
    return bool(flags & inspect.CO_COROUTINE)


def _innermost(fn: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(fn, partial):
        fn = fn.func
    return fn


def asynchronous(fn: Callable[..., Any]) -> ConfigError:
    """Return the error of whoever gave *fn* to a synchronous loop."""
    message = f"{name_of(fn)} is asynchronous: use `await policy.acall(…)`, or decorate the coroutine function itself."
    return ConfigError(message)


def name_of(fn: Callable[..., Any]) -> str:
    """Return what *fn* is called in log lines and errors."""
    inner = _innermost(fn)
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))
