"""Rows into PostgreSQL: `load` against each driver's raw COPY, `load` by key against a merge written by hand.

The server is the tests' own. Wall-clock first: the server's work is most of it. The raw COPY takes the same tuples by the
driver's own API, binary. Where they are installed, advanced-alchemy and Django store the rows as they do. Memory is that of
a process which loads a million rows from a generator, above what a tenth of them takes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncpg
import psycopg
from _database_peers import advanced_alchemy_repository, django_model, growth_kb
from _side_by_side import compare
from sqlalchemy import MetaData, Table, create_engine
from sqlalchemy.orm import Session

from controlroom import AsyncDatabase, Database
from tests.servers.postgres import Cluster, binaries

ROWS = 100_000
OF_PEERS = 5_000
KINDS = {
    "id": "integer",
    "name": "text",
    "amount": "double precision",
    "flag": "boolean",
    "note": "text",
    "number": "bigint",
}
COLUMNS = list(KINDS)
TABLE = f"({', '.join(f'{name} {kind}' for name, kind in KINDS.items())}, PRIMARY KEY (id))"
NAMES = ", ".join(COLUMNS)
TYPES = ["int4", "text", "float8", "bool", "text", "int8"]
CHANGES = " OR ".join(f"t.{name} IS DISTINCT FROM excluded.{name}" for name in COLUMNS[1:])
MERGE = (
    f"INSERT INTO t ({NAMES}) SELECT DISTINCT ON (id) {NAMES} FROM stage ORDER BY id, ctid DESC "  # noqa: S608 - names of our own
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])} WHERE {CHANGES}"
)
STAGE = "CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT * FROM t WITH NO DATA"

Row = tuple[object, ...]


def made(first: int, count: int = ROWS) -> Iterator[Row]:
    for number in range(first, first + count):
        yield number, f"name {number}", number / 7, number % 2 == 0, "some words of text", number * 1000


def named(rows: list[Row]) -> list[dict[str, object]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def main() -> None:
    folder = binaries()
    if folder is None:
        print("SKIPPED: there is no PostgreSQL here")
        return
    cluster = Cluster(folder)
    try:
        cluster.start()
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as raw:
            raw.execute(f"CREATE TABLE t {TABLE}")
            synchronously(cluster, raw)
            asynchronously(cluster, raw, "psycopg")
            asynchronously(cluster, raw, "asyncpg")
            beside_peers(cluster, raw)
            raw.execute("TRUNCATE t")
        kb = growth_kb(generated, cluster.sqlalchemy_url("postgres"))
        print(f"memory of load(): {kb / 1024:.1f} MB more for 1000000 rows of a generator than for {ROWS}")
    finally:
        cluster.remove()


def generated(url: str, *, short: bool) -> None:
    """Load some rows, or many: for `growth_kb`."""
    first, count = (0, ROWS) if short else (ROWS, 1_000_000)
    with Database(url) as database, database.unit_of_work() as uow:
        uow.load("t", made(first, count), columns=COLUMNS)


def measured(
    title: str,
    raw: psycopg.Connection[Any],
    work: dict[str, Callable[[], object]],
    keyed: dict[str, Callable[[], object]],
) -> None:
    """Compare *work* on an empty table, and *keyed* on one that has half of the rows."""

    def empty() -> None:
        raw.execute("TRUNCATE t")

    def filled() -> None:
        empty()
        with raw.transaction():
            copy(raw, "t", made(0))

    for clock in ("wall", "cpu"):
        compare(f"{title}: {ROWS} rows of 6 columns", work, clock=clock, before=empty)
        compare(f"{title}: {ROWS} rows by key, half of them new", keyed, clock=clock, before=filled, rounds=7)


def copy(raw: psycopg.Connection[Any], into: str, rows: Any) -> None:
    with raw.cursor() as cursor, cursor.copy(f"COPY {into} ({NAMES}) FROM STDIN (FORMAT binary)") as writer:
        writer.set_types(TYPES)
        for row in rows:
            writer.write_row(row)


def synchronously(cluster: Cluster, raw: psycopg.Connection[Any]) -> None:
    rows, half = list(made(0)), list(made(ROWS // 2))
    dicts = named(rows)
    database = Database(cluster.sqlalchemy_url("postgres"))

    def raw_copy() -> None:
        with raw.transaction():
            copy(raw, "t", rows)

    def raw_merge() -> None:
        with raw.transaction():
            raw.execute(STAGE)
            copy(raw, "stage", half)
            raw.execute(MERGE)

    def loaded(given: Any, **options: Any) -> None:
        with database.unit_of_work() as uow:
            uow.load("t", given, **options)

    work: dict[str, Callable[[], object]] = {
        "raw binary COPY": raw_copy,
        "load, tuples": lambda: loaded(rows, columns=COLUMNS),
        "load, a generator": lambda: loaded(made(0), columns=COLUMNS),
        "load, mappings": lambda: loaded(dicts),
    }
    keyed: dict[str, Callable[[], object]] = {
        "temporary table, COPY, ON CONFLICT": raw_merge,
        "load by key": lambda: loaded(half, columns=COLUMNS, key=["id"]),
    }
    measured("psycopg", raw, work, keyed)
    database.close()


def asynchronously(cluster: Cluster, raw: psycopg.Connection[Any], driver: str) -> None:
    rows, half = list(made(0)), list(made(ROWS // 2))
    dicts = named(rows)
    with asyncio.Runner() as runner:
        database = AsyncDatabase(cluster.sqlalchemy_url("postgres", driver))
        connect: Any = asyncpg.connect if driver == "asyncpg" else psycopg.AsyncConnection.connect
        connection = runner.run(connect(cluster.url("postgres")))

        async def copied(into: str, given: list[Row]) -> None:
            if driver == "asyncpg":
                await connection.copy_records_to_table(into, records=given, columns=COLUMNS)
                return
            statement = f"COPY {into} ({NAMES}) FROM STDIN (FORMAT binary)"
            async with connection.cursor() as cursor, cursor.copy(statement) as writer:
                writer.set_types(TYPES)
                for row in given:
                    await writer.write_row(row)

        async def raw_copy() -> None:
            async with connection.transaction():
                await copied("t", rows)

        async def raw_merge() -> None:
            async with connection.transaction():
                await connection.execute(STAGE)
                await copied("stage", half)
                await connection.execute(MERGE)

        async def loaded(given: Any, **options: Any) -> None:
            async with database.unit_of_work() as uow:
                await uow.load("t", given, **options)

        work: dict[str, Callable[[], object]] = {
            "raw COPY": lambda: runner.run(raw_copy()),
            "load, tuples": lambda: runner.run(loaded(rows, columns=COLUMNS)),
            "load, mappings": lambda: runner.run(loaded(dicts)),
        }
        keyed: dict[str, Callable[[], object]] = {
            "temporary table, COPY, ON CONFLICT": lambda: runner.run(raw_merge()),
            "load by key": lambda: runner.run(loaded(half, columns=COLUMNS, key=["id"])),
        }
        if driver == "psycopg":
            runner.run(connection.set_autocommit(True))
        measured(f"{driver}, asynchronous", raw, work, keyed)
        runner.run(database.aclose())
        runner.run(connection.close())


def beside_peers(cluster: Cluster, raw: psycopg.Connection[Any]) -> None:
    dicts = named(list(made(0, OF_PEERS)))
    url = cluster.sqlalchemy_url("postgres")
    engine, database = create_engine(url), Database(url)
    table = Table("t", MetaData(), autoload_with=engine)

    def ours() -> None:
        with database.unit_of_work() as uow:
            uow.load("t", dicts)

    def repository_adds(repository: Any) -> None:
        with Session(engine) as session:
            repository(session=session).add_many([repository.model_type(**each) for each in dicts])
            session.commit()

    work: dict[str, Callable[[], object]] = {"load, mappings": ours}
    if repository := advanced_alchemy_repository(table):
        work["advanced-alchemy add_many"] = partial(repository_adds, repository)
    if model := django_model(cluster, "t", KINDS):
        work["Django bulk_create"] = lambda: model.objects.bulk_create([model(**each) for each in dicts])
    if len(work) > 1:
        compare(
            f"beside others: {OF_PEERS} rows", work, clock="wall", rounds=5, before=lambda: raw.execute("TRUNCATE t")
        )
    database.close()
    engine.dispose()


if __name__ == "__main__":
    main()
