"""A server on the loopback interface that serves a list, with faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, Unpack
from urllib.parse import parse_qsl

from controlroom.clock import monotonic_s
from controlroom.errors import ConfigError
from controlroom.testing.faults_http.connection import Answer, Listener
from controlroom.testing.faults_http.faults import Fault
from controlroom.testing.faults_http.lists import ListOptions, PagedList, ServedPage
from controlroom.testing.faults_http.turns import Turn

__all__ = ["FaultServer", "Received"]

_CREDENTIALS: Final = ("authorization", "cookie", "proxy-authorization", "x-api-key")
_EARLY_S: Final = 0.02  # clocks have grains
_HTTP_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came.

    Attributes:
        method, path: As they stand in the request line, the path without its query.
        query, headers, body: What it carried; names of headers in lower case.
        at_s: When, on the monotonic clock.
        is_foreign: Whether it came to the other origin.
        is_early: Whether it came before the time that a Retry-After had asked for.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at_s: float
    is_foreign: bool = False
    is_early: bool = False

    def carries(self, *texts: str) -> bool:
        """Tell whether a header for credentials was sent, or one of *texts* anywhere."""
        sent = [*self.query.values(), *self.headers.values(), self.body.decode(errors="replace")]
        return any(name in self.headers for name in _CREDENTIALS) or any(text in one for text in texts for one in sent)


class FaultServer:
    """Serves a list on the loopback interface, with faults: ``with FaultServer(records, faults=[Fault("reset")]) as server``.

    Args:
        records: What the list holds, JSON; 250 of the form {"id": n} when not given.
        faults: What goes wrong.
        max_requests: Requests beyond this number get no answer; None: no limit.
        **options: How the list is served; see `ListOptions`.

    Attributes:
        url: "http://127.0.0.1:…", once it is started. The list is below, at "/items".
        requests: What came, in order.
        struck: The faults that happened, in order, as often as they did.

    Raises:
        ConfigError: An option is impossible, or a fault can never strike this list.

    Guarantees:
        Real sockets, standard library only, reachable from this machine only. Its threads and connections are gone when
        the block is over. Without faults it is an honest server.
    """

    def __init__(
        self,
        records: Sequence[Any] | None = None,
        *,
        faults: Sequence[Fault] = (),
        max_requests: int | None = None,
        **options: Unpack[ListOptions],
    ) -> None:
        self.url: str = ""
        self._other_url = ""
        self.requests: list[Received] = []
        self.struck: list[Fault] = []
        held = [{"id": n} for n in range(1, 251)] if records is None else list(records)
        self.listed: PagedList = PagedList(held, **options)
        self._faults = [(fault, _require(fault, self.listed)) for fault in faults]
        self._max_requests = max_requests
        self._due_s = 0.0
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    @property
    def has_overrun(self) -> bool:
        """Whether more than *max_requests* came."""
        return self._max_requests is not None and len(self.requests) > self._max_requests

    def start(self) -> Self:
        """Listen; called by ``with``."""
        self._listeners = [Listener(self._ask)]
        self.url = f"http://127.0.0.1:{self._listeners[0].port}"
        if any(fault.name == "other origin" for fault, _ in self._faults):
            self._listeners.append(Listener(self._ask_the_other))
            self._other_url = f"http://localhost:{self._listeners[1].port}"
        return self

    def close(self) -> None:
        """Break all connections and stop; a second call does nothing."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return self._served(method, target, headers, body, is_foreign=False)

    def _ask_the_other(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return self._served(method, target, headers, body, is_foreign=True)

    def _served(self, method: str, target: str, headers: Mapping[str, str], body: bytes, *, is_foreign: bool) -> Answer:
        path, _, query_text = target.partition("?")
        query, now_s = dict(parse_qsl(query_text, keep_blank_values=True)), monotonic_s()
        with self._lock:
            is_early = now_s < self._due_s - _EARLY_S
            self.requests.append(Received(method, path, query, headers, body, now_s, is_foreign, is_early))
            if self.has_overrun:
                return Answer(0, {}, b"", "hang up")
            if path != self.listed.path or method != ("POST" if self.listed.style == "post" else "GET"):
                return _refusal(404, "there is nothing here")
            turn = Turn(self.listed, query, headers, self._other_url if is_foreign else self.url, self._other_url)
            try:
                turn.place = self.listed.place(query, json.loads(body or b"{}"))
            except ValueError as error:
                return _refusal(_HTTP_ERROR, str(error))
            self._play(turn)
            self._due_s = now_s + turn.wait_s
            return Answer(turn.status, turn.headers, turn.content, turn.manner)

    def _play(self, turn: Turn) -> None:
        self._lay("asked", turn)
        start, kind = turn.place.start, turn.place.kind
        end = min(start + turn.place.count, len(self.listed.records))
        turn.records = None if kind == "z" else list(self.listed.records[start:end])
        turn.total = len(self.listed.records) if self.listed.total else None
        is_last = kind == "r" and end >= len(self.listed.records)
        turn.next_token = None if is_last or not self.listed.points else f"r{end if kind == 'r' else start}"
        self._lay("page", turn)
        _write(turn)
        self._lay("answer", turn)

    def _lay(self, stage: str, turn: Turn) -> None:
        for position, (fault, left) in enumerate(self._faults):
            if fault.kind.stage == stage and left != 0 and fault.kind.strike(turn, fault.page):
                self.struck.append(fault)
                self._faults[position] = (fault, None if left is None else left - 1)


def _require(fault: Fault, listed: PagedList) -> int | None:
    """Return how often *fault* strikes, or refuse it."""
    pages = -(-len(listed.records) // listed.page_size)
    if fault.page > pages:
        message = f"{fault} can never strike: the list has {pages} pages."
        raise ConfigError(message)
    if listed.style not in fault.kind.styles:
        message = f"{fault} can never strike: it is for {', '.join(fault.kind.styles)}."
        raise ConfigError(message)
    return fault.times


def _refusal(status: int, reason: str) -> Answer:
    return Answer(status, {}, json.dumps({"error": reason}).encode(), "whole")


def _write(turn: Turn) -> None:
    """Write the page as the style has it."""
    listed, token = turn.listed, turn.next_token
    pointer = turn.end if token is None else token
    if listed.style in {"next_url", "link"} and token is not None:
        pointer = listed.link(token, "" if turn.relative else turn.origin, turn.query)
    if listed.style == "link" and pointer is not None:
        turn.headers["Link"] = turn.form.format(url=pointer)
    if listed.style == "header_cursor" and pointer is not None:
        turn.headers[listed.name("next")] = pointer
    says_next = pointer if listed.style in {"cursor", "next_url", "post"} else None
    body = listed.body_of(ServedPage(turn.records, says_next, turn.total))
    turn.content = json.dumps(_without_nulls(body) if turn.drops_nulls else body).encode()


def _without_nulls(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    return {name: _without_nulls(value) for name, value in body.items() if value is not None}
