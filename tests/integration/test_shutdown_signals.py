"""Real signals, in processes of their own. Each sleeps for hours: what is not woken runs into the subprocess timeout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import asyncio, os, select, signal, sys, threading
from controlroom import clock, shutdown
from controlroom.errors import ShutdownRequested

shutdown.arm()
signal.signal(signal.SIGTERM, lambda number, frame: shutdown.request(number))
signal.signal(signal.SIGINT, lambda number, frame: shutdown.request(number))

def say(word):
    print(word, flush=True)

def sleep():
    try:
        clock.sleep(36_000)
    except ShutdownRequested as stop:
        say(f"stopped {stop.exit_code}")
"""
SLEEP = "say('ready'); sleep()"
ASLEEP = """
async def main():
    say("ready")
    try:
        await asyncio.gather(clock.asleep(36_000), clock.asleep(36_000))
    except ShutdownRequested as stop:
        say(f"stopped {stop.exit_code}")
asyncio.run(main())
"""
SLEEP_IN_A_SECOND_THREAD = """
thread = threading.Thread(target=sleep)
thread.start()
say("ready")
thread.join()
"""
ASLEEP_IN_A_SECOND_THREAD = f"""
def in_thread():
    {ASLEEP.replace(chr(10), chr(10) + "    ").strip()}
thread = threading.Thread(target=in_thread)
thread.start()
thread.join()
"""


def start(body: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PRELUDE + body], stdout=subprocess.PIPE, text=True)


def until_asleep(pid: int) -> None:
    """Return once the process is waiting in the kernel, where that can be seen: the signal is to find it there."""
    status = Path(f"/proc/{pid}/stat")
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "SZX":
        os.sched_yield()


def finish(process: subprocess.Popen[str]) -> str:
    try:
        rest, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the signal did not end the wait")
    return rest


@pytest.mark.integration
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("body", [SLEEP, ASLEEP, SLEEP_IN_A_SECOND_THREAD, ASLEEP_IN_A_SECOND_THREAD])
def test_a_signal_ends_a_wait_of_hours_at_once(body: str, number: int, exit_code: int) -> None:
    process = start(body)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    until_asleep(process.pid)

    process.send_signal(number)

    assert finish(process) == f"stopped {exit_code}\n"
    assert process.returncode == 0


FORKED = """
child = os.fork()
if child == 0:
    sleep()
    os._exit(0)
say(f"ready {child}")
os.waitpid(child, 0)
woken = select.select([shutdown._wake[0]], [], [], 0)[0]
say("parent woken" if woken or shutdown.requested() else "parent undisturbed")
sleep()
"""


@pytest.mark.integration
def test_a_signal_to_a_forked_child_does_not_end_the_waits_of_its_parent() -> None:
    """`Pool.terminate` sends SIGTERM to its workers: through shared sockets it would turn every backoff here into none."""
    process = start(FORKED)
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    until_asleep(child)

    os.kill(child, signal.SIGTERM)

    assert process.stdout.readline() == "stopped 143\n"
    assert process.stdout.readline() == "parent undisturbed\n"
    process.send_signal(signal.SIGTERM)
    assert finish(process) == "stopped 143\n"
