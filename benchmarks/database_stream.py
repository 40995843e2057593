"""Reading more rows than fit into memory: `stream` against SQLAlchemy's ``yield_per``, the same query and chunk in both.

The server is the tests' own. Memory is measured in a process of its own: its high water above that of a short read. Django's
``iterator()`` stands beside them where it is installed; advanced-alchemy reads lists only.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg
from _database_peers import django_model, growth_kb
from _side_by_side import compare
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from controlroom import AsyncDatabase, Database
from tests.servers.postgres import Cluster, binaries

ROWS = 200_000
CHUNK = 2_000
QUERY = "SELECT n AS id, 'name ' || n AS name, n * 2 AS twice FROM generate_series(1, {rows}) n"
LONG = text(QUERY.format(rows=1_000_000))
READ = text("SELECT id, name, twice FROM r")


def main() -> None:
    folder = binaries()
    if folder is None:
        print("SKIPPED: there is no PostgreSQL here")
        return
    cluster = Cluster(folder)
    try:
        cluster.start()
        with psycopg.connect(cluster.url("postgres")) as raw:
            raw.execute(f"CREATE TABLE r AS {QUERY.format(rows=ROWS)}")
        synchronously(cluster)
        for driver in ("psycopg", "asyncpg"):
            asynchronously(cluster.sqlalchemy_url("postgres", driver), driver)
        kb = growth_kb(read, cluster.sqlalchemy_url("postgres"))
        print(f"memory of stream(): {kb / 1024:.1f} MB more for 1000000 rows than for {ROWS}")
    finally:
        cluster.remove()


def read(url: str, *, short: bool) -> None:
    """Read some rows, or many: for `growth_kb`."""
    with Database(url) as database:
        for _ in database.stream(READ if short else LONG, chunk=CHUNK):
            pass


def synchronously(cluster: Cluster) -> None:
    url = cluster.sqlalchemy_url("postgres")
    engine, database = create_engine(url), Database(url)

    def peer() -> None:
        with engine.connect() as connection:
            for _ in connection.execution_options(yield_per=CHUNK).execute(READ):
                pass

    def ours() -> None:
        for _ in database.stream(READ, chunk=CHUNK):
            pass

    contenders = {"SQLAlchemy yield_per": peer, "stream()": ours}
    if model := django_model(cluster, "r", {"id": "integer", "name": "text", "twice": "integer"}):
        contenders["Django iterator()"] = lambda: exhaust(model.objects.iterator(CHUNK))
        contenders["Django values_list().iterator()"] = lambda: exhaust(model.objects.values_list().iterator(CHUNK))
    for clock in ("wall", "cpu"):
        compare(f"psycopg: {ROWS} rows streamed", contenders, clock=clock, rounds=5)
    database.close()
    engine.dispose()


def exhaust(rows: Any) -> None:
    for _ in rows:
        pass


def asynchronously(url: str, driver: str) -> None:
    with asyncio.Runner() as runner:
        engine, database = create_async_engine(url), AsyncDatabase(url)

        async def by_partition() -> None:
            async with engine.connect() as connection:
                result = await connection.stream(READ, execution_options={"yield_per": CHUNK})
                async for partition in result.partitions():
                    exhaust(partition)

        async def row_by_row() -> None:
            async with engine.connect() as connection:
                async for _ in await connection.stream(READ, execution_options={"yield_per": CHUNK}):
                    pass

        async def ours() -> None:
            async for _ in database.stream(READ, chunk=CHUNK):
                pass

        compare(
            f"{driver}, asynchronous: {ROWS} rows streamed",
            {
                "SQLAlchemy yield_per": lambda: runner.run(row_by_row()),
                "SQLAlchemy yield_per, by partition": lambda: runner.run(by_partition()),
                "stream()": lambda: runner.run(ours()),
            },
            clock="wall",
            rounds=5,
        )
        runner.run(database.aclose())
        runner.run(engine.dispose())


if __name__ == "__main__":
    main()
