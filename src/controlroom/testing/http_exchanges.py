"""One connection through an `HttpProxy`: what is passed on, and the manners in which it is not."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from controlroom.testing.http_messages import Head, Wire

__all__ = ["Conversation", "Exchange", "HttpCut", "Rule"]

HttpCut = Literal["pre", "mid_request", "post", "late", "mid_reply", "trickle", "blackhole"]

_BETWEEN_DROPS_S: Final = 0.02
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # socket(7): a linger of 0 s makes close() send RST
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_FINAL: Final = 200


@dataclass(slots=True)
class Exchange:
    """A request that came by an `HttpProxy`, and what became of it.

    Attributes:
        number: The how-manieth of the proxy, from 1 on.
        method: Its method.
        target: Its target: path and query, as sent.
        headers: Its header fields, names in lower case.
        cut: How it was cut; "answer" where the proxy itself answered; None where it was passed on.
        status: What the server answered; None while, and where, it has not.
    """

    number: int
    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    cut: HttpCut | Literal["answer"] | None = None
    status: int | None = None


@dataclass(slots=True)
class Rule:
    """What to do, and with which exchanges."""

    at: int
    when: Callable[[Exchange], object] | None
    times: int
    how: HttpCut | Literal["answer"] | None = None
    after_bytes: int = 0
    reset: bool = False
    answer: bytes = b""
    forwards: bool = True
    callback: Callable[[], object] | None = None

    def strikes(self, exchange: Exchange) -> bool:
        """Whether it is the turn of *exchange*, which is counted."""
        if self.times == 0 or (self.when is not None and not self.when(exchange)):
            return False
        self.at -= 1
        if self.at > 0:
            return False
        self.times -= 1
        return True


class Judge(Protocol):
    """What a conversation asks of its proxy."""

    closing: threading.Event
    released: threading.Event

    def meet(self, head: Head) -> tuple[Exchange, Rule]:
        """Take note of a request; return what to do with it."""

    def has_met(self, exchange: Exchange) -> None:
        """Take note that an exchange has met its fate."""


class _Turn(NamedTuple):
    exchange: Exchange
    rule: Rule


class _Broken(Exception):  # noqa: N818 - a signal, caught in this file
    """The connection is cut on purpose."""


class Conversation:
    """One connection of a client, and the one to the server that belongs to it.

    Requests are read in one thread and answers in another, since a server may answer before it has heard all. Between a
    request and the end of its answer nobody reads from the client: a socket that is being read cannot be reset (Linux holds
    on to it until the read returns).
    """

    def __init__(self, judge: Judge, client: socket.socket, server: socket.socket) -> None:
        self._judge = judge
        self._client = client
        self._server = server
        self._asked: list[_Turn] = []
        self._answered = threading.Semaphore(0)
        self._over = False

    def run(self) -> None:
        """Pass on what both sides say, until one of them has hung up."""
        answers = threading.Thread(target=self._downwards, name="http-proxy-answers", daemon=True)
        answers.start()
        try:
            with contextlib.suppress(OSError, _Broken):
                self._upwards()
        finally:
            _shut_down(self._server)
            answers.join()
            for each in (self._client, self._server):
                each.close()
            for turn in self._asked:
                self._judge.has_met(turn.exchange)

    def _upwards(self) -> None:
        wire = Wire(self._client)
        while not self._over and (head := wire.head()) is not None:
            turn = _Turn(*self._judge.meet(head))
            body = wire.body(head) if head.has_body() else iter(())
            self._asked.append(turn)
            self._pass_on(turn.rule, head, self._held_back(turn.rule, head, body))
            self._answered.acquire()

    def _held_back(self, rule: Rule, head: Head, body: Iterator[bytes]) -> Iterator[bytes]:
        """Do what is done before the server hears anything; return what it shall hear."""
        expects = "expect" in head.headers
        if rule.how == "late":
            if expects:
                self._client.sendall(_CONTINUE)
            body = iter(list(body))
            self._hang_up(rule)
            self._judge.released.wait()
        if rule.how == "answer" and not rule.forwards:
            # A socket that is closed with something unread is reset, and the answer lost.
            _ = None if expects else list(body)
            self._client.sendall(rule.answer)
        if not rule.forwards or self._judge.closing.is_set():
            self._hang_up(rule)
            raise _Broken
        return _first(body, rule.after_bytes) if rule.how == "mid_request" else body

    def _pass_on(self, rule: Rule, head: Head, body: Iterator[bytes]) -> None:
        is_cut_in_its_head = rule.how == "mid_request" and not head.has_body()
        try:
            self._server.sendall(head.data[:2] if is_cut_in_its_head else head.data)
            for piece in body:
                self._server.sendall(piece)
        except OSError:  # the client is gone, or the server has answered and listens no more: its answer decides
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_WR)
        if rule.how == "mid_request":
            self._hang_up(rule)
            raise _Broken

    def _downwards(self) -> None:
        wire = Wire(self._server)
        with contextlib.suppress(OSError, _Broken):
            while (head := wire.head()) is not None:
                turn = self._asked[-1]
                if head.status < _FINAL:
                    if turn.rule.how != "late":
                        self._client.sendall(head.data)
                    continue
                turn.exchange.status = head.status
                body = wire.body(head) if head.has_body(turn.exchange.method) else iter(())
                self._answer(turn.rule, head, body)
                self._judge.has_met(turn.exchange)
                self._answered.release()
        self._over = True
        _shut_down(self._client)
        self._answered.release()

    def _answer(self, rule: Rule, head: Head, body: Iterator[bytes]) -> None:
        match rule.how:
            case "post" | "late" | "answer" | "blackhole":
                _ = list(body)
                self._client.sendall(rule.answer if rule.how != "late" else b"")
                if rule.how == "blackhole":
                    self._judge.closing.wait()
                self._hang_up(rule)
                raise _Broken
            case "mid_reply" | "trickle":
                self._client.sendall(head.data)
                self._drip(rule, body)
            case _:
                self._client.sendall(head.data)
                for piece in body:
                    self._client.sendall(piece)

    def _drip(self, rule: Rule, body: Iterator[bytes]) -> None:
        if rule.how == "mid_reply":
            for piece in _first(body, rule.after_bytes):
                self._client.sendall(piece)
            self._hang_up(rule)
            raise _Broken
        for piece in body:
            for number in range(len(piece)):
                self._client.sendall(piece[number : number + 1])
                self._judge.closing.wait(_BETWEEN_DROPS_S)

    def _hang_up(self, rule: Rule) -> None:
        if rule.reset:
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        else:
            self._client.shutdown(socket.SHUT_RDWR)
        self._client.close()


def _shut_down(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


def _first(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """As much of *pieces* as makes *count* bytes."""
    for piece in pieces:
        if count <= 0:
            return
        yield piece[:count]
        count -= len(piece)
