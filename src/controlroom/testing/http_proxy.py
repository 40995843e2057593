"""An HTTP server that loses requests and answers by plan: for tests of what your pipeline believes when nobody answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self, get_args
from urllib.parse import urlsplit

from controlroom.errors import ConfigError
from controlroom.testing.http_exchanges import Conversation, Exchange, HttpCut, Rule
from controlroom.testing.http_messages import Head

__all__ = ["Exchange", "HttpCut", "HttpProxy"]

_PATIENCE_S: Final = 60.0  # no test waits that long; it is there so that a mistake ends
_NOTHING: Final = Rule(1, None, 0)


class HttpProxy:
    """Stands before an HTTP server, passes everything on, and cuts the exchanges that it is told to.

    ``with HttpProxy("http://127.0.0.1:8333") as proxy:`` then give your client ``proxy.url`` (as the ``endpoint_url`` of an
    `S3Store`, say), call ``proxy.cut("post")``, and see what your code makes of it.

    What happens to a request that is cut:

    * "pre": it does not reach the server, and the connection is closed.
    * "mid_request": the server gets the first *after_bytes* of its body, or two letters of its method where it has none;
      then both sides are closed.
    * "post": the server has done its work and answered; the answer is lost, and the connection is closed.
    * "late": the connection is closed; the request reaches the server when `release` is called.
    * "mid_reply": the client gets the first *after_bytes* of the answer's body; then the connection is closed.
    * "trickle": the answer's body comes a byte at a time.
    * "blackhole": the server does its work; nothing is answered, and nothing is closed.

    Args:
        url: The server: ``http://host:port``.

    Attributes:
        url: The same server by way of this proxy.
        seen: Every request so far, in order, with ``number``, ``method``, ``target``, ``headers``, ``cut`` and ``status``.

    Raises:
        ConfigError: The URL is not that of a server over plain HTTP.

    Guarantees:
        Thread-safe, and good for sync and async clients: it has threads of its own. Bodies pass through in pieces, and
        ``Expect: 100-continue`` is answered by the server.
        Not promised: TLS, HTTP/2, pipelined requests, the ``Host`` field (it stays what the client sent).
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            message = (
                "HttpProxy needs the URL of a server over plain HTTP, like http://127.0.0.1:8333. Nothing was opened."
            )
            raise ConfigError(message)
        self._server = (parts.hostname, parts.port or 80)
        self.seen: list[Exchange] = []
        self.closing: threading.Event = threading.Event()
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._met = threading.Condition(self._lock)
        self._done: set[int] = set()
        self.released: threading.Event = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url: str = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def cut(
        self,
        how: HttpCut,
        *,
        at: int = 1,
        when: Callable[[Exchange], object] | None = None,
        times: int = 1,
        after_bytes: int = 0,
        reset: bool = False,
    ) -> None:
        """Cut exchanges to come, of whichever connection, like that.

        Args:
            how: What happens to them.
            at: The first to be cut: 1 is the next one.
            when: Only those count of which this is true; it is given what *seen* has of each.
            times: How many are cut, one after the other.
            after_bytes: Where "mid_request" and "mid_reply" cut.
            reset: Connections are reset rather than closed.

        Raises:
            ConfigError: There is no such way.
        """
        if how not in get_args(HttpCut):
            message = f"HttpProxy.cut({how!r}) is not possible: choose one of {', '.join(get_args(HttpCut))}."
            raise ConfigError(message)
        self._add(Rule(at, when, times, how, after_bytes, reset, forwards=how != "pre"))

    def answer(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        at: int = 1,
        when: Callable[[Exchange], object] | None = None,
        times: int = 1,
        forwards: bool = False,
    ) -> None:
        """Answer exchanges to come in the server's place.

        Args:
            status: The status to answer with.
            body: The body.
            headers: Header fields besides Content-Length.
            at: As for `cut`.
            when: As for `cut`.
            times: As for `cut`.
            forwards: The server gets the request too and does its work; only its answer is replaced.
        """
        fields = {**(headers or {}), "Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"HTTP/1.1 {status} Planned", *(f"{name}: {value}" for name, value in fields.items())]
        data = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        self._add(Rule(at, when, times, "answer", answer=data, forwards=forwards))

    def before(
        self,
        callback: Callable[[], object],
        *,
        at: int = 1,
        when: Callable[[Exchange], object] | None = None,
        times: int = 1,
    ) -> None:
        """Call *callback*, in a thread of the proxy, before exchanges to come are passed on; the rest is as for `cut`."""
        self._add(Rule(at, when, times, callback=callback))

    def release(self) -> None:
        """Let every "late" request go to the server, and wait until it has answered."""
        self.released.set()
        self.wait()
        if not self.closing.is_set():
            self.released.clear()

    def settle(self, timeout_s: float = _PATIENCE_S) -> bool:
        """Wait until the server has answered every request that reached it, whoever is still there to hear it.

        False where it has not. What "late" and "blackhole" hold back is not waited for.
        """
        with self._met:
            return self._met.wait_for(
                lambda: self._done >= {each.number for each in self.seen if each.cut not in ("late", "blackhole")},
                timeout_s,
            )

    def forget(self) -> None:
        """Cut, answer and call nothing any more."""
        with self._lock:
            self._rules.clear()

    def wait(self, timeout_s: float = _PATIENCE_S) -> bool:
        """Wait until each exchange that was cut has met its fate; False where one has not."""
        with self._met:
            return self._met.wait_for(
                lambda: self._done >= {exchange.number for exchange in self.seen if exchange.cut is not None}, timeout_s
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection and end every thread. Requests that are still late do not arrive any more."""
        self.closing.set()
        self.released.set()
        _wake(self._listener)
        while self._threads:
            with self._lock:
                thread, sockets = self._threads.pop(), tuple(self._sockets)
            for each in sockets:
                _wake(each)
            thread.join(_PATIENCE_S)
        self._listener.close()

    def _add(self, rule: Rule) -> None:
        if rule.at < 1 or rule.times < 1:
            message = f"at={rule.at}, times={rule.times} would never strike: both count from 1."
            raise ConfigError(message)
        with self._lock:
            self._rules.append(rule)

    def meet(self, head: Head) -> tuple[Exchange, Rule]:
        """Take note of a request, and call what is to be called; return which rule it falls under."""
        with self._lock:
            exchange = Exchange(len(self.seen) + 1, head.words[0], head.words[1], head.headers)
            self.seen.append(exchange)
            struck = [rule for rule in self._rules if rule.strikes(exchange)]
            cutting = next((rule for rule in struck if rule.how is not None), _NOTHING)
            exchange.cut = cutting.how
        for rule in struck:
            if rule.callback is not None:
                rule.callback()
        return exchange, cutting

    def has_met(self, exchange: Exchange) -> None:
        """Take note that an exchange has met its fate."""
        with self._met:
            self._done.add(exchange.number)
            self._met.notify_all()

    def _start(self, target: Callable[[], None]) -> None:
        """Run *target* in a thread, which `close` waits for."""
        thread = threading.Thread(target=target, name="http-proxy", daemon=True)
        with self._lock:
            self._threads = [*(each for each in self._threads if each.is_alive()), thread]
            thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.closing.is_set():
                client, _ = self._listener.accept()
                self._start(partial(self._converse, client))

    def _converse(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server, timeout=_PATIENCE_S)
        except OSError:
            client.close()
            return
        both = {client, server}
        for each in both:
            each.settimeout(None)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets |= both
        Conversation(self, client, server).run()
        with self._lock:
            self._sockets -= both


def _wake(each: socket.socket) -> None:
    """Shut *each* down, so that whoever waits for it goes on."""
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
