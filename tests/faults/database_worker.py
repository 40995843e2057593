"""A process of its own for the tests that kill one: does what its arguments say, and says what it has done."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys

from controlroom.database import AsyncDatabase, Database
from controlroom.testing import FaultPlan


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def unit(url: str, point: str) -> None:
    """Run one unit and die at *point*: before it begins, after one of its statements, before or after COMMIT."""
    plan = FaultPlan.stall(1, die, when="after" if point == "after commit" else "before")
    with Database(url) as db:
        if point == "before begin":
            die()
        with db.unit_of_work() as uow:
            statements = [
                lambda: uow.once("the unit"),
                lambda: uow.insert("t", ({"id": number, "v": "x" * 200} for number in range(3_000))),
                lambda: uow.upsert("t", ({"id": number, "v": "y"} for number in range(2_500, 6_000)), key=["id"]),
                lambda: uow.checkpoints.set("c", 7),
                lambda: uow.watermarks.advance("w", 7),
            ]
            for number, statement in enumerate(statements):
                statement()
                if point == f"after statement {number}":
                    die()
            if point.endswith("commit"):
                plan.__enter__()
    print("committed", flush=True)
    die()


def acknowledge(url: str, batches: str) -> None:
    """Commit batch after batch and print the number of each, once it is acknowledged."""
    with Database(url) as db:
        for batch in itertools.count(int(batches)):
            with db.unit_of_work() as uow:
                uow.insert("t", ({"id": batch * 100 + number, "v": batch} for number in range(100)))
                uow.checkpoints.set("batch", batch)
            print(batch, flush=True)


def acknowledge_async(url: str, batches: str) -> None:
    """The same, asynchronously."""

    async def main() -> None:
        async with AsyncDatabase(url) as db:
            for batch in itertools.count(int(batches)):
                async with db.unit_of_work() as uow:
                    await uow.insert("t", ({"id": batch * 100 + number, "v": batch} for number in range(100)))
                    await uow.checkpoints.set("batch", batch)
                print(batch, flush=True)

    asyncio.run(main())


def claim(url: str, keys: str) -> None:
    """Claim each key, say which were had, and count them in the same unit."""
    with Database(url, lock_timeout_s=30) as db:
        db.create_control_tables()
        for key in range(int(keys)):
            with db.unit_of_work() as uow:
                if uow.once(f"key {key}"):
                    uow.execute("UPDATE t SET v = v + 1 WHERE id = 0")
                    uow.on_commit(lambda key=key: print(key, flush=True))


if __name__ == "__main__":
    {"unit": unit, "acknowledge": acknowledge, "acknowledge_async": acknowledge_async, "claim": claim}[sys.argv[1]](
        *sys.argv[2:]
    )
