"""What statements, inserts and upserts do to tables, in every database, driver and colour."""

from __future__ import annotations

import re
from datetime import date

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from controlroom.errors import (
    ControlRoomError,
    IntegrityViolationError,
    QueryError,
)

PEOPLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, email TEXT UNIQUE)"


@pytest.fixture
def db(place):
    place.look(PEOPLE)
    with place.opened(lock_timeout_s=0.2, pool_timeout_s=0.2) as database:
        yield database


def names(place):
    """What somebody else sees there."""
    return place.column("SELECT name FROM people ORDER BY id")


def row(number, name="x", **more):
    return {"id": number, "name": name, **more}


def counts(count):
    return count.inserted, count.updated, count.unchanged


# Statements


def test_parameters_are_given_by_name_and_colons_in_quotes_are_none(db):
    statement = """SELECT ':no' AS a, "id" AS ":b", '{"x":1}' AS c, '12:30' AS d, :yes AS e -- :neither
                   /* nor :this */ FROM people"""
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        assert tuple(uow.execute(statement, {"yes": "it's"}).one()) == (":no", 1, '{"x":1}', "12:30", "it's")
        uow.execute("UPDATE people SET name = :n WHERE id = :id", [{"n": "a", "id": 1}, {"n": "b", "id": 2}])
        assert uow.scalar("SELECT name FROM people") == "a"


@pytest.mark.parametrize(
    ("statement", "params", "says"),
    [
        ("SELECT 1; DROP TABLE people", None, "several statements"),
        ("INSERT INTO people (id, name) VALUES (1, 'a'); SELECT 1", None, "several statements"),
        ("", None, "is empty"),
        ("  -- nothing\n", None, "is empty"),
        ("SELEC 1", None, "syntax error"),
        ("SELECT nonsense FROM people", None, r"no such column: nonsense|column \"nonsense\" does not exist"),
        ("SELECT * FROM nowhere", None, r"no such table: nowhere|relation \"nowhere\" does not exist"),
        ("SELECT :a", None, "no value was given for the parameter :a"),
        ("SELECT :a", {"b": 1}, "parameter :a"),
        ("SELECT :a", [{"a": 1}, {}], "parameter :a"),
        ("SELECT ?", (1,), "given by name"),
        ("SELECT :a", "text", "given by name"),
        ("SELECT 1\0", None, "null|NUL"),
        (7, None, "is no statement"),
        (sa.text("COMMIT"), None, "is not for a statement"),
        (sa.insert(sa.Table("people", sa.MetaData(), sa.Column("id", sa.Integer))), {"nope": 1}, "nope"),
    ],
)
def test_a_wrong_statement_is_a_query_error_and_changes_nothing(db, place, statement, params, says):
    with pytest.raises(QueryError) as caught, db.unit_of_work() as uow:
        uow.execute(statement, params)

    assert re.search(says, str(caught.value))
    assert names(place) == []


def test_a_surplus_column_in_a_later_row_of_a_construct_is_not_dropped(db, place):
    people = sa.Table(
        "people", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("name", sa.Text), sa.Column("email")
    )
    with pytest.raises(QueryError, match="row 1 has more columns than the first row: email"), db.unit_of_work() as uow:
        uow.execute(sa.insert(people), [row(1), row(2, email="lost")])
    with db.unit_of_work() as uow:
        uow.execute(sa.insert(people), [row(1), row(2)])
        uow.execute(sa.update(people).where(people.c.id == sa.bindparam("wanted")), {"wanted": 2, "name": "y"})

    assert names(place) == ["x", "y"]


def test_no_parameter_list_means_nothing_to_run(db):
    with pytest.raises(QueryError, match="empty list"), db.unit_of_work() as uow:
        uow.execute("INSERT INTO people (id, name) VALUES (:id, :name)", [])


# Insert and load


