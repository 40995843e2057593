"""Rows on their way into PostgreSQL: insert, load and upsert store the same, count right and say which row was refused."""

# ruff: noqa: DTZ001 - the bounds of what hypothesis makes are naive, and so are half of the values

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import threading

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from controlroom.database import AsyncDatabase, WriteCount
from controlroom.errors import (
    DoomedTransactionError,
    IntegrityViolationError,
    QueryError,
)
from tests.integration.database_colours import opened

DRIVERS = (("sync", "psycopg"), ("async", "psycopg"), ("async", "asyncpg"))
MANY = 450  # more than are upserted one by one


@pytest.fixture(params=DRIVERS, ids="-".join)
def driver(request):
    return request.param


@pytest.fixture(scope="module")
def module_url(postgres_cluster):
    name = postgres_cluster.new_database()
    yield postgres_cluster.sqlalchemy_url(name)
    postgres_cluster.drop(name)


@pytest.fixture
def plain(module_url):
    """A connection of somebody else's, into a database that is empty again."""
    with psycopg.connect(module_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute('DROP SCHEMA IF EXISTS public, "odd % s" CASCADE; CREATE SCHEMA public')
        yield connection


@pytest.fixture
def db(driver, module_url, plain):
    plain.execute(
        "CREATE TABLE parents (id integer PRIMARY KEY);"
        "CREATE TABLE t (id integer PRIMARY KEY, name text, email text UNIQUE, n integer CHECK (n < 1000))"
    )
    colour, name = driver
    with opened(colour, module_url.replace("+psycopg", f"+{name}")) as database:
        yield database


def row(number, **more):
    return {"id": number, "name": f"name {number}", "email": f"{number}@x", "n": number % 900, **more}


def stored(plain, table="t"):
    return plain.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


# Insert, and which row was refused


@pytest.mark.parametrize("many", [1, 2, 5000])
def test_insert_counts_the_rows_whatever_the_driver_says(db, plain, many):
    with db.unit_of_work() as uow:
        assert uow.insert("t", (row(number) for number in range(many))) == many
    assert plain.execute("SELECT count(*) FROM t").fetchone() == (many,)


def test_insert_does_not_count_rows_that_a_trigger_leaves_out(db, plain):
    plain.execute(
        "CREATE FUNCTION odd() RETURNS trigger AS $$ BEGIN IF new.id % 2 = 1 THEN RETURN null; END IF; RETURN new; END $$"
        " LANGUAGE plpgsql; CREATE TRIGGER odd BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION odd()"
    )
    with db.unit_of_work() as uow:
        assert uow.insert("t", [row(number) for number in range(10)]) == 5
        assert uow.load("t", [row(number) for number in range(10, 20)]) == WriteCount(inserted=5)


@pytest.mark.parametrize("write", ["insert", "load", "upsert"])
@pytest.mark.parametrize("many", [1, 5, MANY])
def test_the_refused_row_is_named_exactly_and_nothing_is_left(db, plain, write, many):
    plain.execute("INSERT INTO t VALUES (-1, 'x', 'taken', 1), (0, 'x', 'zero', 1)")
    refused = [{"n": 5000}, {"email": "taken"}, {"n": 2**40}, {"name": "a\0b"}, {"id": None}, {"n": "seven"}]
    refused.append({"name": "x", "email": "zero"} if write == "upsert" else {"id": 0})
    place = many // 2 + many // 3
    for bad in refused:
        rows = [row(number + 1) for number in range(many)]
        rows[place] |= bad
        with pytest.raises((IntegrityViolationError, QueryError)) as caught, db.unit_of_work() as uow:
            uow.upsert("t", iter(rows), ["id"]) if write == "upsert" else getattr(uow, write)("t", iter(rows))

        assert (caught.value.row_index, caught.value.table) == (place, "t"), bad
        assert "seven" not in str(caught.value)
        assert "a\0b" not in str(caught.value)
        assert len(stored(plain)) == 2


@pytest.mark.parametrize(
    ("write", "place"), [("insert", 0), ("insert", 17), ("load", 17), ("load", 10_003), ("upsert", 17), ("upsert", 300)]
)
def test_a_row_that_a_foreign_key_refuses_is_named(db, plain, write, place):
    plain.execute("CREATE TABLE children (id integer PRIMARY KEY, parent integer REFERENCES parents)")
    plain.execute("INSERT INTO parents VALUES (1)")
    rows = [{"id": number, "parent": 1} for number in range(place + 9)]
    rows[place]["parent"] = 2
    with pytest.raises(IntegrityViolationError) as caught, db.unit_of_work() as uow:
        uow.upsert("children", rows, ["id"]) if write == "upsert" else getattr(uow, write)("children", rows)
    assert caught.value.row_index == place
    assert stored(plain, "children") == []


@pytest.mark.parametrize("listed", [list, iter])
@pytest.mark.parametrize("place", [11_234])
def test_a_row_that_cannot_be_sent_is_named_while_copy_runs(db, plain, listed, place):
    plain.execute("ALTER TABLE t ADD sure boolean")
    bad = [{"n": 2**40}, {"n": None, "id": 2**31}, {"name": 7}, {"name": "a\0b"}, {"sure": "seven"}, {"more": 1}]
    with db.unit_of_work() as uow:
        for change in bad:
            rows = [row(number, n=None, sure=number % 3 == 0) for number in range(12_000)]
            rows[place] = rows[place] | change
            with pytest.raises((IntegrityViolationError, QueryError)) as caught, uow.savepoint():
                uow.load("t", listed(rows))
            assert (caught.value.row_index, caught.value.table) == (place, "t"), change
            assert "seven" not in str(caught.value)
        uow.insert("t", [row(-1)])
    assert [each[0] for each in stored(plain)] == [-1]


def test_a_statement_that_is_wrong_blames_no_row(db):
    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("missing", sa.Integer))
    with pytest.raises(QueryError) as caught, db.unit_of_work() as uow:
        uow.insert(table, [{"id": 1, "missing": 1}, {"id": 2, "missing": 2}])
    assert caught.value.row_index is None


