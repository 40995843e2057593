"""Says why a worker of xdist was lost, where the lost test is reported: its stderr is far above that, or kept by nobody.

The stacks of all threads, where a test hung or the interpreter crashed; in any case how the process ended.
"""

from __future__ import annotations

import contextlib
import faulthandler
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

__all__ = ["pytest_configure", "pytest_configure_node", "pytest_handlecrashitem"]

_FOLDER = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
_PATIENCE_S = 10


class _Stacks:
    """Leads what faulthandler has to say of this process, a worker, into a file."""

    def __init__(self, config: pytest.Config, path: str) -> None:
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
        self._timeout_s = float(config.getini("faulthandler_timeout") or 0)
        self._exits = bool(config.getini("faulthandler_exit_on_timeout"))

    def pytest_sessionstart(self) -> None:
        faulthandler.enable(self._file)  # only now: pytest's own plugin is configured last

    def pytest_runtest_logstart(self) -> None:
        """Set the alarm anew that pytest has set, which would write to stderr; pytest takes it down as its own."""
        if self._timeout_s:
            faulthandler.dump_traceback_later(self._timeout_s, exit=self._exits, file=self._file)

    def pytest_unconfigure(self) -> None:
        faulthandler.disable()
        self._file.close()


def pytest_configure(config: pytest.Config) -> None:
    if path := getattr(config, "workerinput", {}).get("stacks"):
        config.pluginmanager.register(_Stacks(config, path))
    else:
        config.stash[_FOLDER] = folder = tempfile.TemporaryDirectory(prefix="stacks-of-workers-")
        config.add_cleanup(folder.cleanup)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["stacks"] = str(_stacks_of(node))


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(report: Any) -> None:
    path, ended = _stacks_of(report.node), "in an unknown way"
    with contextlib.suppress(AttributeError, subprocess.TimeoutExpired):  # it is execnet's own affair
        ended = f"with {report.node.gateway._io.popen.wait(_PATIENCE_S)}"
    stacks = path.read_text("utf-8") if path.exists() else ""
    report.longrepr = f"{report.longrepr}\nIts process ended {ended}.\n{stacks or 'It left no stack.'}"


def _stacks_of(node: Any) -> Path:
    return Path(node.config.stash[_FOLDER].name, f"{node.gateway.id}.txt")