def test_tuples_need_their_columns_and_mappings_lend_theirs(db, place):
    with db.unit_of_work() as uow:
        assert uow.insert("people", [("ada", 1), ["bob", 2]], columns=["name", "id"]) == 2
        assert uow.insert("people", row(3, "cyd")) == 1
        assert uow.insert("people", [row(4, "dan", unknown=1)], columns=["id", "name"]) == 1
        assert uow.insert("people", []) == 0
        assert uow.load("people", iter([row(5, "eve")])).inserted == 1

    assert names(place) == ["ada", "bob", "cyd", "dan", "eve"]


def test_a_text_in_place_of_a_list_of_columns_is_one_name(db, place):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE ab (a INTEGER, b INTEGER, ab INTEGER PRIMARY KEY)")
        assert uow.insert("ab", [(7,)], columns="ab") == 1
        assert counts(uow.upsert("ab", [{"a": 1, "b": 2, "ab": 7}], key="ab", update="b")) == (0, 1, 0)

    assert place.look("SELECT b, ab FROM ab") == [(2, 7)]


def test_rows_of_a_stream_can_be_written_as_they_are(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        found = uow.execute("SELECT id + 1 AS id, name FROM people").all()
        uow.insert("people", found)

    assert names(place) == ["ada", "ada"]


@pytest.mark.parametrize(
    ("rows", "columns", "index", "says"),
    [
        ([row(1), {"id": 2}], None, 1, "has no value for name"),
        ([row(1), row(2, email="x")], None, 1, "has more columns than the first row: email"),
        ([row(1), (2, "x")], None, 1, "is a tuple, and the first one is a mapping"),
        ([row(1), 7], None, 1, "is a int"),
        ([(1, "a"), (2,)], ["id", "name"], 1, "has 1 values for 2 columns"),
        ([(1, "a"), "ab"], ["id", "name"], 1, "is a str"),
        ([(1, "a")], None, 0, "Name the columns"),
        ([row(1, nam="x")], None, None, "has no column 'nam'. Nothing was run. Did you mean 'name'?"),
        ([row(1)], ["id", "id"], None, "one twice"),
        ([{}], None, None, "names none"),
        (7, None, None, "The rows are a int"),
        ("ab", ["id"], None, "The rows are a str"),
    ],
)
def test_a_row_of_another_shape_is_refused_with_its_index(db, rows, columns, index, says):
    """The driver's executemany would drop the surplus column without a word."""
    with pytest.raises(QueryError) as caught, db.unit_of_work() as uow:
        uow.insert("people", rows, columns=columns)

    assert says in str(caught.value)
    assert caught.value.row_index == index
    named = re.search(r"(?:no value for|than the first row:|has no column) '?(\w+)", says)
    assert caught.value.column == (named and named[1])
    assert db.rows("SELECT * FROM people") == []


@pytest.mark.parametrize("bad", [0, 1, 1999, 2000, 4999])
@pytest.mark.parametrize("write", ["insert", "load", "upsert", "load by key"])
def test_the_row_that_was_refused_is_found_and_not_shown(db, place, write, bad):
    rows = [row(number, "x") for number in range(5_000)]
    rows[bad] = {"id": bad, "name": None}
    secret = "s3cret-value"
    rows[(bad + 1) % 5_000]["name"] = secret
    with pytest.raises(IntegrityViolationError) as caught, db.unit_of_work() as uow:
        if write == "insert":
            uow.insert("people", iter(rows))
        elif write == "load":
            uow.load("people", iter(rows))
        elif write == "upsert":
            uow.upsert("people", iter(rows), key=["id"])
        else:
            uow.load("people", iter(rows), key=["id"])

    assert (caught.value.table, caught.value.row_index) == ("people", bad)
    assert secret not in str(caught.value.to_dict())
    assert names(place) == []


@pytest.mark.parametrize("value", ["\ud800", {"a": 1}])
def test_a_value_the_driver_refuses_is_found_by_row_and_column(db, value):
    with pytest.raises((IntegrityViolationError, QueryError)) as caught, db.unit_of_work() as uow:
        uow.insert("people", [row(1), row(2), {"id": 3, "name": value}])

    assert (caught.value.table, caught.value.column, caught.value.row_index) == ("people", "name", 2)
    assert db.rows("SELECT * FROM people") == []


@pytest.mark.parametrize(
    ("type_", "good"),
    [
        (sa.Date(), date(2013, 1, 1)),
        (sa.Boolean(), True),
        (sa.Enum("a", "b", validate_strings=True, native_enum=False), "a"),
        (sa.Numeric(), 1),
    ],
)
def test_a_value_its_column_type_refuses_is_found_by_its_row_and_not_shown(db, type_, good):
    typed = sa.Table("typed", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("born", type_))
    with db.unit_of_work() as uow:
        uow.execute(sa.schema.CreateTable(typed))
    with pytest.raises((IntegrityViolationError, QueryError)) as caught, db.unit_of_work() as uow:
        uow.insert(typed, [{"id": 1, "born": good}, {"id": 2, "born": "s3cret"}])

    assert (caught.value.table, caught.value.row_index) == ("typed", 1)
    assert "s3cret" not in str(caught.value.to_dict())
    with pytest.raises(ControlRoomError) as caught, db.unit_of_work() as uow:
        uow.execute(sa.insert(typed), [{"id": 2, "born": "s3cret"}])
    assert "s3cret" not in str(caught.value.to_dict())
    assert db.rows("SELECT * FROM typed") == []


def test_a_check_names_the_table_of_a_construct(db):
    checked = sa.Table("checked", sa.MetaData(), sa.Column("n", sa.Integer, sa.CheckConstraint("n > 0")))
    with db.unit_of_work() as uow:
        uow.execute(sa.schema.CreateTable(checked))
    with pytest.raises(IntegrityViolationError, match=r"CHECK|check constraint") as caught, db.unit_of_work() as uow:
        uow.execute(sa.insert(checked), {"n": 0})

    assert caught.value.table == "checked"


def test_a_scalar_of_many_rows_is_the_first_and_leaves_nothing_open(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", (row(number, f"n{number}") for number in range(5)))
        assert uow.scalar("SELECT name FROM people ORDER BY id") == "n0"
        assert uow.scalar("SELECT name FROM people WHERE id = 99") is None
        assert uow.scalar("DELETE FROM people WHERE id > 0") is None
        assert uow.scalar("INSERT INTO people (id, name) VALUES (7, 'x'), (8, 'y') RETURNING id") == 7

    assert names(place) == ["n0", "x", "y"]


def test_a_constraint_names_the_table_it_stands_on_also_for_a_statement(db):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, email="a@b")])
    with (
        pytest.raises(IntegrityViolationError, match=r"people\.email|people_email_key") as caught,
        db.unit_of_work() as uow,
    ):
        uow.execute("INSERT INTO people (id, name, email) VALUES (2, 'x', :e)", {"e": "a@b"})

    assert caught.value.table == "people"
    assert "a@b" not in str(caught.value.to_dict())


