"""A ministack of the tests' own: S3 and SQS in one small process, with notifications as AWS sends them.

It pins a botocore of its own, so it lives in an environment of its own: CONTROLROOM_TESTS_MINISTACK is the program there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.servers.s3 import S3Server, find_program, free_ports

__all__ = ["ministack_server"]

_SETTINGS = {
    "BIND_HOST": "127.0.0.1",
    "SERVICES": "s3,sqs,sns,sts",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "LOG_LEVEL": "WARNING",
    "DOCKER_HOST": "unix:///nowhere",
}


def start(program: str) -> S3Server:
    """Start one; on another port again if that one was taken meanwhile."""
    server = S3Server("ministack", "tests", "ministack-secret-of-the-tests")
    places = {
        name: str(server.folder) for name in ("MINISTACK_INIT_BOOT_DIR", "MINISTACK_INIT_READY_DIR", "S3_DATA_DIR")
    }
    for port in free_ports(3):
        if server.run([program], port, {**_SETTINGS, **places, "GATEWAY_PORT": str(port)}):
            return server
    pytest.fail(f"ministack did not start\n{server.log()}")


@pytest.fixture(scope="session")
def ministack_server() -> Iterator[S3Server]:
    """The worker's own server."""
    program = os.environ.get("CONTROLROOM_TESTS_MINISTACK") or find_program("ministack")
    if program is None:
        pytest.skip("there is no ministack here (set CONTROLROOM_TESTS_MINISTACK): nothing was tested against one")
    server = start(program)
    try:
        yield server
    finally:
        server.remove()