@pytest.mark.parametrize("write", ["insert", "load", "upsert"])
@pytest.mark.parametrize("fails_at", [0, 1, 30, 12_000])
def test_an_iterable_that_raises_dooms_no_more_than_its_savepoint(db, plain, write, fails_at):
    def rows():
        for number in range(fails_at):
            yield row(number)
        raise LookupError("mine")

    with db.unit_of_work() as uow:
        uow.insert("t", [row(-1)])
        with pytest.raises(LookupError, match="mine"), uow.savepoint():
            uow.upsert("t", rows(), ["id"]) if write == "upsert" else getattr(uow, write)("t", rows())
        uow.insert("t", [row(-2)])
    assert [each[0] for each in stored(plain)] == [-2, -1]


def test_rows_may_be_read_with_the_same_unit_while_they_are_loaded(db, driver, plain):
    if driver[0] == "async":
        pytest.skip("a synchronous generator has nothing to await with")
    with db.unit_of_work() as uow:
        uow.load("t", (row(uow.scalar("SELECT :n", {"n": number})) for number in range(5)))
    assert len(stored(plain)) == 5


# Upsert


@pytest.mark.parametrize("copies", [1, MANY])
def test_upsert_counts_every_row_once_and_the_last_of_a_key_wins(db, plain, copies):
    before = [row(number) for number in range(3 * copies)]
    with db.unit_of_work() as uow:
        assert uow.upsert("t", before, ["id"]) == WriteCount(inserted=3 * copies)
    rows = []
    for number in range(copies):
        rows += [row(3 * number, name="first"), row(3 * number, name="last"), row(3 * number + 1), row(-number - 1)]
    with db.unit_of_work() as uow:
        assert uow.upsert("t", rows, ["id"]) == WriteCount(inserted=copies, updated=copies, unchanged=copies)
        assert uow.scalar("SELECT count(*) FROM t WHERE name = 'first'") == 0
        assert uow.scalar("SELECT count(*) FROM t WHERE name = 'last'") == copies