def test_foreign_keys_are_enforced_deferred_ones_at_commit(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE child (id INTEGER REFERENCES people (id) DEFERRABLE INITIALLY DEFERRED)")
    with (
        pytest.raises(IntegrityViolationError, match=r"(?i)COMMIT.*FOREIGN KEY.*rolled back"),
        db.unit_of_work() as uow,
    ):
        uow.insert("child", [{"id": 404}])

    assert db.rows("SELECT * FROM child") == []


def test_a_table_may_be_a_table_a_mapped_class_or_a_name_and_python_defaults_are_filled(db):
    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "people"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(default="nobody")
        born: Mapped[date | None] = mapped_column(default=lambda: date(2000, 1, 1))

    with db.unit_of_work() as uow:
        uow.insert(Person, [{"id": 1}])
        uow.insert(Person.__table__, [{"id": 2, "name": "ada"}])
        uow.upsert(Person, [{"id": 2, "name": "bob"}, {"id": 3, "name": "cyd"}], key=["id"])
        found = uow.execute(sa.select(Person.id, Person.name, Person.born).order_by(Person.id)).all()

    day = date(2000, 1, 1)
    assert [tuple(each) for each in found] == [(1, "nobody", day), (2, "bob", day), (3, "cyd", day)]


@pytest.mark.parametrize("given", ["nowhere", 7, None, "people; DROP TABLE people", 'people"; DROP TABLE people; --'])
def test_what_is_no_table_is_said_to_be_none(db, given):
    with pytest.raises(QueryError), db.unit_of_work() as uow:
        uow.insert(given, [row(1)])
    assert "people" in db.tables()


def test_names_are_quoted_whatever_they_are(db):
    name = 'select "x" from ü'
    table = sa.Table(name, sa.MetaData(), sa.Column("order", sa.Integer, primary_key=True), sa.Column("a b", sa.Text))
    with db.unit_of_work() as uow:
        uow.execute(sa.schema.CreateTable(table))
        for given in (table, name):
            uow.upsert(given, [{"order": 1, "a b": "x"}, {"order": 2, "a b": None}], key=["order"])
        uow.upsert(name, ({"order": number, "a b": "y"} for number in range(3_000)), key=["order"])
        assert uow.scalar(sa.select(sa.func.count()).select_from(table)) == 3_000


def test_a_column_added_by_a_statement_is_known_at_once(db):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        uow.execute("ALTER TABLE people ADD COLUMN added TEXT")
        uow.insert("people", [row(2, added="yes")])


def test_a_column_added_by_somebody_else_is_known_on_the_second_try(db, place):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
    place.look("ALTER TABLE people ADD COLUMN added TEXT")
    with pytest.raises(QueryError), db.unit_of_work() as uow:
        uow.insert("people", [row(2, added="yes")])
    with db.unit_of_work() as uow:
        uow.insert("people", [row(2, added="yes")])


# Upsert


def test_an_upsert_counts_what_it_did(db):
    with db.unit_of_work() as uow:
        assert counts(uow.upsert("people", [row(1, "a"), row(2, "b")], key=["id"])) == (2, 0, 0)
        assert counts(uow.upsert("people", [row(1, "a"), row(2, "c"), row(3, "d")], key=["id"])) == (1, 1, 1)
        assert counts(uow.upsert("people", [], key=["id"])) == (0, 0, 0)
        assert counts(uow.upsert("people", [row(1, "z")], key=["id"], update=[])) == (0, 0, 1)
        assert counts(uow.upsert("people", [row(1, "z", email="e")], key=["id"], update=["email"])) == (0, 1, 0)
        assert uow.execute("SELECT name, email FROM people WHERE id = 1").one() == ("a", "e")
        assert counts(uow.upsert("people", [("k", 1)], key="id", columns=["name", "id"])) == (0, 1, 0)


def test_null_is_the_same_as_null_and_differs_from_a_value(db):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, email=None), row(2, email="x"), row(3, email=None)])
        again = [row(1, email=None), row(2, email=None), row(3, email="y")]
        assert counts(uow.upsert("people", again, key=["id"])) == (0, 2, 1)
        assert uow.execute("SELECT email FROM people ORDER BY id").scalars().all() == [None, None, "y"]


