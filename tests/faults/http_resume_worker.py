"""Walks a list into SQLite, records and checkpoint in one unit of work each page, and dies where its arguments say."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from controlroom.database import AsyncDatabase, Database
from controlroom.http import (
    ApiClient,
    AsyncApiClient,
    CursorPagination,
    Endpoint,
    KeysetPagination,
    LinkHeaderPagination,
    OffsetPagination,
)
from controlroom.testing import FaultPlan

PAGINATIONS: dict[str, Any] = {
    "cursor": CursorPagination("cursor", "next"),
    "link": LinkHeaderPagination(),
    "offset": OffsetPagination(size=10),
    "keyset": KeysetPagination("after", "id"),
}
AT_PAGE = 2  # of each run: so every run but the last gets one page further, or none


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Death:
    """Comes at *point* of the second page of a run."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.page = 0

    def at(self, point: str) -> None:
        if point == "page taken":
            self.page += 1
        if self.point == point and (self.page == AT_PAGE or point == "walk over"):
            die()
        if self.point == "commit sent" and point == "checkpoint set" and self.page == AT_PAGE:
            FaultPlan.stall(1, die, when="after").__enter__()


def walk(url: str, database: str, style: str, death: Death, prefetch: int) -> None:
    endpoint = Endpoint("/items", records="items", pagination=PAGINATIONS[style], total="total")
    with ApiClient(url) as api, Database(database) as db:
        with db.unit_of_work() as uow:
            position = uow.checkpoints.get("items")
        for page in api.pages(endpoint, resume=position, prefetch=prefetch):
            death.at("page taken")
            with db.unit_of_work() as uow:
                uow.insert("items", page.records)
                death.at("records inserted")
                uow.checkpoints.set("items", page.checkpoint)
                death.at("checkpoint set")
            death.at("committed")
        death.at("walk over")


async def walk_async(url: str, database: str, style: str, death: Death, prefetch: int) -> None:
    endpoint = Endpoint("/items", records="items", pagination=PAGINATIONS[style], total="total")
    async with AsyncApiClient(url) as api, AsyncDatabase(database) as db:
        async with db.unit_of_work() as uow:
            position = await uow.checkpoints.get("items")
        async for page in api.pages(endpoint, resume=position, prefetch=prefetch):
            death.at("page taken")
            async with db.unit_of_work() as uow:
                await uow.insert("items", page.records)
                death.at("records inserted")
                await uow.checkpoints.set("items", page.checkpoint)
                death.at("checkpoint set")
            death.at("committed")
        death.at("walk over")


colour, url, path, style, point, prefetch = sys.argv[1:]
if colour == "sync":
    walk(url, f"sqlite:///{path}", style, Death(point), int(prefetch))
else:
    asyncio.run(walk_async(url, f"sqlite+aiosqlite:///{path}", style, Death(point), int(prefetch)))
