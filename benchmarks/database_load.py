"""Rows into PostgreSQL: `load` against each driver's raw COPY, `load` by key against a merge written by hand.

The server is the tests' own. Wall-clock: the server's work is most of it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncpg
import psycopg
from _side_by_side import compare

from controlroom import AsyncDatabase, Database
from tests.servers.postgres import Cluster, binaries

ROWS = 100_000
COLUMNS = ["id", "name", "amount", "flag", "note", "number"]
TABLE = "(id integer PRIMARY KEY, name text, amount double precision, flag boolean, note text, number bigint)"
NAMES = ", ".join(COLUMNS)
TYPES = ["int4", "text", "float8", "bool", "text", "int8"]
CHANGES = " OR ".join(f"t.{name} IS DISTINCT FROM excluded.{name}" for name in COLUMNS[1:])
MERGE = (
    f"INSERT INTO t ({NAMES}) SELECT DISTINCT ON (id) {NAMES} FROM stage ORDER BY id, ctid DESC "  # noqa: S608 - names of our own
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])} WHERE {CHANGES}"
)
STAGE = "CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT * FROM t WITH NO DATA"


def made(first: int) -> list[tuple[object, ...]]:
    return [
        (number, f"name {number}", number / 7, number % 2 == 0, "some words of text", number * 1000)
        for number in range(first, first + ROWS)
    ]


def main() -> None:
    folder = binaries()
    if folder is None:
        print("SKIPPED: there is no PostgreSQL here")
        return
    cluster = Cluster(folder)
    try:
        cluster.start()
        measure(cluster)
    finally:
        cluster.remove()


def measure(cluster: Cluster) -> None:
    rows, half = made(0), made(ROWS // 2)
    dicts = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    raw = psycopg.connect(cluster.url("postgres"), autocommit=True)
    raw.execute(f"CREATE TABLE t {TABLE}")
    database = Database(cluster.sqlalchemy_url("postgres"))

    def empty() -> None:
        raw.execute("TRUNCATE t")

    def by_hand(into: str, given: list[tuple[object, ...]]) -> None:
        with raw.cursor() as cursor, cursor.copy(f"COPY {into} ({NAMES}) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(TYPES)
            for row in given:
                copy.write_row(row)

    def raw_copy() -> None:
        with raw.transaction():
            by_hand("t", rows)

    def raw_merge() -> None:
        with raw.transaction():
            raw.execute(STAGE)
            by_hand("stage", half)
            raw.execute(MERGE)

    def loaded(given: object, columns: list[str] | None = None, key: list[str] | None = None) -> None:
        with database.unit_of_work() as uow:
            uow.load("t", given, key=key, columns=columns)

    def filled() -> None:
        empty()
        raw_copy()

    compare(
        f"psycopg: {ROWS} rows of 6 columns",
        {
            "raw binary COPY": raw_copy,
            "load, tuples": lambda: loaded(rows, COLUMNS),
            "load, dicts": lambda: loaded(dicts),
        },
        clock="wall",
        before=empty,
    )
    compare(
        f"psycopg: {ROWS} rows by key, half of them new",
        {"temporary table, COPY, ON CONFLICT": raw_merge, "load by key": lambda: loaded(half, COLUMNS, ["id"])},
        clock="wall",
        before=filled,
    )
    asynchronously(cluster, rows, empty)
    database.close()
    raw.close()


def asynchronously(cluster: Cluster, rows: list[tuple[object, ...]], empty: object) -> None:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(cluster.url("postgres")))
        database = AsyncDatabase(cluster.sqlalchemy_url("postgres", "asyncpg"))

        async def raw_copy() -> None:
            async with connection.transaction():
                await connection.copy_records_to_table("t", records=rows, columns=COLUMNS)

        async def loaded() -> None:
            async with database.unit_of_work() as uow:
                await uow.load("t", rows, columns=COLUMNS)

        compare(
            f"asyncpg: {ROWS} rows of 6 columns",
            {"raw copy_records_to_table": lambda: runner.run(raw_copy()), "load, tuples": lambda: runner.run(loaded())},
            clock="wall",
            before=empty,
        )
        runner.run(database.aclose())
        runner.run(connection.close())


if __name__ == "__main__":
    main()
