"""For every test: Hypothesis profiles, the signals of a terminal, the HTTP library chosen, a watch over the log and one over
the workers.

`ci` draws the same examples on every run, so that a red run can be repeated; `nightly` looks further. No profile has a
deadline: how fast a machine is, is not what a test here decides.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import controlroom.logs
from controlroom import redaction
from controlroom.logs.events import EVENTS, FAILURE
from controlroom.logs.events.judging import differences
from controlroom.logs.logger import Logger
from controlroom.redaction.registry import Registry
from tests.crash_reports import pytest_configure, pytest_configure_node, pytest_handlecrashitem

__all__ = ["pytest_configure", "pytest_configure_node", "pytest_handlecrashitem"]

# A shell without job control starts what it puts in the background with SIGINT ignored, and whatever that starts inherits
# it (POSIX, XCU 2.9.3.1): the jobs that the tests interrupt would never hear of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests' own doubles are of the library that the client is bound to.
if os.environ.get("CONTROLROOM_HTTP_LIBRARY") == "httpx2":
    import httpx2

    httpx2.alias_httpx()

settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # two shared cores may be slow for reasons of their own
)
settings.register_profile("nightly", deadline=None, max_examples=5_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

# A test fails where controlroom logs what its catalogue does not declare, whether a line comes of it or not. The library's
# own loggers are made watched ones, here, before its modules ask for them: so this needs to know nothing of what becomes
# of an event further down.
_told: list[str] = []
_OF_A_FAILURE = {field.name: {} if field.type == "object" else [*field.values, ""][0] for field in FAILURE}


class Watched(Logger):
    __slots__ = ()

    def debug(self, event: str, /, **facts: Any) -> None:
        self._watch("DEBUG", event, facts)
        super().debug(event, **facts)

    def info(self, event: str, /, **facts: Any) -> None:
        self._watch("INFO", event, facts)
        super().info(event, **facts)

    def warning(self, event: str, /, **facts: Any) -> None:
        self._watch("WARNING", event, facts)
        super().warning(event, **facts)

    def error(self, event: str, /, **facts: Any) -> None:
        self._watch("ERROR", event, facts)
        super().error(event, **facts)

    def failure(self, event: str, /, error: BaseException, **facts: Any) -> None:
        self._watch("ERROR", event, {**_OF_A_FAILURE, **facts})
        super().failure(event, error, **facts)

    def _watch(self, level: str, name: str, facts: dict[str, Any]) -> None:
        event = EVENTS.get(name)
        if event is None or event.level != level or self.name not in event.loggers:
            _told.append(f"{level} {name} by {self.name} is not declared")
        else:
            _told.extend(differences(event, facts))


def _watched(name: str = "tests") -> Logger:
    return Watched(name) if name.startswith("controlroom.") else Logger(name)


controlroom.logs.get_logger = controlroom.logs.logger.get_logger = _watched


@pytest.fixture(autouse=True)
def _secrets_of_its_own() -> Iterator[None]:
    """What a test registers as secret is masked in no other test: a word as short as "none" may be among it."""
    before = redaction._registry
    kept = Registry()
    kept.__dict__.update(before.__dict__)
    kept._lock, kept._by_block = threading.Lock(), dict(before._by_block)
    kept._blocks = set(kept._by_block)
    yield
    if redaction._registry is not before or before.generation != kept.generation:
        redaction._registry = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    yield
    told, _told[:] = _told[:], []
    if told:
        pytest.fail("controlroom.logs.events says otherwise:\n" + "\n".join(sorted(set(told))), pytrace=False)