@pytest.mark.parametrize("size", [10, 5_000])
def test_where_a_key_comes_twice_the_last_row_wins_and_counts_once(db, size):
    rows = [row(number % (size // 2), f"round {number // (size // 2)}") for number in range(size)]
    with db.unit_of_work() as uow:
        uow.insert("people", [row(0, "round 1"), row(1, "old")])
        assert counts(uow.upsert("people", iter(rows), key=["id"])) == (size // 2 - 2, 1, 1)
        assert uow.execute("SELECT DISTINCT name FROM people").scalars().all() == ["round 1"]


@pytest.mark.parametrize("size", [1, 3_000])
def test_a_key_that_is_null_is_refused_because_each_run_would_insert_it_again(db, size):
    rows = [row(number, email=f"{number}") for number in range(size)] + [row(9_999, email=None)]
    with pytest.raises(IntegrityViolationError, match="email is NULL") as caught, db.unit_of_work() as uow:
        uow.upsert("people", rows, key=["email"])

    assert caught.value.row_index == size


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"key": ["name"]}, "(?i)on conflict|unique|constraint"),
        ({"key": []}, "names no column"),
        ({"key": ["nope"]}, "no column 'nope'"),
        ({"key": ["email"]}, "the rows have no column 'email'"),
        ({"key": ["id"], "update": ["nope"]}, "no column 'nope'"),
        ({"key": ["id"], "update": ["email"]}, "the rows have no column 'email'"),
        ({"key": 7}, "key=7 names no columns"),
        ({"key": ["id"], "update": 7}, "update=7 names no columns"),
        ({"key": ["id"], "columns": 7}, "columns=7 names no columns"),
    ],
)
def test_a_key_that_identifies_nothing_is_a_query_error(db, arguments, says):
    with pytest.raises(QueryError) as caught, db.unit_of_work() as uow:
        uow.upsert("people", [row(1)], **arguments)

    assert re.search(says, str(caught.value))