@pytest.mark.parametrize("copies", [1, MANY])
def test_unchanged_rows_are_not_written_again(db, plain, copies):
    rows = [row(number, name=None) for number in range(copies)]
    with db.unit_of_work() as uow:
        uow.upsert("t", rows, ["id"])
    before = plain.execute("SELECT xmin, ctid FROM t ORDER BY id").fetchall()
    with db.unit_of_work() as uow:
        assert uow.upsert("t", rows, ["id"]) == WriteCount(unchanged=copies)
        assert uow.load("t", rows, key=["id"]) == WriteCount(unchanged=copies)
    assert plain.execute("SELECT xmin, ctid FROM t ORDER BY id").fetchall() == before


@pytest.mark.parametrize("copies", [1, MANY])
def test_update_chooses_what_changes_in_rows_that_are_there(db, plain, copies):
    with db.unit_of_work() as uow:
        uow.upsert("t", [row(number) for number in range(copies)], ["id"])
        changed = [row(number, name="new", n=7) for number in range(copies)] + [row(-1)]
        assert uow.upsert("t", changed, ["id"], update=["n"]) == WriteCount(1, copies - (copies > 7), int(copies > 7))
        assert uow.upsert("t", changed, ["id"], update=[]) == WriteCount(unchanged=copies + 1)
    assert {each[1] for each in stored(plain)} == {f"name {number}" for number in range(-1, copies)}


@pytest.mark.parametrize("copies", [1, MANY])
def test_a_key_may_be_any_unique_constraint_and_none_else(db, plain, copies):
    rows = [row(number) for number in range(copies)]
    with db.unit_of_work() as uow:
        uow.insert("t", rows)
        moved = [each | {"id": -each["id"] - 1} for each in rows]
        assert uow.upsert("t", moved, ["email"]) == WriteCount(updated=copies)
    with pytest.raises(QueryError, match="no unique constraint") as caught, db.unit_of_work() as uow:
        uow.upsert("t", rows, ["name"])
    assert caught.value.sqlstate == "42P10"
    assert all(each[0] < 0 for each in stored(plain))


@pytest.mark.parametrize("copies", [1, MANY])
@pytest.mark.parametrize("layout", ["partitioned", "view", "triggered"])
def test_counts_are_true_for_tables_that_are_not_plain(db, plain, copies, layout):
    if layout == "partitioned":
        plain.execute(
            "CREATE TABLE p (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);"
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);"
            "CREATE TABLE p2 (v text, id integer NOT NULL); ALTER TABLE p ATTACH PARTITION p2 DEFAULT"
        )
    elif layout == "view":
        plain.execute("CREATE TABLE under (id integer PRIMARY KEY, v text); CREATE VIEW p AS SELECT * FROM under")
    else:
        plain.execute(
            "CREATE TABLE p (id integer PRIMARY KEY, v text);"
            "CREATE FUNCTION same() RETURNS trigger AS 'BEGIN RETURN new; END' LANGUAGE plpgsql;"
            "CREATE TRIGGER same BEFORE INSERT OR UPDATE ON p FOR EACH ROW EXECUTE FUNCTION same()"
        )
    old = [{"id": number, "v": "old"} for number in range(2 * copies)]
    with db.unit_of_work() as uow:
        assert uow.load("p", old) == WriteCount(inserted=2 * copies)
        rows = [{"id": number, "v": "new"} for number in range(copies, 3 * copies)]
        assert uow.upsert("p", rows + rows, ["id"]) == WriteCount(inserted=copies, updated=copies)
        assert uow.upsert("p", rows, ["id"]) == WriteCount(unchanged=2 * copies)
    assert sorted(plain.execute("SELECT v, count(*)::integer FROM p GROUP BY v").fetchall()) == [
        ("new", 2 * copies),
        ("old", copies),
    ]


