"""The plan by which the reference API misbehaves: data, the same for every run, counted per path."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DEFAULT_FAULTS", "Fault", "FaultKind", "FaultPlan", "Injected"]

FaultKind = Literal["rate_limited", "unavailable", "reset", "cut_short"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Requests number *request* … *request* + *times* - 1 to *path* go wrong in this way (the first is number 1).

    ``rate_limited`` answers 429 with Retry-After, ``unavailable`` 503, ``reset`` breaks the connection with an RST
    instead of an answer, ``cut_short`` promises a whole body, sends half and closes.
    """

    kind: FaultKind
    request: int
    times: int = 1
    path: str = "/v1/airports"

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind) or self.request < 1 or self.times < 1:
            message = f"{self}: kind is one of {get_args(FaultKind)}; request and times are at least 1."
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``reset@5`` or, for three requests in a row, ``reset@5x3``."""
        kind, _, place = text.partition("@")
        request, _, times = place.partition("x")
        return cls(kind, int(request), int(times or 1))  # type: ignore[arg-type]  # __post_init__ checks the kind


# One walk of the airports by 20 (six pages) meets all four, and two of them back to back.
DEFAULT_FAULTS: Final = (Fault("rate_limited", 2), Fault("unavailable", 4), Fault("reset", 5), Fault("cut_short", 7))


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that did happen: to request number *request* of *path*, which asked for *target*."""

    kind: FaultKind
    request: int
    path: str
    target: str


class FaultPlan:
    """Counts the requests of each path and says which fault, if any, the next one meets."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._injected: list[Injected] = []
        self._due: dict[tuple[str, int], FaultKind] = {}
        for fault in faults:
            for request in range(fault.request, fault.request + fault.times):
                if (fault.path, request) in self._due:
                    message = f"{fault}: another fault of the plan has request {request} of {fault.path}."
                    raise ValueError(message)
                self._due[fault.path, request] = fault.kind

    def draw(self, path: str, target: str) -> FaultKind | None:
        with self._lock:
            self._counts[path] += 1
            request = self._counts[path]
            kind = self._due.get((path, request))
            if kind is not None:
                self._injected.append(Injected(kind, request, path, target))
            return kind

    def injected(self) -> list[Injected]:
        with self._lock:
            return list(self._injected)

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)
