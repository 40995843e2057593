"""Which HTTP library the client stands on: chosen by name, never by what happens to be installed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from controlroom.http import library

PROGRAM = "from controlroom.http import library; print(library.Request.__module__, library.NetworkBackend.__module__)"


def bound(chosen: str | None, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "CONTROLROOM_HTTP_LIBRARY"}
    if chosen is not None:
        environment["CONTROLROOM_HTTP_LIBRARY"] = chosen
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


@pytest.mark.parametrize("chosen", [None, "", "httpx"])
def test_it_is_httpx_whatever_else_is_installed(chosen: str | None) -> None:
    assert bound(chosen).stdout.split()[0].split(".")[0] == "httpx"


def test_another_one_is_refused_by_name() -> None:
    refused = bound("requests")

    assert "ConfigError" in refused.stderr
    assert "CONTROLROOM_HTTP_LIBRARY='requests' is not possible: give httpx or httpx2." in refused.stderr


def test_one_that_is_not_installed_says_how_to_get_it() -> None:
    absent = "import sys; sys.modules['httpx2'] = None\n"

    assert "is not installed: pip install 'controlroom[httpx2]'" in bound("httpx2", absent + PROGRAM).stderr


def test_the_suite_runs_on_the_one_that_was_chosen() -> None:
    chosen = os.environ.get("CONTROLROOM_HTTP_LIBRARY") or "httpx"

    assert library.Request.__module__.split(".")[0] == chosen
    assert library.NetworkStream.__module__.split(".")[0] == chosen.replace("httpx", "httpcore")


def test_every_name_is_bound() -> None:
    assert [name for name in library.__all__ if not callable(getattr(library, name, None))] == []