@pytest.mark.parametrize("copies", [1, MANY])
def test_odd_names_schemas_and_what_the_database_computes(db, plain, copies):
    plain.execute(
        'CREATE SCHEMA "odd % s";'
        'CREATE TABLE "odd % s"."Ta ""ble%s" ("order" integer, "a\'b%" text, "é)" jsonb, j json,'
        ' made integer GENERATED ALWAYS AS ("order" * 2) STORED, number integer GENERATED ALWAYS AS IDENTITY,'
        ' at timestamptz DEFAULT now(), UNIQUE ("order", "a\'b%"))'
    )
    name = 'odd % s.Ta "ble%s'
    rows = [{"order": number, "a'b%": "x", "é)": {"a": 1}, "j": {"b": [1]}} for number in range(copies)]
    key = ["order", "a'b%"]
    with db.unit_of_work() as uow:
        assert uow.upsert(name, rows, key) == WriteCount(inserted=copies)
        assert uow.upsert(name, rows, key) == WriteCount(unchanged=copies)
        assert uow.upsert(name, [each | {"j": {"b": [2]}} for each in rows], key) == WriteCount(updated=copies)
        other = [each | {"a'b%": "y"} for each in rows]
        assert uow.load(name, other) == WriteCount(inserted=copies)
        assert uow.insert(name, [each | {"a'b%": "z"} for each in rows]) == copies
    found = plain.execute('SELECT made, number, at, j FROM "odd % s"."Ta ""ble%s" WHERE "order" = 0 ORDER BY "a\'b%"')
    made, numbers, at, json = zip(*found.fetchall(), strict=True)
    assert set(made) == {0}
    assert len(set(numbers)) == 3
    assert None not in at
    assert json == ({"b": [2]}, {"b": [1]}, {"b": [1]})


def test_the_last_row_wins_however_wide_the_rows_are(db, plain):
    rows = [
        row(number % 300, email=None, name="x" * (1 + number * 37 % 3000), n=number % 999) for number in range(3000)
    ]
    with db.unit_of_work() as uow:
        assert uow.upsert("t", rows, ["id"]) == WriteCount(inserted=300)
    assert stored(plain) == [(each["id"], each["name"], None, each["n"]) for each in rows[2700:]]


@pytest.mark.parametrize("many", [100, 600])
def test_two_batches_in_opposite_order_do_not_deadlock_and_count_what_they_did(driver, module_url, plain, many):
    plain.execute("CREATE TABLE t (id integer PRIMARY KEY, name text)")
    counts, together = [], threading.Barrier(2)

    def work(name, step):
        with opened(driver[0], module_url.replace("+psycopg", f"+{driver[1]}")) as database:
            for turn in range(5):
                rows = [{"id": number, "name": f"{name}{turn}"} for number in range(many)][::step]
                together.wait(30)
                with database.unit_of_work() as uow:
                    counts.append(uow.upsert("t", rows, ["id"]))

    threads = [threading.Thread(target=work, args=each) for each in (("a", 1), ("b", -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 10
    assert sum(each.inserted for each in counts) == many
    assert sum(each.updated for each in counts) == 9 * many


# Values


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Backwards(sa.TypeDecorator):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value[::-1]


class Lowered(sa.TypeDecorator):
    impl = sa.Text
    cache_ok = True

    def bind_expression(self, bindvalue):
        return sa.func.lower(bindvalue)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))
ZONES = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30)), dt.timezone(dt.timedelta(hours=-11))])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
KINDS = {
    "small": (sa.SmallInteger(), st.integers(-(2**15), 2**15 - 1)),
    "whole": (sa.Integer(), st.integers(-(2**31), 2**31 - 1)),
    "big": (sa.BigInteger(), st.integers(-(2**63), 2**63 - 1)),
    "truth": (sa.Boolean(), st.booleans()),
    "words": (sa.Text(), TEXTS),
    "short": (sa.String(20), TEXTS),
    "raw": (sa.LargeBinary(), st.binary(max_size=20)),
    "real": (sa.Float(), st.floats(allow_nan=False)),
    "amount": (sa.Numeric(20, 5), st.decimals(-(10**14), 10**14, places=5)),
    "day": (sa.Date(), st.dates()),
    "hour": (sa.Time(), st.times()),
    "local": (sa.DateTime(), TIMES),
    "instant": (
        sa.DateTime(timezone=True),
        st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=ZONES),
    ),
    "span": (sa.Interval(), st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999))),
    "key": (sa.Uuid(), st.uuids()),
    "key_text": (sa.Uuid(as_uuid=False), st.uuids().map(str)),
    "document": (sa.JSON(), JSON),
    "document_b": (postgresql.JSONB(), JSON),
    "colour": (sa.Enum(Colour), st.sampled_from(Colour)),
    "loose": (sa.Enum(Colour, native_enum=False), st.sampled_from(Colour)),
    "reversed": (Backwards(), TEXTS),
    "lowered": (Lowered(), TEXTS),
    "numbers": (sa.ARRAY(sa.Integer), st.lists(st.integers(-(2**31), 2**31 - 1) | st.none(), max_size=4)),
    "names": (sa.ARRAY(sa.Text), st.lists(TEXTS, max_size=4)),
    "instants": (
        sa.ARRAY(sa.DateTime(timezone=True)),
        st.lists(st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=ZONES), max_size=3),
    ),
    "address": (postgresql.INET(), st.ip_addresses()),
}


