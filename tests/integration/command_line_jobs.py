"""Jobs for test_command_line.py to start as processes: ``python command_line_jobs.py <job> [drain_s=…] <options>``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from typing import NoReturn

from pydantic import SecretStr

from controlroom import clock, errors
from controlroom.jobs import Job, Run, job
from controlroom.settings import BaseSettings


class Settings(BaseSettings):
    token: SecretStr
    count: int = 3


def ready() -> None:
    print("ready", flush=True)


def spin() -> NoReturn:
    while True:
        pass


@job(settings=Settings)
def with_settings(run: Run[Settings]) -> None:
    run.log.info("counted", count=run.settings.count, token=run.settings.token.get_secret_value())
    message = f"the server refused {run.settings.token.get_secret_value()}"
    if run.settings.count == 13:
        raise ValueError(message)


@job
def succeeds(run: Run[None]) -> None:
    print("data")


@job
async def succeeds_async(run: Run[None]) -> None:
    await clock.asleep(0)
    print("data")


@job
def raises(run: Run[None]) -> None:
    kind = getattr(errors, os.environ["RAISES"])
    raise kind("it went wrong")


@job
async def raises_async(run: Run[None]) -> None:
    kind = getattr(errors, os.environ["RAISES"])
    async with asyncio.TaskGroup() as group:
        group.create_task(clock.asleep(60))
        raise kind("it went wrong")


@job
def unforeseen(run: Run[None]) -> None:
    _ = {}["missing"]


@job
def leaves(run: Run[None]) -> None:
    text = os.environ["LEAVES"]
    sys.exit(int(text) if text.lstrip("-").isdigit() else text or None)


@job
def interrupted(run: Run[None]) -> None:
    raise KeyboardInterrupt


@job
def tells_deadline(run: Run[None]) -> None:
    assert run.deadline is not None
    print(round(run.deadline.remaining_s()))
    run.deadline.require("the rest", needed_s=10_000)


@job
def loops(run: Run[None]) -> None:
    ready()
    for _ in run.progress(iter(int, 1)):
        time.sleep(0.001)


@job
def waits(run: Run[None]) -> None:
    ready()
    clock.sleep(600)


@job
def spins(run: Run[None]) -> None:
    ready()
    try:
        spin()
    finally:
        run.log.info("rolled_back")


@job
def cleans_up(run: Run[None]) -> None:
    ready()
    try:
        spin()
    finally:
        until_s = time.monotonic() + 2.5  # longer than it takes to look after what became of an interruption
        while time.monotonic() < until_s:
            pass
        run.log.info("rolled_back")


@job
def blocks(run: Run[None]) -> None:
    reader, _writer = os.pipe()
    ready()
    os.read(reader, 1)


@job
def swallows(run: Run[None]) -> None:
    ready()
    while True:
        try:
            spin()
        except Exception:
            run.log.info("swallowed")


@job
def finishes(run: Run[None]) -> None:
    ready()
    until_s = time.monotonic() + 0.5
    while time.monotonic() < until_s:
        pass
    run.log.info("finished_anyway")


def told_by_a_thread() -> None:
    """Let a thread receive SIGTERM: nothing breaks off what the main thread is blocked in."""
    threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()


@job
def waits_while_a_thread_is_told(run: Run[None]) -> None:
    told_by_a_thread()
    ready()
    clock.sleep(600)


@job
async def awaits_while_a_thread_is_told(run: Run[None]) -> None:
    told_by_a_thread()
    ready()
    await asyncio.Event().wait()


@job
def sleeps_on(run: Run[None]) -> None:
    """A signal that asks for nothing ends no wait."""
    signal.signal(signal.SIGUSR1, lambda *_: print("heard", flush=True))
    began_s = time.monotonic()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    clock.sleep(0.5)
    print("long enough" if time.monotonic() - began_s >= 0.5 else "too short", flush=True)


@job
async def waits_async(run: Run[None]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(clock.asleep(600))
        group.create_task(clock.asleep(600))
        ready()


@job
async def awaits_async(run: Run[None]) -> None:
    ready()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        run.log.info("rolled_back")


@job
async def spins_async(run: Run[None]) -> None:
    ready()
    spin()


@job
async def spins_in_a_task(run: Run[None]) -> None:
    async def child() -> None:
        ready()
        spin()

    task = asyncio.create_task(child())
    await asyncio.sleep(0)
    await task


@job
async def loops_async(run: Run[None]) -> None:
    async def items():
        while True:
            await asyncio.sleep(0.001)
            yield 1

    ready()
    async for _ in run.progress(items()):
        pass


@job
async def leaves_a_stubborn_task(run: Run[None]) -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                run.log.info("refused_to_end")

    run.log.info("started", task=asyncio.create_task(stubborn()).get_name())
    await asyncio.sleep(0)
    ready()


@job
def prints_much(run: Run[None]) -> None:
    ready()
    for _ in range(100_000):
        print("x" * 50)


@job
def prints_last(run: Run[None]) -> None:
    ready()
    sys.stdin.readline()
    print("the result")


@job
async def inside_a_loop(run: Run[None]) -> None:
    succeeds.main([])


def check_restored(code: int) -> None:
    restored = [
        signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        signal.getsignal(signal.SIGALRM) is signal.SIG_DFL,
        signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0),
    ]
    print(restored, code)


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    drain_s = float(os.environ.get("DRAIN_S", "20"))
    chosen = globals()[name]
    assert isinstance(chosen, Job)
    if os.environ.get("CHECK_RESTORED"):
        try:
            chosen.main(arguments, drain_s=drain_s)
        except SystemExit as left:
            check_restored(left.code)
    else:
        chosen.main(arguments, drain_s=drain_s)
