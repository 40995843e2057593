"""Processes count together: through a file, or through a row of a database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controlroom.errors import DeadlineExceededError
from controlroom.http import ApiClient, RateLimit, Timeouts
from controlroom.http.locked_files import LockedFile
from tests.integration.http_server import Answer, serving
from tests.integration.sharing_processes import place_in, started

pytestmark = pytest.mark.integration

LIMIT_S = 0.5


@pytest.mark.parametrize(
    ("kind", "colour", "processes"),
    [("file", "sync", 4), ("file", "async", 4), ("sqlite", "sync", 2), ("sqlite", "async", 2)],
)
def test_requests_of_all_processes_leave_no_faster_than_the_limit(
    kind: str, colour: str, processes: int, tmp_path: Path
) -> None:
    limit = {"requests": 20, "per_s": LIMIT_S, "shared": place_in(tmp_path, kind)}
    with (
        serving(lambda _: Answer({})) as server,
        started(processes, tmp_path, url=server.url, colour=colour, calls=40 // processes, limit=limit) as workers,
    ):
        began_s = time.monotonic()
        workers.go()
        outcomes = workers.outcomes()

    # Not how many leave in any window: a busy machine delays one more than the next, and so brings them together.
    left_s = sorted(instant for outcome in outcomes if outcome for instant in outcome[0])
    assert len(left_s) == 40
    assert [place for place, instant in enumerate(left_s) if instant - began_s < (place - 1) * LIMIT_S / 20] == []


def test_a_process_that_is_killed_holds_up_nobody(tmp_path: Path) -> None:
    limit = {"requests": 20, "per_s": LIMIT_S, "shared": place_in(tmp_path, "file")}
    with (
        serving(lambda _: Answer({})) as server,
        started(4, tmp_path, url=server.url, calls=10, limit=limit) as workers,
    ):
        workers.go()
        while len(server.asked) < 10:  # they are in the middle of it, and wait for places
            pass
        for pid in workers.pids[:2]:
            os.kill(pid, signal.SIGKILL)
        outcomes = workers.outcomes()

    assert [outcome is None for outcome in outcomes] == [True, True, False, False]
    assert [len(outcome[1]) for outcome in outcomes if outcome] == [10, 10]


HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_a_holder_of_the_lock_that_was_stopped_costs_no_more_than_the_deadline_and_one_that_dies_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shared"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    limit = RateLimit(100, shared=path)

    with (
        serving(lambda _: Answer({})) as server,
        ApiClient(server.url, rate_limit=limit, timeouts=Timeouts(total_s=0.5)) as api,
    ):
        with pytest.raises(DeadlineExceededError, match="waiting for the lock of") as caught:
            api.get("/x")
        assert caught.value.needed_s is not None
        assert server.asked == []

        holder.kill()
        holder.communicate()
        assert api.get("/x").status_code == 200


def test_a_child_that_was_forked_while_the_lock_was_held_does_not_keep_it(tmp_path: Path) -> None:
    holds = """
import os, sys
from pathlib import Path
from controlroom.http.locked_files import LockedFile

file = LockedFile(Path(sys.argv[1]), 0o600)
assert file.acquire()
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdin.readline()
else:
    os._exit(0)  # as if it were killed: nobody unlocks
"""
    command = [sys.executable, "-c", holds, str(tmp_path / "shared")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"forked\n"
        while parent.poll() is None:
            pass
        file = LockedFile(tmp_path / "shared", 0o600)
        free = file.acquire()
        file.close()
        parent.communicate(b"\n")

    assert free
