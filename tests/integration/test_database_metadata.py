"""What a database tells of its tables, without reading them."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from controlroom.database import ColumnInfo, ForeignKeyInfo, IndexInfo, identifier
from controlroom.errors import QueryError


@pytest.fixture
def db(place):
    with place.opened(lock_timeout_s=0.5) as database:
        yield database


@pytest.fixture
def server(place, db):
    if place.is_sqlite:
        pytest.skip("PostgreSQL's own: SQLite has nothing like it")
    return db


def test_tables_columns_keys_and_indexes_in_every_database(db, place):
    place.look("CREATE TABLE owners (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE)")
    place.look("""
        CREATE TABLE pets (
            owner INTEGER REFERENCES owners (id) ON DELETE CASCADE, number INTEGER, tag TEXT DEFAULT 'none', old TEXT,
            PRIMARY KEY (owner, number)
        )
    """)
    place.look("CREATE UNIQUE INDEX pets_tag ON pets (tag, old)")
    place.look("CREATE INDEX pets_low ON pets (lower(tag))")
    place.look("CREATE UNIQUE INDEX pets_some ON pets (old) WHERE number > 7")
    place.look("CREATE VIEW old_pets AS SELECT owner, tag FROM pets")

    assert db.tables() == ["owners", "pets"]
    pets, owners, view = db.describe("pets"), db.describe("owners"), db.describe("old_pets")
    assert (pets.name, pets.kind, pets.columns.names) == ("pets", "table", ("owner", "number", "tag", "old"))
    assert (pets.primary_key, pets.uniques) == (("owner", "number"), (("tag", "old"),))
    assert pets.foreign_keys == (ForeignKeyInfo(("owner",), "owners", ("id",), "CASCADE"),)
    assert [(each.name, each.is_unique) for each in pets.indexes] == [
        ("pets_low", False),
        ("pets_some", True),
        ("pets_tag", True),
    ]
    assert pets.indexes[2] == IndexInfo("pets_tag", ("tag", "old"), is_unique=True)
    assert "number > 7" in str(pets.indexes[1].where)
    assert (owners.uniques, owners.columns["name"].nullable) == ((("name",),), False)
    assert (view.kind, view.columns.names, view.primary_key) == ("view", ("owner", "tag"), ())
    for asked in (db.describe, db.facts):
        for name in ("nonsense", "no.such", ".", "pets.", identifier("nonsense")):
            with pytest.raises(QueryError, match="There is no table"):
                asked(name)


def test_names_with_dots_and_quotes_are_given_as_identifiers(db, place):
    place.look('CREATE TABLE "odd.na""me" ("a.b" INTEGER PRIMARY KEY)')
    name = identifier('odd.na"me')

    assert db.describe(name).columns.names == ("a.b",)
    with db.unit_of_work() as uow:
        assert uow.insert(name, [{"a.b": 7}]) == 1
    assert place.look('SELECT * FROM "odd.na""me"') == [(7,)]


def test_types_as_the_server_writes_them(server, place):
    place.look("CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s')")
    place.look("CREATE DOMAIN positive AS integer NOT NULL CHECK (VALUE > 0)")
    place.look("""
        CREATE TABLE t (
            id bigint GENERATED ALWAYS AS IDENTITY, m mood DEFAULT 'ok', many mood[], p positive, n numeric(10,2)[],
            twice bigint GENERATED ALWAYS AS (id * 2) STORED, place point, at timestamptz NOT NULL DEFAULT now()
        )
    """)

    assert list(server.describe("t").columns) == [
        ColumnInfo("id", "bigint", nullable=False, default=None, is_identity=True),
        ColumnInfo("m", "mood", nullable=True, default="'ok'::mood", labels=("sad", "ok", "it's")),
        ColumnInfo("many", "mood[]", nullable=True, default=None, labels=("sad", "ok", "it's")),
        ColumnInfo("p", "positive", nullable=False, default=None),
        ColumnInfo("n", "numeric(10,2)[]", nullable=True, default=None),
        ColumnInfo("twice", "bigint", nullable=True, default=None, generated="(id * 2)"),
        ColumnInfo("place", "point", nullable=True, default=None),
        ColumnInfo("at", "timestamp with time zone", nullable=False, default="now()"),
    ]


def test_schemas_partitions_and_what_goes_across_them(server, place):
    place.look('CREATE SCHEMA "Other"')
    try:
        place.look('CREATE TABLE "Other".parent (id integer PRIMARY KEY)')
        place.look('CREATE TABLE parts (id integer REFERENCES "Other".parent, at date) PARTITION BY RANGE (at)')
        place.look("CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
        place.look("INSERT INTO \"Other\".parent VALUES (1); INSERT INTO parts VALUES (1, '2026-01-05')")
        place.look("ANALYZE parts_1")
        found, facts = server.describe("parts"), server.facts("parts")

        assert (found.kind, found.partitions) == ("partitioned table", ("parts_1",))
        assert found.foreign_keys == (ForeignKeyInfo(("id",), '"Other".parent', ("id",)),)
        assert server.tables("Other") == ["Other.parent"]
        assert (
            server.describe("Other.parent").primary_key
            == server.describe(identifier("Other", "parent")).primary_key
            == ("id",)
        )
        assert (facts.rows_estimate, facts.table_bytes) == (1, server.facts("parts_1").table_bytes)
    finally:
        place.look('DROP SCHEMA "Other" CASCADE')


def test_rows_and_sizes_without_reading(server, place):
    place.look("CREATE TABLE t (id integer PRIMARY KEY, long text)")
    assert server.facts("t").rows_estimate is None  # ANALYZE never ran
    place.look(
        "INSERT INTO t SELECT i, CASE WHEN i = 7 THEN (SELECT string_agg(md5(k::text), '') FROM generate_series(1, 500) k) END FROM generate_series(1, 1000) AS s(i)"
    )
    place.look("ANALYZE t")
    facts = server.facts("t")

    assert facts.rows_estimate == 1_000
    assert (facts.table_bytes > 0, facts.index_bytes > 0, facts.toast_bytes > 8_192) == (True, True, True)
    assert place.look("SELECT pg_total_relation_size('t')") == [(facts.size_bytes,)]


def test_who_locks_a_table_out_is_told_and_not_waited_for(server, place, module_database):
    cluster, name, _ = module_database
    place.look("CREATE TABLE t (id integer PRIMARY KEY)")
    with psycopg.connect(cluster.url(name), application_name="the migration") as holder:
        holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with closing(psycopg.connect(cluster.url(name), application_name="waits", autocommit=True)) as waiter:
            waiter.pgconn.send_query(b"SELECT * FROM t")
            while not place.look(f"SELECT 1 FROM pg_locks WHERE pid = {waiter.info.backend_pid} AND NOT granted"):
                pass
            facts = server.facts("t")
            holder.rollback()

    assert [(lock.application_name, lock.mode, lock.is_granted) for lock in facts.locks] == [
        ("the migration", "AccessExclusiveLock", True),
        ("waits", "AccessShareLock", False),
    ]
    assert facts.locks[1].blocked_by == (facts.locks[0].pid,)
    assert facts.locks[0].age_s >= 0
    assert facts.size_bytes is None
    while server.facts("t").locks:
        pass  # until the server has noticed that they have gone
    assert server.facts("t").size_bytes > 0


def test_sqlite_tells_the_rows_that_analyze_counted(db, place):
    if not place.is_sqlite:
        pytest.skip("SQLite's own")
    place.look("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)")
    place.look("CREATE INDEX t_a ON t (a)")
    place.look("INSERT INTO t VALUES (1, 2), (2, 2), (3, 2)")
    assert (db.facts("t").rows_estimate, db.facts("t").size_bytes) == (None, None)
    place.look("ANALYZE")

    assert db.facts("t").rows_estimate == 3
