"""The logger that the rest of the package, and its users, hold."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from controlroom.logs.failures import failure_facts, mark_reported
from controlroom.logs.sinks import losses

if TYPE_CHECKING:
    from controlroom.logs.engine import Engine

__all__ = ["Logger", "disabled_loggers", "get_logger"]

_DEBUG: Final = logging.DEBUG
_names: set[str] = set()


class Logger:
    """Logs events: a past-tense name, and facts as keys. Made by `get_logger`.

    Whether a level is logged is decided by the standard library's logger of the same name, so that levels set on it,
    ``logging.disable`` and `setup_logging` all hold. A fact called like one of the line's own keys (``level``,
    ``event``, ``logger``, ``timestamp``, ``seq``, ``pid``) gets an underscore behind its name.

    Guarantees:
        No method raises because of what it is given, nor because a line cannot be written. Picklable; thread-safe.
    """

    __slots__ = ("_engine", "_facts", "_levels", "_standard", "name")

    def __init__(self, name: str, facts: Mapping[str, Any] | None = None) -> None:
        self.name: str = name
        _names.add(name)
        self._facts: dict[str, Any] = dict(facts or {})
        self._standard: logging.Logger = logging.getLogger(name)
        # What logging remembers of its own answers until a level changes: a dropped DEBUG is to cost no call beyond its own.
        self._levels: Mapping[int, bool] = getattr(self._standard, "_cache", {})
        self._engine: Engine | None = None

    def debug(self, event: str, /, **facts: Any) -> None:
        """Log what only somebody who searches a fault wants to know."""
        try:
            if not self._levels[_DEBUG]:
                return
        except KeyError:  # not asked since a level was changed somewhere
            pass
        if self._standard.isEnabledFor(logging.DEBUG):
            self._emit(logging.DEBUG, event, facts)

    def info(self, event: str, /, **facts: Any) -> None:
        """Log what happened as it should."""
        if self._standard.isEnabledFor(logging.INFO):
            self._emit(logging.INFO, event, facts)

    def warning(self, event: str, /, **facts: Any) -> None:
        """Log what the job coped with by itself, and somebody should know."""
        if self._standard.isEnabledFor(logging.WARNING):
            self._emit(logging.WARNING, event, facts)

    def error(self, event: str, /, **facts: Any) -> None:
        """Log what somebody must act on. Where there is an exception, use `failure`.

        ``exc_info=`` is understood as the standard library does, and becomes a `failure`.
        """
        if "exc_info" in facts and (error := _meant(facts.pop("exc_info"))) is not None:
            self._fail(event, error, facts)
        elif self._standard.isEnabledFor(logging.ERROR):
            self._emit(logging.ERROR, event, facts)

    def exception(self, event: str, /, **facts: Any) -> None:
        """Log the exception that is being handled; see `failure`."""
        self.error(event, exc_info=True, **facts)

    def failure(self, event: str, /, error: BaseException, **facts: Any) -> None:
        """Log *error* once: one ERROR with its code, disposition, attempts, notes, causes, members and traceback as data.

        A second call for the same error object is a no-op, also after the error crossed a process. An error that was
        raised from a reported one is a failure of its own: it is logged, without the traceback told before.

        Args:
            event: What failed, as a past-tense name.
            error: Any exception. Locals are never shown; texts are masked.
            **facts: Further facts.
        """
        self._fail(event, error, facts)

    def bind(self, **facts: Any) -> Logger:
        """Return a logger that puts *facts* on each of its lines."""
        return Logger(self.name, {**self._facts, **facts})

    def is_enabled_for(self, level: int | str) -> bool:
        """Tell whether a line of *level* (a name, or a number of `logging`) would be logged now."""
        number = logging.getLevelNamesMapping().get(level.upper(), logging.NOTSET) if isinstance(level, str) else level
        return self._standard.isEnabledFor(number)

    def __repr__(self) -> str:
        return f"Logger({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Logger, (self.name, self._facts)

    def _fail(self, event: str, error: BaseException, facts: dict[str, Any]) -> None:
        try:
            if self._standard.isEnabledFor(logging.ERROR) and mark_reported(error):
                self._emit(logging.ERROR, event, {**failure_facts(error), **facts})
        except Exception:  # noqa: BLE001 - an exception of a class that nobody can even name
            losses.count()

    def _emit(self, level: int, event: str, facts: dict[str, Any]) -> None:
        try:
            if self._engine is None:
                self._engine = _started(self._standard, self._facts)
            self._engine.emit(level, event, facts)
        except Exception:  # noqa: BLE001 - a log call never breaks the job; also not while the interpreter ends
            losses.count()


def _meant(exc_info: Any) -> BaseException | None:
    """Return the exception that the standard library would take *exc_info* for."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple) and len(exc_info) > 1:
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exception() if exc_info else None


def _started(standard: logging.Logger, facts: Mapping[str, Any]) -> Engine:
    from controlroom.logs.engine import start  # noqa: PLC0415 - structlog imports rich where installed: not before use

    return start(standard, facts)


def disabled_loggers() -> list[logging.Logger]:
    """Return the standard library's loggers behind ours that are disabled: as ``dictConfig`` and ``fileConfig`` leave them.

    What they find in place they disable unless told otherwise, and a logger stands at the top of each module.
    """
    return [logger for name in sorted(_names) if (logger := logging.getLogger(name)).disabled]


def get_logger(name: str | None = None) -> Logger:
    """Return a logger for *name*, usually ``__name__``, which it also is when left out.

    Before `setup_logging` is fine, also at the top of a module; what is logged before it at INFO or below goes nowhere.
    """
    return Logger(sys._getframe(1).f_globals.get("__name__", "root") if name is None else name)  # noqa: SLF001 - as logging does
