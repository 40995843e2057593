"""A PostgreSQL that loses COMMITs: for tests of what your pipeline believes when nobody answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, get_args
from urllib.parse import SplitResult, urlsplit

from controlroom.errors import ConfigError
from controlroom.testing.postgres_messages import ClientMessages, Message, frames

__all__ = ["CommitProxy", "Cut"]

Cut = Literal["pre", "fwd_close", "post", "late", "half_open", "blackhole"]

_PATIENCE_S = 60.0  # no test waits that long; it is there so that a mistake ends


class CommitProxy:
    """Stands between a client and PostgreSQL, passes everything on, and cuts the COMMITs that it is told to.

    ``with CommitProxy("postgresql+psycopg://…") as proxy:`` then open a `controlroom.database.Database` on ``proxy.url``
    (any client of the protocol will do), call ``proxy.cut("post")``, and see what your code makes of it. It sees COMMIT and END in
    simple and in extended queries, prepared ones too.

    What happens to a COMMIT:

    * "pre": it does not reach the server, and both sides are closed. The server rolls back.
    * "fwd_close": it is passed on, and the client's side closed at once. The server commits.
    * "post": the server has committed and answered; the answer is lost, and both sides are closed.
    * "late": the client's side is closed; *late_by_s* later the COMMIT reaches the server, which commits.
    * "half_open": the client's side is closed; the server hears nothing of that and stays idle in the transaction, with
      its locks.
    * "blackhole": from the COMMIT on everything is swallowed in both directions, and nothing is closed.

    Args:
        url: The database, as for `Database`: one host, over TCP.
        late_by_s: What "late" means, seconds.

    Attributes:
        url: The same database by way of this proxy.
        seen: What became of each COMMIT so far, in order: how it was cut, or None.

    Raises:
        ConfigError: The URL has no single host.

    Guarantees:
        Thread-safe, and good for sync and async clients: it has threads of its own. Sessions of "half_open" and
        "blackhole" end when it is closed, or when the server ends them.
        Not promised: TLS. It answers that there is none, so that it can read; ``sslmode=require`` fails.
    """

    def __init__(self, url: str, *, late_by_s: float = 1.0) -> None:
        parts = urlsplit(url)
        if not parts.hostname or "," in parts.netloc:
            message = (
                "CommitProxy needs a URL with one host, like postgresql://user@127.0.0.1:5432/name. Nothing was opened."
            )
            raise ConfigError(message)
        self._server = (parts.hostname, parts.port or 5432)
        self.late_by_s = late_by_s
        self.seen: list[Cut | None] = []
        self.closing: threading.Event = threading.Event()
        self._plan: list[Cut] = []
        self._lock = threading.Lock()
        self._met = threading.Condition(self._lock)
        self._done = 0
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url: str = _moved(parts, self._listener.getsockname()[1])
        self._start(self._accept)

    def cut(self, how: Cut, commits: int = 1) -> None:
        """Cut the next *commits* COMMITs, of whichever connection they come from, like that.

        Raises:
            ConfigError: There is no such way.
        """
        if how not in get_args(Cut) or commits < 0:
            message = (
                f"CommitProxy.cut({how!r}, {commits!r}) is not possible: choose one of {', '.join(get_args(Cut))}."
            )
            raise ConfigError(message)
        with self._lock:
            self._plan = [how] * commits

    def next_cut(self) -> Cut | None:
        """Take note of a COMMIT; return how it is to be cut."""
        with self._lock:
            self.seen.append(self._plan.pop(0) if self._plan else None)
            return self.seen[-1]

    def has_cut(self) -> None:
        """Take note that a COMMIT has met its fate."""
        with self._met:
            self._done += 1
            self._met.notify_all()

    def wait(self, timeout_s: float = _PATIENCE_S) -> bool:
        """Wait until each COMMIT that was cut has met its fate, one that was passed on its answer; False where one has not.

        That of "blackhole" is the end of the client's patience.
        """
        with self._met:
            return self._met.wait_for(lambda: self._done >= len(self.seen) - self.seen.count(None), timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection and end every thread. COMMITs that are still late do not arrive any more."""
        self.closing.set()
        hang_up(self._listener)
        while self._threads:
            with self._lock:
                thread, sockets = self._threads.pop(), tuple(self._sockets)
            for each in sockets:
                hang_up(each)
            thread.join(_PATIENCE_S)

    def _start(self, target: Callable[[], None]) -> None:
        """Run *target* in a thread, which `close` waits for."""
        thread = threading.Thread(target=target, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.closing.is_set():
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._server, timeout=_PATIENCE_S)
                except OSError:
                    client.close()
                    continue
                for each in (client, server):
                    each.settimeout(None)
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets += [client, server]
                conversation = _Conversation(self, client, server)
                self._start(conversation.upwards)
                self._start(conversation.downwards)


def _moved(parts: SplitResult, port: int) -> str:
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()


def hang_up(each: socket.socket) -> None:
    """Close *each*, and wake whoever waits for it."""
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


class _Conversation:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy: CommitProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._swallows = threading.Event()  # what the server says no longer goes to the client
        self._answered = threading.Event()  # the server has finished what it was asked last

    def upwards(self) -> None:
        """Pass on what the client says, up to a COMMIT that is to be cut."""
        with contextlib.suppress(OSError):
            for message in ClientMessages(self._client).read(self._client.sendall):
                if message.commits and (how := self._proxy.next_cut()) is not None:
                    self._swallows.set()
                    with contextlib.suppress(OSError):
                        self._cut(how, message)
                    self._proxy.has_cut()
                    return
                self._server.sendall(message.data)
        self._end()

    def downwards(self) -> None:
        """Pass on what the server says."""
        with contextlib.suppress(OSError):
            for kind, data in frames(self._server):
                if not self._swallows.is_set():
                    self._client.sendall(data)
                elif kind == b"Z":
                    self._answered.set()
        self._answered.set()
        if not self._swallows.is_set():
            self._end()

    def _cut(self, how: Cut, commit: Message) -> None:
        if how == "blackhole":
            while self._client.recv(65_536):
                pass
            return
        if how in ("fwd_close", "post"):
            self._server.sendall(commit.data)
        if how == "post":
            self._answered.wait(_PATIENCE_S)
        hang_up(self._client)
        if how == "late" and not self._proxy.closing.wait(self._proxy.late_by_s):
            self._server.sendall(commit.data)
        if how in ("fwd_close", "late"):
            self._answered.wait(_PATIENCE_S)
        if how != "half_open":
            hang_up(self._server)

    def _end(self) -> None:
        hang_up(self._client)
        hang_up(self._server)
