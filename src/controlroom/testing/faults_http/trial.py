"""Runs a client of yours through all that can be wrong with a list, and says what it made of it."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections import Counter
from collections.abc import AsyncIterable, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Unpack

from controlroom.testing.faults_http.faults import FAULTS, Fault
from controlroom.testing.faults_http.lists import ListOptions
from controlroom.testing.faults_http.server import FaultServer

__all__ = ["Verdict", "put_through"]

Walk = Callable[[str], Iterable[Any] | AsyncIterable[Any] | Coroutine[Any, Any, Iterable[Any]]]
Ending = Literal["OK", "RAISED", "LOST", "DOUBLED", "ENDLESS", "HUNG", "EARLY", "LEAKED", "SWALLOWED", "UNTRIED"]

_PLAIN: Final = "no fault"
_GOODBYE_S: Final = 2.0
_MANY: Final = 200  # requests of one walk, or records beyond twice those served
_SAFE: Final = ("OK", "RAISED")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk made of one fault.

    Attributes:
        fault: Its name; "no fault" for the honest server.
        ending: OK: all records came, each once. RAISED: an error came. LOST, DOUBLED: the walk ended as if all were well,
            and it was not. ENDLESS: it asked on and on. HUNG: it did not end in time. EARLY: it came back before the time
            that the server had named. LEAKED: credentials went to another origin, or into an error's text. SWALLOWED: it
            took in a bomb. UNTRIED: it never came to the point where the fault is.
        wanted: What a client should make of it: all "records", an "error", or "either".
        lost, surplus: Records that did not come, and those that came too often.
        requests: How many it made.
        error: What it raised, if it did.
    """

    fault: str
    ending: Ending
    wanted: Literal["records", "error", "either"]
    lost: int
    surplus: int
    requests: int
    error: BaseException | None = field(default=None, repr=False)

    @property
    def is_safe(self) -> bool:
        """Whether nothing went wrong silently: all records came, or an error."""
        return self.ending in _SAFE

    @property
    def is_as_wanted(self) -> bool:
        """Whether the records came where they can, and an error where they cannot."""
        return self.ending == {"records": "OK", "error": "RAISED"}.get(self.wanted, self.ending) and self.is_safe

    def __str__(self) -> str:
        number = {"LOST": f" {self.lost}", "DOUBLED": f" {self.surplus}"}.get(self.ending, "")
        told = f" ({type(self.error).__name__})" if self.ending == "RAISED" else ""
        return f"{self.fault}: {self.ending}{number}{told}"


def put_through(
    walk: Walk,
    *,
    records: Sequence[Any] | None = None,
    faults: Collection[str] | None = None,
    secrets: Collection[str] = (),
    limit_s: float = 30.0,
    **options: Unpack[ListOptions],
) -> list[Verdict]:
    """Let *walk* read a list that is served by an honest server first, and then with each fault.

    Args:
        walk: Your client: takes the server's URL, returns an iterable of the records as they were served; it may be
            asynchronous in either way. Give it short timeouts: two of the faults are silence and a drip.
        records: What the list holds; 250 of the form {"id": n} when not given. Distinct ones, on 5 pages or more.
        faults: Names from `FAULTS`; all that the style of paging can have when not given.
        secrets: The credentials that *walk* uses: they must not go to another origin, nor into an error's text.
        limit_s: How long one walk may take.
        **options: How the list is served; see `ListOptions`.

    Returns:
        One verdict for each fault, in order. ``assert all(verdict.is_safe for verdict in verdicts)``.

    Raises:
        ConfigError: An option or a fault is impossible.

    Guarantees:
        Ends, whatever *walk* does: requests and time are limited. A walk that does not end is left in a daemon thread,
        its connections broken.
    """
    style, stated = options.get("style", "cursor"), options.get("total", True)
    fitting = [name for name, kind in FAULTS.items() if style in kind.styles and (stated or not kind.needs_total)]
    chosen = fitting if faults is None else [Fault(name).name for name in faults]
    verdicts = []
    for fault in [None, *map(Fault, chosen)]:
        server = FaultServer(records, faults=[fault] if fault else [], max_requests=_MANY, **options)
        verdicts.append(_judged(walk, server, fault, tuple(secrets), limit_s))
    return verdicts


@dataclass
class _Walked:
    most: int
    records: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    is_over: bool = False

    @property
    def is_flood(self) -> bool:
        return len(self.records) > self.most

    def take(self, walk: Walk, url: str) -> None:
        try:
            found = walk(url)
            if isinstance(found, Coroutine):
                found = asyncio.run(found)
            if isinstance(found, AsyncIterable):
                asyncio.run(self._drain(found))
            else:
                for record in found:
                    self.records.append(record)
                    if self.is_flood:
                        break
        except BaseException as error:  # noqa: BLE001 - whatever comes out is the verdict
            self.error = error
        self.is_over = True

    async def _drain(self, found: AsyncIterable[Any]) -> None:
        async for record in found:
            self.records.append(record)
            if self.is_flood:
                break


def _judged(walk: Walk, server: FaultServer, fault: Fault | None, secrets: tuple[str, ...], limit_s: float) -> Verdict:
    served = server.listed.records
    walked = _Walked(most=_MANY + 2 * len(served))
    with server:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(walked.take, walk, server.url), daemon=True)
        thread.start()
        thread.join(limit_s)
        is_over = walked.is_over
    thread.join(_GOODBYE_S)
    came, there = _counted(walked.records), _counted(served)
    lost, surplus = (there - came).total(), (came - there).total()
    return Verdict(
        fault.name if fault else _PLAIN,
        _ending(server, walked, fault, secrets, is_over=is_over, lost=lost, surplus=surplus),
        fault.kind.wanted if fault else "records",
        lost,
        surplus,
        len(server.requests),
        walked.error,
    )


def _ending(
    server: FaultServer,
    walked: _Walked,
    fault: Fault | None,
    secrets: tuple[str, ...],
    *,
    is_over: bool,
    lost: int,
    surplus: int,
) -> Ending:
    leaked = any(asked.is_foreign and asked.carries(*secrets) for asked in server.requests)
    told = any(secret in text for secret in secrets for text in _texts(walked.error))
    silently: Sequence[tuple[bool, Ending]] = (
        (fault is not None and fault.kind.wanted == "error" and fault.name == "bomb" and not lost, "SWALLOWED"),
        (lost > 0, "LOST"),
        (surplus > 0, "DOUBLED"),
        (fault is not None and fault not in server.struck, "UNTRIED"),
    )
    endings: Sequence[tuple[bool, Ending]] = (
        (leaked or told, "LEAKED"),
        (server.has_overrun or walked.is_flood, "ENDLESS"),
        (not is_over, "HUNG"),
        (any(asked.is_early for asked in server.requests), "EARLY"),
        (walked.error is not None, "RAISED"),
        *silently,
    )
    return next((ending for holds, ending in endings if holds), "OK")


def _texts(error: BaseException | None) -> Iterator[str]:
    """Yield what an error and its causes say; no lines of source, where the user's own secrets stand."""
    while error is not None:
        yield from (str(error), repr(error), *getattr(error, "__notes__", ()))
        error = error.__cause__ or error.__context__


def _counted(records: Iterable[Any]) -> Counter[str]:
    return Counter(json.dumps(record, sort_keys=True, default=repr) for record in records)
