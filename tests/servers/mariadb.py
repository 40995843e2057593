"""A MariaDB of the tests' own: a server a worker, a database a test.

Debian's ``mariadb-server-core`` is enough: it brings the programs and no service that anything could start. The server runs
as an unprivileged user, since as root it refuses, and dies with the tests.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.postgres import dies_with_us, free_port, unprivileged

__all__ = ["CommitCutter", "Server", "mariadb_server", "mariadb_url"]

_ENVIRONMENT = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
# Speed only: the tests kill the server, never the machine.
_SETTINGS = {
    "bind-address": "127.0.0.1",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-flush-method": "nosync",
    "innodb-file-per-table": "OFF",
    "sync-frm": "0",
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    "performance-schema": "OFF",
    "max-connections": "120",
}


def programs() -> tuple[str, str] | None:
    """The paths of mariadb-install-db and mariadbd; None where they are not installed."""
    found = [
        shutil.which(name, path=_ENVIRONMENT["PATH"])
        for name in ("mariadb-install-db", "mariadbd", "my_print_defaults")
    ]
    return (str(found[0]), str(found[1])) if all(found) else None


class Server:
    """One server with its folder."""

    def __init__(self, install: str, program: str) -> None:
        self._program = program
        self.folder = Path(tempfile.mkdtemp(prefix="controlroom-maria-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self._as_user = unprivileged()
        self._server: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.folder.chmod(0o755)
        self.data.mkdir(mode=0o700)
        if self._as_user:
            shutil.chown(self.data, self._as_user["user"], self._as_user["group"])
        done = subprocess.run(
            [
                *(install, "--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.data}", "--skip-test-db"),
                *("--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"),
            ],
            capture_output=True,
            timeout=120,
            check=False,
            cwd="/",
            env=_ENVIRONMENT,
            **self._as_user,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-2_000:]

    def start(self, **settings: str) -> None:
        """Start the server and wait until it answers."""
        chosen = {**_SETTINGS, **{name.replace("_", "-"): value for name, value in settings.items()}}
        arguments = [
            *("--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.data}", f"--port={self.port}"),
            *(f"--socket={self.data / 'socket'}", f"--pid-file={self.data / 'pid'}"),
            *(f"--{name}={value}" for name, value in chosen.items()),
        ]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_ENVIRONMENT,
                preexec_fn=dies_with_us,  # noqa: PLW1509 - nothing but prctl happens between fork and exec
                **self._as_user,
            )
        self._wait()

    def _wait(self) -> None:
        import pymysql

        for _ in range(600):
            assert self._server is not None
            assert self._server.poll() is None, (self.folder / "log").read_text(errors="replace")[-2_000:]
            try:
                self.connect().close()
            except pymysql.err.OperationalError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._server.wait(0.05)
            else:
                return
        pytest.fail("MariaDB did not answer within 30 s")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Stop it: SIGTERM is in good order, SIGKILL what it says."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(60)
            self._server = None

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str | None = None) -> Any:
        """A plain connection of PyMySQL, in autocommit."""
        import pymysql

        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True, connect_timeout=5
        )

    def run(self, sql: str, database: str | None = None) -> Any:
        """Run one statement on a connection of its own; return its rows."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def url(self, database: str) -> str:
        """The URL of *database* for `controlroom.Database`."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its name."""
        self._databases += 1
        name = f"t{self._databases}"
        self.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def drop(self, database: str) -> None:
        """End every session on *database*, and drop it."""
        sessions = f"SELECT id FROM information_schema.processlist WHERE db = '{database}'"
        for (session,) in self.run(sessions):
            with contextlib.suppress(Exception):  # it has just ended by itself
                self.run(f"KILL {session}")
        self.run(f"DROP DATABASE {database}")


def _cut(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class CommitCutter:
    """A proxy that cuts the connection at the next COMMIT, once *armed*; or goes silent there.

    Modes: "before" (the server never hears of it), "after" (it commits, and its answer is lost), "silent" (it is handed on,
    and nothing ever comes back).
    """

    _COMMIT = b"\x07\x00\x00\x00\x03COMMIT"

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self.armed: str | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                at_commit: list[str] = []
                for pump, source, target in ((self._questions, client, server), (self._answers, server, client)):
                    threading.Thread(target=pump, args=(source, target, at_commit), daemon=True).start()

    def _questions(self, client: socket.socket, server: socket.socket, at_commit: list[str]) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.armed is not None and data == self._COMMIT:
                    at_commit.append(self.armed)
                    self.armed = None
                if "before" in at_commit:
                    break
                server.sendall(data)
        _cut(client, server)

    def _answers(self, server: socket.socket, client: socket.socket, at_commit: list[str]) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if "after" in at_commit:
                    break
                if not at_commit:
                    client.sendall(data)
        _cut(client, server)

    def close(self) -> None:
        """Cut everything."""
        _cut(self._listener, *self._sockets)
        for each in (self._listener, *self._sockets):
            each.close()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """The worker's own server."""
    pytest.importorskip("pymysql", reason="the extra mysql is not installed: nothing was tested against a MariaDB")
    found = programs()
    if found is None:
        pytest.skip("there is no MariaDB here (Debian: mariadb-server-core): nothing was tested against one")
    server = Server(*found)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def mariadb_url(mariadb_server: Server) -> Iterator[str]:
    """A database of the test's own: ``mysql+pymysql://…``."""
    name = mariadb_server.new_database()
    yield mariadb_server.url(name)
    mariadb_server.drop(name)
