"""Changes to the process-wide logging that can be taken back, each only where nobody changed it since."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

__all__ = ["Changes"]


@dataclass(frozen=True, slots=True)
class _Change:
    what: str
    stands: Callable[[], bool]
    take_back: Callable[[], object]
    always: bool  # take it back even where it no longer stands


class Changes:
    """Makes changes one by one and takes them back in the opposite order."""

    def __init__(self) -> None:
        self._made: list[_Change] = []

    @property
    def made(self) -> tuple[str, ...]:
        """What was done, in words, oldest first."""
        return tuple(change.what for change in self._made)

    def stand(self) -> bool:
        """Tell whether all of it is still in place."""
        return all(change.stands() for change in self._made)

    def take_back(self) -> None:
        """Restore what was there before; where somebody else has changed it since, theirs stays. Once."""
        while self._made:
            change = self._made.pop()
            if change.always or change.stands():
                change.take_back()

    def add_handler(self, handler: logging.Handler, what: str) -> None:
        """Add *handler* to the root logger; taken back, it is closed."""
        root = logging.getLogger()
        root.addHandler(handler)

        def take_back() -> None:
            root.removeHandler(handler)
            handler.close()

        self._note(what, lambda: handler in root.handlers, take_back, always=True)

    def remove_handler(self, handler: logging.Handler, what: str) -> None:
        """Take *handler* off the root logger, and leave it open."""
        root = logging.getLogger()
        place = root.handlers.index(handler)  # they are called in their order
        root.removeHandler(handler)
        self._note(what, lambda: handler not in root.handlers, lambda: root.handlers.insert(place, handler))

    def set_formatter(self, handler: logging.Handler, formatter: logging.Formatter, what: str) -> None:
        """Let *handler* write with *formatter*."""
        before = handler.formatter
        handler.setFormatter(formatter)
        self._note(what, lambda: handler.formatter is formatter, lambda: handler.setFormatter(before))

    def set_level(self, logger: logging.Logger, level: int, what: str) -> None:
        """Give *logger* the *level*."""
        before = logger.level
        logger.setLevel(level)
        self._note(what, lambda: logger.level == level, lambda: logger.setLevel(before))

    def enable(self, logger: logging.Logger, what: str) -> None:
        """Let *logger*, which was disabled, log."""
        logger.disabled = False
        self._note(what, lambda: not logger.disabled, lambda: setattr(logger, "disabled", True))

    def add_filter(self, handler: logging.Handler, filter_: logging.Filter, what: str) -> None:
        """Let *handler* have what *filter_* lets pass."""
        handler.addFilter(filter_)
        self._note(what, lambda: filter_ in handler.filters, lambda: handler.removeFilter(filter_))

    def switch(self, turn: Callable[[bool], object], is_on: Callable[[], bool], what: str) -> None:
        """Turn on what *turn* turns; taken back, it is turned off."""
        turn(True)  # noqa: FBT003 - it is a switch
        self._note(what, is_on, lambda: turn(False))  # noqa: FBT003 - as above

    def tell(self, what: str) -> None:
        """Say *what* is so from now on, which nothing has to take back."""
        self._note(what, lambda: True, lambda: None)

    def show_warnings(self, show: Callable[..., Any], what: str) -> None:
        """Let *show* take the place of ``warnings.showwarning``.

        Not `logging.captureWarnings`, whose memory of what was there before outlives a ``catch_warnings`` block.
        """
        before = warnings.showwarning
        warnings.showwarning = show

        def take_back() -> None:
            warnings.showwarning = before

        self._note(what, lambda: warnings.showwarning is show, take_back)

    def set_hook(self, module: ModuleType, name: str, hook: Callable[..., Any], what: str) -> None:
        """Let *hook* take the place of what *module* calls *name*."""
        before = getattr(module, name)
        setattr(module, name, hook)
        self._note(what, lambda: getattr(module, name) is hook, lambda: setattr(module, name, before))

    def _note(
        self, what: str, stands: Callable[[], bool], take_back: Callable[[], object], *, always: bool = False
    ) -> None:
        self._made.append(_Change(what, stands, take_back, always))
