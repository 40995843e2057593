"""The statements that write rows into SQLite name what they mean, whatever it is called."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect

from controlroom.database.sqlite.merging import insert_sql, merge_sql, merge_staged, stage_sql

ODD = sa.Table(
    'odd "table"',
    sa.MetaData(),
    sa.Column("order", sa.Integer, primary_key=True),
    sa.Column("a'b", sa.Text),
    sa.Column("é", sa.Text),
)
COLUMNS = tuple(ODD.columns)


def test_every_name_is_quoted_in_what_the_library_writes() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(str(sa.schema.CreateTable(ODD).compile(dialect=dialect())))
    insert, update = merge_sql(ODD, COLUMNS, COLUMNS[:1], COLUMNS[1:], dialect())
    create, put = stage_sql("stage", COLUMNS, COLUMNS[:1], dialect())
    staged = merge_staged("stage", ODD, COLUMNS, COLUMNS[:1], COLUMNS[1:])
    try:
        connection.execute(insert_sql(ODD, COLUMNS, dialect()), (1, "a", "b"))
        assert connection.execute(insert, (1, "x", "y")).rowcount == 0
        assert connection.execute(update, (1, "x", None)).rowcount == 1
        assert connection.execute(update, (1, "x", None)).rowcount == 0
        connection.execute(create)
        connection.execute(put, (0, 1, "x", None))
        connection.execute(put, (1, 2, "new", None))
        connection.execute(put, (2, 1, "last", None))
        assert connection.execute(str(staged.insert.compile(dialect=dialect()))).rowcount == 1
        assert connection.execute(str(staged.update.compile(dialect=dialect()))).rowcount == 1
        assert connection.execute('SELECT * FROM "odd ""table"""').fetchall() == [(1, "last", None), (2, "new", None)]
    finally:
        connection.close()


def test_nothing_to_update_means_no_second_statement() -> None:
    assert merge_sql(ODD, COLUMNS, COLUMNS[:1], (), dialect())[1] is None
