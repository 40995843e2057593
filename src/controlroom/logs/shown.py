"""One event on its way to the sinks: made presentable and rendered at most once, however many of them ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from controlroom.logs.jsonlines import json_line
from controlroom.logs.presentable import presentable
from controlroom.logs.quick import quick_line

__all__ = ["Shown"]


class Shown:
    """A stamped event, as it may be shown."""

    __slots__ = ("_event", "_facts", "_line")

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        self._facts: dict[str, Any] | None = None
        self._line: bytes | None = None

    @classmethod
    def presented(cls, facts: dict[str, Any]) -> Self:
        """Return *facts*, which are presentable already."""
        shown = cls(facts)
        shown._facts = facts
        return shown

    def facts(self) -> dict[str, Any]:
        """Return the event masked and JSON-ready."""
        if self._facts is None:
            self._facts = presentable(self._event)
        return self._facts

    def line(self) -> bytes:
        """Return the event as one line of JSON, with the line's end."""
        if self._line is None:
            quick = quick_line(self._event) if self._facts is None else None
            self._line = quick or json_line(self.facts())
        return self._line

    def json(self) -> str:
        """Return the event as one line of JSON, without the line's end."""
        return self.line()[:-1].decode()

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave live values behind: records are pickled on their way through queues and sockets."""
        return Shown.presented, (self.facts(),)