@pytest.fixture(params=DRIVERS, ids="-".join, scope="module")
def module_db(request, module_url):
    colour, name = request.param
    with opened(colour, module_url.replace("+psycopg", f"+{name}")) as database:
        yield database


def tables(kind):
    return {
        write: sa.Table(
            f"{write}_{kind}",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("v", KINDS[kind][0]),
        )
        for write in ("insert", "load", "upsert", "many")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_insert_load_and_upsert_store_the_same(module_db, module_url, kind):
    made = tables(kind)
    with psycopg.connect(module_url.replace("+psycopg", ""), autocommit=True) as plain:
        engine = sa.create_engine(module_url)
        for table in made.values():
            table.drop(engine, checkfirst=True)
            table.create(engine)
        engine.dispose()

        @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.none() | KINDS[kind][1], min_size=1, max_size=5))
        def law(values):
            rows = [{"id": number, "v": value} for number, value in enumerate(values)]
            many = rows + [{"id": number + 1000, "v": values[number % len(values)]} for number in range(210)]
            with module_db.unit_of_work() as uow:
                for table in made.values():
                    uow.execute(sa.delete(table))
                assert uow.insert(made["insert"], rows) == len(rows)
                assert uow.load(made["load"], rows) == WriteCount(inserted=len(rows))
                assert uow.upsert(made["upsert"], rows, ["id"]) == WriteCount(inserted=len(rows))
                assert uow.upsert(made["many"], many, ["id"]) == WriteCount(inserted=len(many))
                assert uow.upsert(made["many"], many, ["id"]) == WriteCount(unchanged=len(many))
            found = {
                write: plain.execute(f"SELECT id, v::text FROM {table.name} WHERE id < 1000 ORDER BY id").fetchall()
                for write, table in made.items()
            }
            assert found["load"] == found["insert"]
            assert found["upsert"] == found["insert"]
            assert found["many"] == found["insert"]

        law()


def test_texts_of_a_csv_file_load_as_they_are_inserted(db, driver, plain):
    if driver[1] == "asyncpg":
        pytest.skip("asyncpg takes no text for a number")
    rows = [
        {"id": str(number), "name": "tab\tnew\nback\\slash\\N", "n": "" if number < 0 else "7"} for number in range(300)
    ]
    with db.unit_of_work() as uow:
        uow.load("t", rows)
    assert stored(plain)[-1] == (299, "tab\tnew\nback\\slash\\N", None, 7)


def test_an_aware_time_for_a_column_without_zone_keeps_its_instant_in_the_sessions_zone(db, driver, plain):
    if driver[1] == "asyncpg":
        pytest.skip("asyncpg refuses it, as INSERT does")
    plain.execute("CREATE TABLE times (at timestamp, zoned timestamptz)")
    aware = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=5)))
    for write in ("insert", "load"):
        with db.unit_of_work() as uow:
            getattr(uow, write)("times", [{"at": aware, "zoned": aware.replace(tzinfo=None)}] * 3)
    assert len(set(plain.execute("SELECT * FROM times").fetchall())) == 1


