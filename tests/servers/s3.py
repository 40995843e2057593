"""What the tests ask of an S3 server of their own, whichever it is. It dies with the tests."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

__all__ = ["S3Server", "find_program", "free_ports"]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_session = botocore.session.Session()  # reading its models takes most of a second


def find_program(name: str) -> str | None:
    """The path of *name*: beside this interpreter, where pip puts it, or on PATH."""
    return shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on, no two the same."""
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]


def dies_with_us() -> None:
    """Called in the child: the server is killed when whoever started it is gone (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class S3Server:
    """One server with its folder.

    ``bucket`` is there for tests that keep to a prefix of their own (`new_prefix`), since a new bucket costs SeaweedFS 0.2 s.
    """

    region = "us-east-1"
    bucket = "shared"

    def __init__(self, name: str, access_key: str, secret_key: str) -> None:
        self.name = name
        self.access_key = access_key
        self.secret_key = secret_key
        self.folder = Path(tempfile.mkdtemp(prefix=f"controlroom-{name}-"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = iter(range(1_000_000))
        self._client: Any = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def run(self, arguments: Iterable[str], port: int, environment: Mapping[str, str] | None = None) -> bool:
        """Start the program and wait until it stores something; False if it ended instead: somebody took a port of it."""
        self.port = port
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.folder),
                    "TMPDIR": str(self.folder),
                    **(environment or {}),
                },
                preexec_fn=dies_with_us,  # noqa: PLW1509 - a single call into the kernel, and no lock
            )
        self._client = self.client()
        for _ in range(600):
            if self._process.poll() is not None:
                return False
            try:
                if not self._client.list_buckets()["Buckets"]:
                    self._client.create_bucket(Bucket=self.bucket)
                self._client.put_object(Bucket=self.bucket, Key="ready", Body=b"")
                self._client.delete_object(Bucket=self.bucket, Key="ready")
            except (BotoCoreError, ClientError):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.05)
            else:
                return True
        pytest.fail(f"{self.name} did not answer within 30 s\n{self.log()}")

    def log(self) -> str:
        """The end of what it wrote."""
        return (self.folder / "log").read_text(errors="replace")[-4_000:]

    def pause(self) -> None:
        """Stop it in its tracks: connections stay, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        """Kill it and delete its folder."""
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, endpoint_url: str | None = None, secret_key: str | None = None, **config: Any) -> Any:
        """A plain client of botocore that tries everything once."""
        settings: dict[str, Any] = {
            "retries": {"total_max_attempts": 1},
            "connect_timeout": 5,
            "read_timeout": 30,
            "s3": {"addressing_style": "path"},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        return _session.create_client(
            "s3",
            endpoint_url=endpoint_url or self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=secret_key or self.secret_key,
            config=Config(**{**settings, **config}),
        )

    def client_of(self, service: str) -> Any:
        """A plain client of another service that the server has, such as SQS."""
        return _session.create_client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    @property
    def s3(self) -> Any:
        """The client that the server itself was started with."""
        return self._client

    def login(self, endpoint_url: str | None = None) -> dict[str, str]:
        """What an S3Store takes to get here, directly or through a proxy at *endpoint_url*."""
        return {
            "endpoint_url": endpoint_url or self.endpoint_url,
            "region": self.region,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
        }

    def new_prefix(self) -> str:
        """A prefix that no other test of this worker has."""
        return f"t{next(self._numbers)}"

    def new_bucket(self, versioning: bool = False) -> str:
        """Create an empty bucket and return its name."""
        name = f"bucket-{next(self._numbers)}"
        self._client.create_bucket(Bucket=name)
        if versioning:
            self._client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def keys(self, bucket: str | None = None, prefix: str = "") -> list[str]:
        """Every key there is, as the server has it."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket or self.bucket, Prefix=prefix)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", []))

    def uploads(self, bucket: str | None = None, prefix: str = "") -> list[str]:
        """The key of every multipart upload that is neither completed nor aborted."""
        listed = self._client.list_multipart_uploads(Bucket=bucket or self.bucket, Prefix=prefix)
        return sorted(upload["Key"] for upload in listed.get("Uploads", []))
