"""A small unit of work on PostgreSQL against SQLAlchemy's: the same statement in both.

The server is the tests' own. SQLite's units are in unit_of_work.py; streamed reads in database_stream.py.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _side_by_side import compare
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from controlroom import AsyncDatabase, Database
from tests.servers.postgres import Cluster, binaries

UNITS = 300
STATEMENT = text("INSERT INTO t (id, v) VALUES (:id, :v) ON CONFLICT (id) DO UPDATE SET v = excluded.v")


def main() -> None:
    folder = binaries()
    if folder is None:
        print("SKIPPED: there is no PostgreSQL here")
        return
    cluster = Cluster(folder)
    try:
        cluster.start()
        url = cluster.sqlalchemy_url("postgres")
        units(url)
        for driver in ("psycopg", "asyncpg"):
            asynchronous_units(cluster.sqlalchemy_url("postgres", driver), driver)
    finally:
        cluster.remove()


def units(url: str) -> None:
    engine, database = create_engine(url), Database(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id integer PRIMARY KEY, v text)"))

    def peer() -> None:
        for number in range(UNITS):
            with engine.begin() as connection:
                connection.execute(STATEMENT, {"id": number % 10, "v": str(number)})

    def ours() -> None:
        for number in range(UNITS):
            with database.unit_of_work() as uow:
                uow.execute(STATEMENT, {"id": number % 10, "v": str(number)})

    compare(f"psycopg: {UNITS} units of one upsert", {"SQLAlchemy engine.begin()": peer, "unit_of_work()": ours})
    database.close()
    engine.dispose()


def asynchronous_units(url: str, driver: str) -> None:
    with asyncio.Runner() as runner:
        engine, database = create_async_engine(url), AsyncDatabase(url)

        async def peer() -> None:
            for number in range(UNITS):
                async with engine.begin() as connection:
                    await connection.execute(STATEMENT, {"id": number % 10, "v": str(number)})

        async def ours() -> None:
            for number in range(UNITS):
                async with database.unit_of_work() as uow:
                    await uow.execute(STATEMENT, {"id": number % 10, "v": str(number)})

        compare(
            f"{driver}, asynchronous: {UNITS} units of one upsert",
            {"SQLAlchemy engine.begin()": lambda: runner.run(peer()), "unit_of_work()": lambda: runner.run(ours())},
        )
        runner.run(database.aclose())
        runner.run(engine.dispose())


if __name__ == "__main__":
    main()