def test_defaults_of_python_and_of_sql_are_the_same_however_rows_come(db, plain):
    plain.execute(
        "CREATE TABLE d (id integer PRIMARY KEY, by_python text, by_sql text, by_server text DEFAULT 'server')"
    )
    table = sa.Table(
        "d",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("by_python", sa.Text, default=lambda: "python"),
        sa.Column("by_sql", sa.Text, default=sa.func.lower("SQL")),
        sa.Column("by_server", sa.Text),
    )
    with db.unit_of_work() as uow:
        uow.insert(table, [{"id": 1}])
        uow.load(table, [{"id": 2}])
        uow.upsert(table, [{"id": 3}], ["id"])
        uow.upsert(table, [{"id": number} for number in range(4, 300)], ["id"])
    assert {each[1:] for each in stored(plain, "d")} == {("python", "sql", "server")}


def test_domains_and_generated_columns_are_respected(db, plain):
    plain.execute(
        "CREATE DOMAIN small AS integer CHECK (VALUE < 10);"
        "CREATE TABLE d (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v small)"
    )
    with db.unit_of_work() as uow:
        assert uow.load("d", [{"v": 1}, {"v": 2}]) == WriteCount(inserted=2)
    table = sa.Table("d", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("v", sa.Integer))
    with pytest.raises(IntegrityViolationError) as caught, db.unit_of_work() as uow:
        uow.load(table, [{"v": 1}, {"v": 20}])
    assert caught.value.row_index == 1
    with pytest.raises(QueryError), db.unit_of_work() as uow:
        uow.load(table, [{"id": 100, "v": 1}])
    assert len(stored(plain, "d")) == 2


# Asynchronous rows, and cancellation


@pytest.mark.parametrize("name", ["psycopg", "asyncpg"])
@pytest.mark.parametrize("write", ["insert", "load", "upsert"])
def test_rows_may_come_asynchronously_and_a_cancelled_write_leaves_nothing(module_url, plain, name, write):
    plain.execute("CREATE TABLE t (id integer PRIMARY KEY, name text, email text, n integer)")

    async def rows(count, first=0, last=None):
        for number in range(first, first + count):
            await asyncio.sleep(0)
            yield row(number)
        if last is not None:
            last.set()
            await asyncio.Event().wait()

    async def main():
        async with AsyncDatabase(module_url.replace("+psycopg", f"+{name}")) as db:

            async def written(given):
                async with db.unit_of_work() as uow:
                    keyed = {"key": ["id"]} if write == "upsert" else {}
                    return await getattr(uow, write)("t", given, **keyed)

            assert await written(rows(400)) in (400, WriteCount(inserted=400))
            waiting = asyncio.Event()
            task = asyncio.create_task(written(rows(10_500, 1000, waiting)))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with db.unit_of_work() as uow:
                assert await uow.scalar("SELECT count(*) FROM t") == 400

    asyncio.run(main())


@pytest.mark.parametrize("name", ["psycopg", "asyncpg"])
def test_a_copy_that_waits_for_a_lock_is_cancelled_and_leaves_nothing(module_url, plain, name):
    plain.execute("CREATE TABLE t (id integer PRIMARY KEY, name text, email text, n integer)")

    async def main():
        async with AsyncDatabase(module_url.replace("+psycopg", f"+{name}")) as db:
            with plain.transaction():
                plain.execute("LOCK TABLE t")

                async def loads():
                    async with db.unit_of_work() as uow:
                        await uow.load(sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer)), [{"id": 1}])

                task = asyncio.create_task(loads())
                waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                while plain.execute(waits).fetchone() == (0,):  # noqa: ASYNC110 - the server has no Event
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            async with db.unit_of_work() as uow:
                assert await uow.scalar("SELECT count(*) FROM t") == 0

    asyncio.run(main())


def test_a_swallowed_refusal_dooms_the_unit(db, plain):
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow, pytest.raises(IntegrityViolationError):
        uow.load("t", [row(1), row(1)])
    assert stored(plain) == []
