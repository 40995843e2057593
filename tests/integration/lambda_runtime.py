"""The real runtime client of AWS Lambda, `awslambdaric`, in a process of its own, against a Runtime API on loopback.

The API is that of https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. What it cannot show is the platform:
freezing, the limit of the init phase, and what becomes of the lines behind stdout.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "/2018-06-01/runtime"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:ingest"
PATIENCE_S = 60.0

# A process that a dying test leaves behind goes with it (prctl(2), PR_SET_PDEATHSIG); its forks, when the API is gone.
START = """
import ctypes, runpy, signal
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Reply:
    """What came back for one event.

    Attributes:
        payload: The handler's result, or the runtime's report of its failure.
        failed: Whether it is the latter.
        error_type: As the runtime names it in a header; "" for a result.
    """

    payload: Any
    failed: bool = False
    error_type: str = ""


@dataclass
class RuntimeAPI:
    """The side of the platform: hands out events, and takes replies."""

    events: queue.Queue[tuple[dict[str, str], bytes]] = field(default_factory=queue.Queue)
    replies: dict[str, queue.Queue[Reply]] = field(default_factory=dict)
    init_errors: queue.Queue[Reply] = field(default_factory=queue.Queue)
    closing: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def offer(self, event: Any, *, request_id: str | None, tenant_id: str | None, remaining_ms: int) -> str:
        known = request_id or f"request-{next(self.numbers)}"
        self.replies[known] = queue.Queue()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": known,
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + remaining_ms),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
            "Content-Type": "application/json",
        }
        if tenant_id is not None:
            headers["Lambda-Runtime-Aws-Tenant-Id"] = tenant_id
        self.events.put((headers, json.dumps(event).encode()))
        return known

    def next(self) -> tuple[dict[str, str], bytes] | None:
        while not self.closing.is_set():
            with contextlib.suppress(queue.Empty):
                return self.events.get(timeout=0.05)
        return None

    def take(self, path: str, reply: Reply) -> None:
        if path == f"{VERSION}/init/error":
            self.init_errors.put(reply)
        else:
            self.replies[path.split("/")[-2]].put(reply)


def _handler(api: RuntimeAPI) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            given = api.next() if self.path == f"{VERSION}/invocation/next" else ({}, b"")
            if given is None:
                self.close_connection = True
                return
            self._answer(200, *given)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            failed = self.path.endswith("/error")
            payload = json.loads(body) if body else None
            api.take(self.path, Reply(payload, failed, self.headers.get("Lambda-Runtime-Function-Error-Type", "")))
            self._answer(202, {}, b"{}")

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # socketserver waits, in server_close, for no daemon

    def handle_error(self, *_of_whom: object) -> None:
        """A runtime that is ended breaks off in the middle of asking for the next event."""


@dataclass
class LambdaRuntime:
    """A sandbox: one process of the runtime client (or several, with AWS_LAMBDA_MAX_CONCURRENCY)."""

    api: RuntimeAPI
    folder: Path
    process: subprocess.Popen[bytes]

    def invoke(self, event: Any = None, **given: Any) -> Reply:
        """Hand *event* to the function and return what it replied. See `offer` for *given*."""
        return self.reply(self.offer(event, **given))

    def offer(
        self,
        event: Any = None,
        *,
        request_id: str | None = None,
        tenant_id: str | None = None,
        remaining_ms: int = 30_000,
    ) -> str:
        """Hand *event* to the function, and return the id of the request without waiting for the reply."""
        return self.api.offer(event, request_id=request_id, tenant_id=tenant_id, remaining_ms=remaining_ms)

    def reply(self, request_id: str) -> Reply:
        """Wait for the reply to a request."""
        return self._taken(self.api.replies[request_id])

    def init_error(self) -> Reply:
        """Wait for the report that the function could not be loaded."""
        return self._taken(self.api.init_errors)

    def _taken(self, replies: queue.Queue[Reply]) -> Reply:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                return replies.get(timeout=0.05)
            if self.process.poll() is not None and replies.empty():
                raise AssertionError(f"the runtime ended with {self.process.returncode}:\n{self.stdout}\n{self.stderr}")
        raise AssertionError(f"no reply within {PATIENCE_S} s:\n{self.stdout}\n{self.stderr}")

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_bytes().decode()  # its carriage returns are part of what is tested

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8")

    @property
    def frames(self) -> bytes:
        """What came through the file descriptor that the platform gives the real runtime, frame by frame."""
        return (self.folder / "frames").read_bytes()


@contextmanager
def lambda_runtime(folder: Path, code: str, *, framed: bool = False, **env: str) -> Iterator[LambdaRuntime]:
    """Run ``handler`` of *code* under the runtime client, with *env* besides what the platform always sets.

    Args:
        folder: An empty folder, for the code and for what the process prints.
        code: The function's module.
        framed: Let lines go through a descriptor in frames, as on the platform, instead of to stdout.
        **env: Further variables; nothing of the test's own environment reaches the process.
    """
    (folder / "app.py").write_text(textwrap.dedent(code))
    api = RuntimeAPI()
    server = _Server(("127.0.0.1", 0), _handler(api))
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    given = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": "ingest",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
        "AWS_REGION": "eu-central-1",
        "PYTHONPATH": str(folder),
        "TZ": ":UTC",
        **env,
    }
    command = [sys.executable, "-c", START, "app.handler"]
    with contextlib.ExitStack() as stack:
        out, err, frames = (
            stack.enter_context((folder / name).open("wb", buffering=0)) for name in ("stdout", "stderr", "frames")
        )
        if framed:
            given["_LAMBDA_TELEMETRY_LOG_FD"] = str(frames.fileno())
        process = subprocess.Popen(
            command,
            env=given,
            cwd=folder,
            stdout=out,
            stderr=err,
            pass_fds=[frames.fileno()] if framed else [],
            start_new_session=True,
        )
        try:
            yield LambdaRuntime(api, folder, process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its session is its own: nobody else is in it
            process.wait()
            api.closing.set()
            server.shutdown()
            server.server_close()
            serving.join()
