"""What a unit of work does to a real SQLite file, in both colours."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from controlroom.errors import (
    ConfigError,
    ControlRoomError,
    DataError,
    DoomedTransactionError,
    IntegrityViolationError,
    PoolExhaustedError,
    QueryError,
    TransactionConflictError,
)
from tests.integration.database_colours import COLOURS, opened

pytestmark = pytest.mark.parametrize("colour", COLOURS)

PEOPLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, email TEXT UNIQUE)"


@pytest.fixture
def path(tmp_path):
    with sqlite3.connect(tmp_path / "data.db") as connection:
        connection.execute(PEOPLE)
    connection.close()
    return tmp_path / "data.db"


@pytest.fixture
def db(colour, path):
    with opened(colour, f"sqlite:///{path}", lock_timeout_s=0.2, pool_timeout_s=0.2) as database:
        yield database


def names(path):
    """What somebody else sees in the file."""
    connection = sqlite3.connect(path)
    try:
        return [name for (name,) in connection.execute("SELECT name FROM people ORDER BY id")]
    finally:
        connection.close()


def row(number, name="x", **more):
    return {"id": number, "name": name, **more}


# The unit


def test_a_clean_exit_commits_and_nobody_sees_it_before(db, path):
    with db.unit_of_work() as uow:
        assert uow.insert("people", [row(1, "ada"), row(2, "bob")]) == 2
        assert uow.scalar("SELECT count(*) FROM people") == 2
        assert names(path) == []

    assert names(path) == ["ada", "bob"]


def test_an_exception_rolls_back_and_goes_up_as_it_is(db, path):
    raised = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        raise raised

    assert caught.value is raised
    assert names(path) == []


def test_a_swallowed_error_dooms_the_unit_and_everything_is_rolled_back(db, path):
    with pytest.raises(DoomedTransactionError, match="IntegrityViolationError was raised inside") as caught:  # noqa: SIM117 - one block to look at
        with db.unit_of_work() as uow:
            uow.insert("people", [row(1)])
            with pytest.raises(IntegrityViolationError):
                uow.insert("people", [row(1, "again")])
            uow.insert("people", [row(2)])

    assert isinstance(caught.value.__cause__, IntegrityViolationError)
    assert caught.value.table == "people"
    assert names(path) == []


def test_rows_written_before_their_generator_failed_are_not_committed_either(db, path):
    def rows():
        yield from (row(number) for number in range(3_000))
        raise RuntimeError

    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow, pytest.raises(RuntimeError):
        uow.insert("people", rows())

    assert names(path) == []


def test_a_savepoint_that_is_rolled_back_forgives_the_error_in_it(db, path):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "kept")])
        with pytest.raises(IntegrityViolationError), uow.savepoint():
            uow.insert("people", [row(2, "undone"), row(1, "refused")])
        uow.insert("people", [row(3, "kept too")])

    assert names(path) == ["kept", "kept too"]


def test_an_error_swallowed_inside_a_savepoint_undoes_the_savepoint_and_is_raised_at_its_end(db, path):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "kept")])
        with pytest.raises(DoomedTransactionError, match="inside this savepoint"), uow.savepoint():
            uow.insert("people", [row(2, "undone")])
            with pytest.raises(IntegrityViolationError):
                uow.insert("people", [row(1)])

    assert names(path) == ["kept"]


def test_a_savepoint_does_not_forgive_what_was_swallowed_before_it(db, path):
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        with pytest.raises(QueryError):
            uow.execute("SELECT nonsense")
        with pytest.raises(ValueError, match="mine"), uow.savepoint():
            raise ValueError("mine")

    assert names(path) == []


def test_a_savepoint_rolled_back_by_hand_undoes_and_goes_on(db, path):
    with db.unit_of_work() as uow, uow.savepoint() as savepoint:
        uow.insert("people", [row(1, "undone")])
        with pytest.raises(QueryError):
            uow.execute("SELECT nonsense")
        savepoint.rollback()
        uow.insert("people", [row(2, "kept")])

    assert names(path) == ["kept"]


def test_savepoints_nest(db, path):
    with db.unit_of_work() as uow:
        with uow.savepoint():
            uow.insert("people", [row(1, "kept")])
            with pytest.raises(ZeroDivisionError), uow.savepoint():
                uow.insert("people", [row(2, "undone")])
                raise ZeroDivisionError
        with uow.savepoint():
            uow.insert("people", [row(3, "kept")])

    assert names(path) == ["kept", "kept"]


def test_rollback_ends_the_unit_without_an_error(db, path):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        uow.rollback()
        with pytest.raises(QueryError, match="has ended: rolled back"):
            uow.insert("people", [row(2)])

    assert names(path) == []


def test_a_unit_is_used_once_inside_its_block_by_one_thread(db, colour):
    unit = db.unit_of_work()
    with pytest.raises(QueryError, match="has not begun"):
        unit.execute("SELECT 1")
    with unit as uow:
        raised = []

        def elsewhere():
            try:
                uow.execute("SELECT 1")
            except ControlRoomError as error:
                raised.append(error)

        if colour == "sync":
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            assert "belongs to another thread" in raised[0].message
    with pytest.raises(QueryError, match="has ended: committed"):
        uow.execute("SELECT 1")
    with pytest.raises(QueryError, match="has ended"):
        uow.on_commit(print)
    with pytest.raises(QueryError, match="used once"):
        unit.__enter__()


@pytest.mark.parametrize(
    "statement", ["COMMIT", "-- why\n rollback;", "/* x */ BEGIN", "End", "SAVEPOINT a", "release a"]
)
def test_the_transaction_is_not_ended_behind_the_units_back(db, path, statement):
    with pytest.raises(QueryError, match="is not for a statement"), db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        uow.execute(statement)

    assert names(path) == []


def test_after_the_database_rolled_back_by_itself_nothing_runs_outside_of_a_transaction(db, path):
    """INSERT OR ROLLBACK ends the transaction; what follows would commit at once, each statement for itself."""
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        with pytest.raises(IntegrityViolationError):
            uow.execute("INSERT OR ROLLBACK INTO people (id, name) VALUES (1, 'again')")
        with pytest.raises(DoomedTransactionError, match="was not run"):
            uow.insert("people", [row(2)])
        with pytest.raises(DoomedTransactionError, match="was not run"), uow.savepoint():
            uow.insert("people", [row(3)])

    assert names(path) == []


def test_no_savepoint_brings_back_what_the_database_rolled_back(db, path):
    with pytest.raises(DoomedTransactionError), db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        with pytest.raises(IntegrityViolationError), uow.savepoint():
            uow.execute("INSERT OR ROLLBACK INTO people (id, name) VALUES (1, 'again')")

    assert names(path) == []


def test_hooks_run_after_the_commit_and_only_then(db, path):
    ran = []
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        uow.on_commit(lambda: ran.append(names(path)))
        assert ran == []
    assert ran == [["ada"]]

    with pytest.raises(ValueError, match="no"), db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.append("never"))
        raise ValueError("no")
    with db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.append("never"))
        uow.rollback()
    assert ran == [["ada"]]


def test_a_hook_that_fails_does_not_undo_the_truth_nor_stop_the_next(db, path, caplog):
    ran = []
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        uow.on_commit(lambda: 1 / 0)
        uow.on_commit(lambda: ran.append(1))

    assert ran == [1]
    assert names(path) == ["ada"]
    assert "on_commit_failed" in caplog.text


def test_hooks_registered_in_a_savepoint_that_was_undone_are_forgotten(db):
    ran = []
    with db.unit_of_work() as uow:
        uow.on_commit(lambda: ran.append("outer"))
        with pytest.raises(ValueError, match="no"), uow.savepoint():
            uow.on_commit(lambda: ran.append("inner"))
            raise ValueError("no")

    assert ran == ["outer"]


def test_a_hook_may_open_a_unit_of_its_own_even_on_the_only_connection(colour):
    with opened(colour, "sqlite://") as db:
        seen = []

        def hook():
            seen.append(db.rows("SELECT 1") if colour == "sync" else [(1,)])

        with db.unit_of_work() as uow:
            uow.on_commit(hook)
        assert seen == [[(1,)]]


def test_a_pragma_does_not_outlive_its_unit(db, path):
    with db.unit_of_work() as uow:
        uow.execute("PRAGMA query_only = ON")
        uow.scalar("PRAGMA busy_timeout = 7")
    with db.unit_of_work() as uow:
        assert uow.scalar("PRAGMA busy_timeout") == 200
        uow.insert("people", [row(1, "ada")])

    assert names(path) == ["ada"]


# Reading


def test_a_read_only_unit_refuses_to_write_and_the_next_one_writes_again(db, path):
    with pytest.raises(QueryError, match="only reads"), db.unit_of_work(read_only=True) as uow:
        uow.insert("people", [row(1)])
    with db.unit_of_work() as uow:
        uow.insert("people", [row(2, "ada")])

    assert names(path) == ["ada"]


def test_a_reader_sees_one_snapshot_while_a_writer_commits(db):
    with db.unit_of_work(read_only=True) as reader:
        before = reader.scalar("SELECT count(*) FROM people")
        with db.unit_of_work() as writer:
            writer.insert("people", [row(1)])
        assert reader.scalar("SELECT count(*) FROM people") == before == 0


def test_two_writers_do_not_begin_at_once_and_the_second_says_why(db, path):
    rival = sqlite3.connect(path, isolation_level=None)
    try:
        rival.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransactionConflictError, match="another connection holds the lock"):
            db.unit_of_work().__enter__()
    finally:
        rival.close()


def test_a_result_can_be_read_after_its_unit_has_ended(db):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada"), row(2, "bob")])
        result = uow.execute("SELECT id, name FROM people ORDER BY id")
        returned = uow.execute(
            "INSERT INTO people (id, name) VALUES (3, 'eve') RETURNING id"
        )  # not read: no open cursor
        changed = uow.execute("UPDATE people SET name = upper(name) WHERE id < :id", {"id": 3})

    assert [each.name for each in result] == ["ada", "bob"]
    assert returned.scalar_one() == 3
    assert changed.rowcount == 2


@pytest.mark.parametrize("chunk", [1, 2, 7, 2000])
def test_a_stream_gives_every_row_once_in_order(db, chunk):
    with db.unit_of_work() as uow:
        uow.insert("people", (row(number) for number in range(14)))

    for statement in ("SELECT id FROM people ORDER BY id", sa.select(sa.column("id")).select_from(sa.table("people"))):
        assert [each.id for each in db.stream(statement, chunk=chunk)] == list(range(14))


def test_a_stream_that_is_left_early_gives_its_connection_back(db):
    with db.unit_of_work() as uow:
        uow.insert("people", (row(number) for number in range(100)))
    for _ in range(30):  # more than the pool has
        stream = iter(db.stream("SELECT id FROM people", chunk=10))
        assert next(stream).id == 0
        stream.close()


def test_a_stream_does_not_write(db, path):
    with pytest.raises(QueryError, match="only reads"):
        list(db.stream("INSERT INTO people (id, name) VALUES (1, 'x') RETURNING id"))
    with pytest.raises(QueryError, match="only reads"):
        db.rows("DELETE FROM people")
    with pytest.raises(QueryError, match="chunk=0"):
        list(db.stream("SELECT 1", chunk=0))

    assert names(path) == []


# Statements


def test_parameters_are_given_by_name_and_colons_in_quotes_are_none(db):
    statement = """SELECT ':no' AS a, "id" AS ":b", '{"x":1}' AS c, '12:30' AS d, :yes AS e -- :neither
                   /* nor :this */ FROM people"""
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
        assert tuple(uow.execute(statement, {"yes": "it's"}).one()) == (":no", 1, '{"x":1}', "12:30", "it's")
        assert (
            uow.execute(
                "UPDATE people SET name = :n WHERE id = :id", [{"n": "a", "id": 1}, {"n": "b", "id": 2}]
            ).rowcount
            == 1
        )


def test_texts_take_dates_decimals_and_instants(db):
    noon = datetime(2026, 1, 5, 14, tzinfo=timezone(timedelta(hours=2)))
    with db.unit_of_work() as uow:
        found = uow.execute("SELECT :d, :t, :n", {"d": date(2026, 1, 5), "t": noon, "n": Decimal("1.10")}).one()

    assert tuple(found) == ("2026-01-05", "2026-01-05 12:00:00.000000", "1.10")


@pytest.mark.parametrize(
    ("statement", "params", "says"),
    [
        ("SELECT 1; DROP TABLE people", None, "several statements"),
        ("INSERT INTO people (id, name) VALUES (1, 'a'); SELECT 1", None, "several statements"),
        ("", None, "is empty"),
        ("  -- nothing\n", None, "is empty"),
        ("SELEC 1", None, "syntax error"),
        ("SELECT nonsense FROM people", None, "no such column: nonsense"),
        ("SELECT * FROM nowhere", None, "no such table: nowhere"),
        ("SELECT :a", None, "no value was given for the parameter :a"),
        ("SELECT :a", {"b": 1}, "parameter :a"),
        ("SELECT :a", [{"a": 1}, {}], "parameter :a"),
        ("SELECT ?", (1,), "given by name"),
        ("SELECT :a", "text", "given by name"),
        ("SELECT :a", {"a": {"no": "dict"}}, "not supported"),
        ("SELECT 1\0", None, "null character"),
        (7, None, "is no statement"),
        (sa.text("COMMIT"), None, "is not for a statement"),
        (sa.insert(sa.Table("people", sa.MetaData(), sa.Column("id", sa.Integer))), {"nope": 1}, "nope"),
    ],
)
def test_a_wrong_statement_is_a_query_error_and_changes_nothing(db, path, statement, params, says):
    with pytest.raises(QueryError) as caught, db.unit_of_work() as uow:
        uow.execute(statement, params)

    assert says in str(caught.value)
    assert names(path) == []


def test_a_surplus_column_in_a_later_row_of_a_construct_is_not_dropped(db, path):
    people = sa.Table(
        "people", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("name", sa.Text), sa.Column("email")
    )
    with pytest.raises(QueryError, match="row 1 has more columns than the first row: email"), db.unit_of_work() as uow:
        uow.execute(sa.insert(people), [row(1), row(2, email="lost")])
    with db.unit_of_work() as uow:
        uow.execute(sa.insert(people), [row(1), row(2)])
        uow.execute(sa.update(people).where(people.c.id == sa.bindparam("wanted")), {"wanted": 2, "name": "y"})

    assert names(path) == ["x", "y"]


def test_no_parameter_list_means_nothing_to_run(db):
    with pytest.raises(QueryError, match="empty list"), db.unit_of_work() as uow:
        uow.execute("INSERT INTO people (id, name) VALUES (:id, :name)", [])


@pytest.mark.parametrize("value", [2**63, "\udcff"])
def test_a_value_that_sqlite_cannot_hold_is_the_datas_fault(db, value):
    with pytest.raises(IntegrityViolationError, match="does not fit"), db.unit_of_work() as uow:
        uow.execute("SELECT :v", {"v": value})


def test_a_text_with_a_nul_byte_comes_back_whole(db):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "a\0b")])

    assert db.rows("SELECT name FROM people") == [("a\0b",)]


def test_a_value_stored_in_a_form_its_type_cannot_read_is_not_shown(db):
    people = sa.table("people", sa.column("born", sa.DateTime))
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, born="s3cret day")])
    with pytest.raises(ControlRoomError) as caught:
        db.rows(sa.select(people.c.born))

    assert "s3cret" not in str(caught.value.to_dict())


# Insert and load


def test_tuples_need_their_columns_and_mappings_lend_theirs(db, path):
    with db.unit_of_work() as uow:
        assert uow.insert("people", [("ada", 1), ["bob", 2]], columns=["name", "id"]) == 2
        assert uow.insert("people", row(3, "cyd")) == 1
        assert uow.insert("people", [row(4, "dan", unknown=1)], columns=["id", "name"]) == 1
        assert uow.insert("people", []) == 0
        assert uow.load("people", iter([row(5, "eve")])).inserted == 1

    assert names(path) == ["ada", "bob", "cyd", "dan", "eve"]


def test_rows_of_a_stream_can_be_written_as_they_are(db, path):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        found = uow.execute("SELECT id + 1 AS id, name FROM people").all()
        uow.insert("people", found)

    assert names(path) == ["ada", "ada"]


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
    assert db.rows("SELECT * FROM people") == []


@pytest.mark.parametrize("bad", [0, 1, 1999, 2000, 4999])
@pytest.mark.parametrize("write", ["insert", "load", "upsert", "load by key"])
def test_the_row_that_was_refused_is_found_and_not_shown(db, path, write, bad):
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
    assert names(path) == []


@pytest.mark.parametrize(
    ("value", "kind"), [(2**63, IntegrityViolationError), ("\ud800", IntegrityViolationError), ({"a": 1}, QueryError)]
)
def test_a_value_the_driver_refuses_is_found_by_its_row(db, value, kind):
    rows = [row(1), row(2), {"id": 3, "name": value}]
    with pytest.raises(kind) as caught, db.unit_of_work() as uow:
        uow.insert("people", rows)

    assert (caught.value.table, caught.value.row_index) == ("people", 2)


@pytest.mark.parametrize(
    ("type_", "good", "kind"),
    [
        (sa.Date(), date(2013, 1, 1), QueryError),
        (sa.Boolean(), True, QueryError),
        (sa.Enum("a", "b", validate_strings=True), "a", IntegrityViolationError),
        (sa.Numeric(), 1, IntegrityViolationError),
    ],
)
def test_a_value_its_column_type_refuses_is_found_by_row_and_column_and_not_shown(db, type_, good, kind):
    people = sa.Table("people", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("born", type_))
    with pytest.raises(kind, match=r"the value of born \(a str\)") as caught, db.unit_of_work() as uow:
        uow.insert(people, [{"id": 1, "born": good}, {"id": 2, "born": "s3cret"}])

    assert caught.value.row_index == 1
    assert "s3cret" not in str(caught.value.to_dict())
    with pytest.raises(ControlRoomError) as caught, db.unit_of_work() as uow:
        uow.execute(sa.insert(people), [{"id": 2, "born": "s3cret"}])
    assert "s3cret" not in str(caught.value.to_dict())


def test_a_check_names_the_table_of_a_construct(db):
    checked = sa.Table("checked", sa.MetaData(), sa.Column("n", sa.Integer, sa.CheckConstraint("n > 0")))
    with db.unit_of_work() as uow:
        uow.execute(sa.schema.CreateTable(checked))
    with pytest.raises(IntegrityViolationError, match="CHECK") as caught, db.unit_of_work() as uow:
        uow.execute(sa.insert(checked), {"n": 0})

    assert caught.value.table == "checked"


def test_a_scalar_of_many_rows_is_the_first_and_leaves_nothing_open(db, path):
    with db.unit_of_work() as uow:
        uow.insert("people", (row(number, f"n{number}") for number in range(5)))
        assert uow.scalar("SELECT name FROM people ORDER BY id") == "n0"
        assert uow.scalar("SELECT name FROM people WHERE id = 99") is None
        assert uow.scalar("DELETE FROM people WHERE id > 0") is None
        assert uow.scalar("INSERT INTO people (id, name) VALUES (7, 'x'), (8, 'y') RETURNING id") == 7

    assert names(path) == ["n0", "x", "y"]


def test_a_constraint_names_the_table_it_stands_on_also_for_a_statement(db):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, email="a@b")])
    with pytest.raises(IntegrityViolationError, match=r"people\.email") as caught, db.unit_of_work() as uow:
        uow.execute("INSERT INTO people (id, name, email) VALUES (2, 'x', :e)", {"e": "a@b"})

    assert caught.value.table == "people"
    assert "a@b" not in str(caught.value.to_dict())


def test_foreign_keys_are_enforced_deferred_ones_at_commit(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE child (id INTEGER REFERENCES people (id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(IntegrityViolationError, match=r"COMMIT.*FOREIGN KEY.*rolled back"), db.unit_of_work() as uow:
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


def test_an_instant_in_a_typed_column_is_stored_in_utc_and_never_without_its_offset(db):
    events = sa.Table("events", sa.MetaData(), sa.Column("at", sa.DateTime))
    with db.unit_of_work() as uow:
        uow.execute(sa.schema.CreateTable(events))
        uow.insert(events, [{"at": datetime(2026, 1, 5, 14, tzinfo=timezone(timedelta(hours=2)))}])
        stored = uow.scalar(sa.select(events.c.at))

    assert stored == datetime(2026, 1, 5, 12)  # noqa: DTZ001 - SQLite has no offsets


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


def test_a_column_added_by_somebody_else_is_known_on_the_second_try(db, path):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1)])
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE people ADD COLUMN added TEXT")
    connection.close()
    with pytest.raises(QueryError), db.unit_of_work() as uow:
        uow.insert("people", [row(2, added="yes")])
    with db.unit_of_work() as uow:
        uow.insert("people", [row(2, added="yes")])


# Upsert


def counts(count):
    return count.inserted, count.updated, count.unchanged


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


@pytest.mark.parametrize("size", [4, 4_000])
def test_keys_that_only_the_database_finds_equal_are_applied_in_order(db, size):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE tags (tag TEXT COLLATE NOCASE PRIMARY KEY, value INTEGER)")
        rows = [{"tag": f"B{n}", "value": 1} for n in range(size)] + [{"tag": f"b{n}", "value": 2} for n in range(size)]
        count = uow.upsert("tags", iter(rows), key=["tag"])
        assert count.inserted == size
        assert uow.execute("SELECT DISTINCT value FROM tags").scalars().all() == [2]


@pytest.mark.parametrize("others", [0, 4_000])
def test_the_last_of_rows_that_only_the_database_finds_equal_wins_even_after_a_repetition(db, others):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE tags (tag TEXT COLLATE NOCASE PRIMARY KEY, value INTEGER)")
        rows = [{"tag": "A", "value": 1}, {"tag": "a", "value": 2}, {"tag": "A", "value": 3}]
        uow.upsert("tags", rows + [{"tag": f"t{n}", "value": n} for n in range(others)], key=["tag"])
        assert uow.scalar("SELECT value FROM tags WHERE tag = 'a'") == 3


def test_keys_that_only_python_finds_equal_stay_apart(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE texts (k TEXT PRIMARY KEY, v)")
        assert counts(uow.upsert("texts", [{"k": 1, "v": "int"}, {"k": 1.0, "v": "float"}], key=["k"])) == (2, 0, 0)


@pytest.mark.parametrize("size", [1, 3_000])
def test_a_key_that_is_null_is_refused_because_each_run_would_insert_it_again(db, size):
    rows = [row(number, email=f"{number}") for number in range(size)] + [row(9_999, email=None)]
    with pytest.raises(IntegrityViolationError, match="email is NULL") as caught, db.unit_of_work() as uow:
        uow.upsert("people", rows, key=["email"])

    assert caught.value.row_index == size


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"key": ["name"]}, "ON CONFLICT"),
        ({"key": []}, "names no column"),
        ({"key": ["nope"]}, "no column 'nope'"),
        ({"key": ["email"]}, "the rows have no column 'email'"),
        ({"key": ["id"], "update": ["nope"]}, "no column 'nope'"),
        ({"key": ["id"], "update": ["email"]}, "the rows have no column 'email'"),
    ],
)
def test_a_key_that_identifies_nothing_is_a_query_error(db, arguments, says):
    with pytest.raises(QueryError) as caught, db.unit_of_work() as uow:
        uow.upsert("people", [row(1)], **arguments)

    assert says in str(caught.value)


def test_a_composite_key_and_a_second_unique_constraint(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE hops (a INT, b INT, n INT UNIQUE, PRIMARY KEY (a, b)) WITHOUT ROWID")
        rows = [{"a": n // 60, "b": n % 60, "n": n} for n in range(3_600)]
        assert counts(uow.upsert("hops", iter(rows), key=["a", "b"])) == (3_600, 0, 0)
        assert counts(uow.upsert("hops", rows[:3], key=["b", "a"])) == (0, 0, 3)
    with pytest.raises(IntegrityViolationError, match=r"hops\.n") as caught, db.unit_of_work() as uow:
        uow.upsert("hops", [{"a": 99, "b": 0, "n": 3_601}, {"a": 99, "b": 1, "n": 7}], key=["a", "b"])

    assert (caught.value.table, caught.value.row_index) == ("hops", 1)


def test_a_failed_upsert_of_many_rows_can_be_undone_by_a_savepoint(db, path):
    rows = [row(number) for number in range(3_000)] + [row(3_000, None)]
    with db.unit_of_work() as uow:
        with pytest.raises(IntegrityViolationError), uow.savepoint():
            uow.upsert("people", rows, key=["id"])
        uow.upsert("people", rows[:2_500], key=["id"])

    assert len(names(path)) == 2_500


def test_rows_may_come_from_the_same_unit_while_they_are_written(db, colour):
    if colour == "async":
        pytest.skip("one statement at a time: a blocking generator cannot await")

    def rows(uow):
        for number in range(3_000):
            uow.scalar("SELECT 1")
            yield row(number)

    with db.unit_of_work() as uow:
        assert uow.upsert("people", rows(uow), key=["id"]).inserted == 3_000


# What is remembered beside the data


@pytest.fixture
def control(db):
    db.create_control_tables()
    return db


def test_the_control_tables_are_created_once_and_say_their_version(control):
    control.create_control_tables()

    assert control.tables() == [
        "controlroom_checkpoints",
        "controlroom_inbox",
        "controlroom_ledger",
        "controlroom_limits",
        "controlroom_schema",
        "controlroom_tokens",
        "controlroom_watermarks",
        "people",
    ]
    with control.unit_of_work() as uow:
        uow.execute("UPDATE controlroom_schema SET version = 99")
    with pytest.raises(ConfigError, match="version 99"):
        control.create_control_tables()


def test_without_control_tables_the_next_act_is_named(db):
    for use in (lambda uow: uow.once("k"), lambda uow: uow.checkpoints.get("c"), lambda uow: uow.watermarks.get("w")):
        with pytest.raises(QueryError, match="create_control_tables"), db.unit_of_work() as uow:
            use(uow)


def test_a_key_is_claimed_once_and_only_by_a_unit_that_commits(control):
    with pytest.raises(ValueError, match="no"), control.unit_of_work() as uow:
        assert uow.once("day 1")
        raise ValueError("no")
    with control.unit_of_work() as uow:
        assert uow.once("day 1")
        assert not uow.once("day 1")
        assert uow.once("day 2")
    with control.unit_of_work() as uow:
        assert not uow.once("day 1")
    for key in ("", None, 7):
        with pytest.raises(QueryError, match="ledger key"), control.unit_of_work() as uow:
            uow.once(key)


def test_checkpoints_come_back_as_they_were_and_commit_with_the_data(control):
    value = {"page": 7, "cursor": "ü\ud7ff", "seen": [1, 2.5, None, True], "nested": {"a": {}}}
    with control.unit_of_work() as uow:
        assert uow.checkpoints.get("walk") is None
        assert uow.checkpoints.get("walk", 1) == 1
        uow.checkpoints.set("walk", {"page": 1})
        uow.checkpoints.set("walk", value)
    with pytest.raises(ValueError, match="no"), control.unit_of_work() as uow:
        uow.checkpoints.set("walk", None)
        raise ValueError("no")
    with control.unit_of_work() as uow:
        assert uow.checkpoints.get("walk") == value


@pytest.mark.parametrize("value", [{1: 2}, {"a": [{2: 3}]}, object(), float("nan"), {"a": date(2026, 1, 1)}])
def test_a_checkpoint_that_would_come_back_as_something_else_is_refused(control, value):
    with control.unit_of_work() as uow:
        uow.checkpoints.set("walk", "before")
        with pytest.raises(QueryError, match="not JSON-ready"):
            uow.checkpoints.set("walk", value)

    with control.unit_of_work() as uow:
        assert uow.checkpoints.get("walk") == "before"  # refused before anything ran: the unit is not doomed


@pytest.mark.parametrize(
    "values",
    [
        (1, 2),
        ("2026-01", "2026-02"),
        (date(2026, 1, 1), date(2026, 1, 2)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_watermark_moves_on_with_the_data_and_never_back(control, values):
    first, second = values
    with control.unit_of_work() as uow:
        assert uow.watermarks.get("orders") is None
        uow.watermarks.advance("orders", first)
        uow.watermarks.advance("orders", first)
    with pytest.raises(ValueError, match="no"), control.unit_of_work() as uow:
        uow.watermarks.advance("orders", second)
        raise ValueError("no")
    with control.unit_of_work() as uow:
        assert uow.watermarks.get("orders") == first
        uow.watermarks.advance("orders", second)
    with pytest.raises(DataError, match="cannot go back"), control.unit_of_work() as uow:
        uow.watermarks.advance("orders", first)
    with control.unit_of_work() as uow:
        assert uow.watermarks.get("orders") == second


# What the database looks like


def test_a_table_is_described_as_it_is_declared(db):
    with db.unit_of_work() as uow:
        uow.execute("CREATE TABLE t (b TEXT, a INT NOT NULL DEFAULT 7, c, UNIQUE (c, b), PRIMARY KEY (a, b))")
        uow.execute("CREATE UNIQUE INDEX extra ON t (c)")
        uow.execute("CREATE UNIQUE INDEX odd ON t (lower(c))")

    info = db.describe("t")

    assert info.columns.names == ("b", "a", "c")
    assert [each.name for each in info.columns] == ["b", "a", "c"]
    assert "a" in info.columns
    assert "nope" not in info.columns
    assert (info.columns["a"].type, info.columns["a"].nullable, info.columns["a"].default) == ("INTEGER", False, "7")
    assert (info.columns["c"].type, info.columns["c"].nullable) == ("", True)
    assert info.primary_key == ("a", "b")
    assert info.uniques == (("c", "b"), ("c",))
    assert db.describe(sa.Table("people", sa.MetaData())).primary_key == ("id",)
    with pytest.raises(QueryError, match="no table 'nope'"):
        db.describe("nope")


# Opening, limits and closing


def test_a_closed_database_says_so(db):
    db.close()
    db.close()
    with pytest.raises(QueryError, match="was closed"):
        db.rows("SELECT 1")


def test_a_unit_that_is_open_when_its_database_is_closed_ends_as_it_would_have(db, path):
    with db.unit_of_work() as uow:
        uow.insert("people", [row(1, "ada")])
        db.close()

    assert names(path) == ["ada"]


def test_a_missing_folder_a_folder_and_a_text_file_are_told_apart(colour, tmp_path):
    with opened(colour, f"sqlite:///{tmp_path}/no/such/a.db", pool_size=1, pool_timeout_s=0.1) as db:
        for _ in range(2):  # the turn of the connection that could not be opened is given back
            with pytest.raises(ConfigError, match="does not exist"):
                db.rows("SELECT 1")
    with opened(colour, f"sqlite:///{tmp_path}") as db, pytest.raises(ConfigError, match="is a folder"):
        db.rows("SELECT 1")
    (tmp_path / "text.db").write_text("not a database " * 100)
    with opened(colour, f"sqlite:///{tmp_path}/text.db") as db, pytest.raises(ControlRoomError, match="not an intact"):
        db.rows("SELECT 1")


def test_a_file_that_can_only_be_read_can_be_read(colour, path):
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    with opened(colour, url) as db:
        assert db.rows("SELECT count(*) FROM people") == [(0,)]
        with pytest.raises(ControlRoomError, match="cannot be written here"), db.unit_of_work() as uow:
            uow.insert("people", [row(1)])


def test_a_database_in_memory_lives_as_long_as_the_object_and_its_units_take_turns(colour):
    with opened(colour, "sqlite://", pool_timeout_s=0.1) as db:
        with db.unit_of_work() as uow:
            uow.execute(PEOPLE)
            uow.insert("people", [row(1)])
        assert db.rows("SELECT id FROM people") == [(1,)]
        with db.unit_of_work(), pytest.raises(PoolExhaustedError, match=r"All 1 connections.*Held by: (thread|task)"):
            db.rows("SELECT 1")
        assert db.rows("SELECT id FROM people") == [(1,)]


def test_a_pool_that_ran_dry_names_its_holders(colour, path):
    with opened(colour, f"sqlite:///{path}", pool_size=2, pool_timeout_s=0.1) as db:
        with db.unit_of_work(), db.unit_of_work(read_only=True), pytest.raises(PoolExhaustedError) as caught:
            db.rows("SELECT 1")
        assert len(caught.value.holders) == 2
        assert db.rows("SELECT 1") == [(1,)]


def test_the_profile_for_short_lived_hosts_keeps_no_connection(colour, path):
    with opened(colour, f"sqlite:///{path}", profile="serverless") as db:
        assert db.rows("SELECT 1") == [(1,)]
        assert not path.with_name("data.db-wal").exists()  # the last connection takes it away


def test_every_connection_is_set_up_for_durable_and_isolated_units(db):
    settings = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 200, "query_only": 0}
    with db.unit_of_work() as uow:
        assert {name: uow.scalar(f"PRAGMA {name}") for name in settings} == settings