def test_a_composite_key_and_a_second_unique_constraint(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE hops (a INT, b INT, n INT UNIQUE, PRIMARY KEY (a, b))")
        rows = [{"a": n // 60, "b": n % 60, "n": n} for n in range(3_600)]
        assert counts(uow.upsert("hops", iter(rows), key=["a", "b"])) == (3_600, 0, 0)
        assert counts(uow.upsert("hops", rows[:3], key=["b", "a"])) == (0, 0, 3)
    with pytest.raises(IntegrityViolationError, match=r"hops\.n|hops_n_key") as caught, db.unit_of_work() as uow:
        uow.upsert("hops", [{"a": 99, "b": 0, "n": 3_601}, {"a": 99, "b": 1, "n": 7}], key=["a", "b"])

    assert (caught.value.table, caught.value.row_index) == ("hops", 1)


def test_a_failed_upsert_of_many_rows_can_be_undone_by_a_savepoint(db, place):
    rows = [row(number) for number in range(3_000)] + [row(3_000, None)]
    with db.unit_of_work() as uow:
        with pytest.raises(IntegrityViolationError), uow.savepoint():
            uow.upsert("people", rows, key=["id"])
        uow.upsert("people", rows[:2_500], key=["id"])

    assert len(names(place)) == 2_500


def test_rows_may_come_from_the_same_unit_while_they_are_written(db, place):
    if place.is_async:
        pytest.skip("one statement at a time: a blocking generator cannot await")

    def rows(uow):
        for number in range(3_000):
            uow.scalar("SELECT 1")
            yield row(number)

    with db.unit_of_work() as uow:
        assert uow.upsert("people", rows(uow), key=["id"]).inserted == 3_000


# What the database looks like


def test_a_table_is_described_as_it_is_declared(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE t (b TEXT, a INTEGER NOT NULL DEFAULT 7, c TEXT, UNIQUE (c, b), PRIMARY KEY (a, b))")
        uow.execute("CREATE UNIQUE INDEX extra ON t (c)")
        uow.execute("CREATE UNIQUE INDEX odd ON t (lower(c))")

    info = db.describe("t")

    assert info.columns.names == ("b", "a", "c")
    assert [each.name for each in info.columns] == ["b", "a", "c"]
    assert "a" in info.columns
    assert "nope" not in info.columns
    assert (info.columns["a"].type.upper(), info.columns["a"].nullable, info.columns["a"].default) == (
        "INTEGER",
        False,
        "7",
    )
    assert (info.columns["c"].type.upper(), info.columns["c"].nullable) == ("TEXT", True)
    assert info.primary_key == ("a", "b")
    assert sorted(info.uniques) == [("c",), ("c", "b")]
    assert db.describe(sa.Table("people", sa.MetaData())).primary_key == ("id",)
    with pytest.raises(QueryError, match="no table 'nope'"):
        db.describe("nope")
