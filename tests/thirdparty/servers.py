"""Servers that nobody here wrote, started on the loopback interface."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
PATIENCE_S = 60
LOOK_AGAIN_S = 0.05


@contextmanager
def running(command: Callable[[int], list[str | Path]], folder: Path, ready: str, **env: str) -> Iterator[str]:
    """Run the *command* that is made for a port; its URL, once *ready* is answered."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "server.log"
    supervisor = [sys.executable, HERE / "supervised.py", *command(port)]
    with log.open("wb") as output:
        started = subprocess.Popen(
            supervisor, cwd=folder, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=output, stderr=output
        )
    try:
        await_answer(started, f"{url}{ready}", log)
        yield url
    finally:
        assert started.stdin is not None
        started.stdin.close()
        started.wait(30)


def await_answer(started: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(int(PATIENCE_S / LOOK_AGAIN_S)):
        if started.poll() is not None:
            break
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass  # not yet
        threading.Event().wait(LOOK_AGAIN_S)
    pytest.fail(f"the server at {url} did not come up:\n{log.read_text(errors='replace')[-3000:]}")


def uvicorn(application: str) -> Callable[[int], list[str | Path]]:
    """Serve an application of this folder."""
    program = [sys.executable, "-m", "uvicorn", "--app-dir", HERE, "--host", "127.0.0.1", "--log-level", "warning"]
    return lambda port: [*program, "--port", str(port), application]


def npm_package(name: str) -> Path:
    """Where the programs of a package of npm are: installed into a kept folder, or skipped where that cannot be."""
    kept, npm = os.environ.get("CONTROLROOM_TESTS_NPM"), shutil.which("npm")
    if not kept:
        pytest.skip(f"{name} goes into the folder that CONTROLROOM_TESTS_NPM names; `nox -s servers` names one")
    if npm is None:
        pytest.skip(f"{name} comes from npm, which is not installed")
    home = Path(kept, name)
    programs = home / "node_modules" / ".bin"
    if not programs.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(home), name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"npm install {name} failed: {done.stderr.strip()[-300:]}")
    return programs
