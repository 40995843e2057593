"""A PgBouncer of the tests' own, in transaction mode, before the tests' PostgreSQL. It dies with the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.servers.postgres import Cluster, dies_with_us, free_port, unprivileged

__all__ = ["Bouncer", "pgbouncer"]

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=tests

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
server_round_robin = 1
"""


def program() -> str | None:
    """PgBouncer, where Debian puts it."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Bouncer:
    """One PgBouncer with its folder. Each database has four connections of its own to the server, used in turn."""

    def __init__(self, cluster: Cluster, path: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="controlroom-bouncer-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(_CONFIGURATION.format(server=cluster.port, port=self.port))
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [path, str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=dies_with_us,  # noqa: PLW1509 - as for the server: a child that only calls prctl(2)
                **unprivileged(),
            )
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            assert self._process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2_000:]
            try:
                psycopg.connect(f"postgresql://tests@127.0.0.1:{self.port}/postgres", connect_timeout=5).close()
            except psycopg.OperationalError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.05)
            else:
                return
        pytest.fail("PgBouncer did not answer within 30 s")

    def url(self, url: str) -> str:
        """The same database by way of this pooler."""
        return url.replace(f":{urlsplit(url).port}/", f":{self.port}/")

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self._process.kill()
        self._process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def pgbouncer(postgres_cluster: Cluster) -> Iterator[Bouncer]:
    """The worker's own pooler."""
    path = program()
    if path is None:
        pytest.skip("there is no PgBouncer here (Debian's package is called pgbouncer): nothing was tested behind one")
    bouncer = Bouncer(postgres_cluster, path)
    try:
        yield bouncer
    finally:
        bouncer.remove()
