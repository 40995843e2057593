"""A network that swallows everything, when it is told to: nothing arrives, and nobody is told."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

__all__ = ["SilentNetwork"]


_READY = b"Z\0\0\0\5I"


class SilentNetwork:
    """Stands between a client and a server on this machine, at `url`, and passes everything on until `fall_silent`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = url.replace(f":{parts.port}/", f":{self.port}/")
        self.opened = 0
        self._silent = threading.Event()
        self._until_ready = False
        self._forgotten: frozenset[socket.socket] = frozenset()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def fall_silent_after_the_login(self) -> None:
        """Fall silent once a server has said for the first time that it is ready."""
        self._until_ready = True

    def fall_silent(self) -> None:
        """Pass nothing on any more, of connections that are there or yet to come."""
        self._silent.set()

    def speak(self) -> None:
        """Pass on again, what is said from now on."""
        self._silent.clear()

    def forget(self) -> None:
        """Pass nothing on any more of the connections that are there, as a firewall does whose memory is short."""
        self._forgotten = frozenset(self._sockets)

    def hang_up(self) -> None:
        """Close every connection that is there, as a firewall does that sends a reset."""
        for each in tuple(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(30)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(30)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.opened += 1
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    thread = threading.Thread(target=self._pass_on, args=(source, target), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if not self._silent.is_set() and target not in self._forgotten:
                    target.sendall(data)
                if self._until_ready and _READY in data:
                    self._silent.set()
        if not self._silent.is_set():
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)
