"""The statements that write rows say what they mean, whatever the names are."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import JSON, Column, Integer, MetaData, Table, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, asyncpg, psycopg

from controlroom.database.postgres.merging import (
    Upsert,
    insert_sql,
    plain_name,
    ranked_sql,
    stage_sql,
    staged_upsert,
    upsert_sql,
)

TABLE = Table(
    "t",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("odd % name", Text, key="odd"),
    Column("j", JSON),
    Column("js", ARRAY(JSONB)),
    Column("made", Text, default=func.lower("50%")),
)
GIVEN = (TABLE.c.id, TABLE.c.odd, TABLE.c.j, TABLE.c.js)
UPSERT = Upsert(TABLE, GIVEN, key=(TABLE.c.id,), update=(TABLE.c.odd, TABLE.c.j, TABLE.c.js), plain=True)
DIALECT = psycopg.dialect(paramstyle="format")


def test_a_default_of_sql_is_no_parameter() -> None:
    statement = insert_sql(TABLE, GIVEN, DIALECT)

    assert statement.count("%s") == len(GIVEN)
    assert "lower('50%')" in statement.replace("%%", "%")


def test_only_asyncpg_needs_each_row_returned() -> None:
    assert "RETURNING" not in insert_sql(TABLE, GIVEN, DIALECT)
    assert "RETURNING true" in insert_sql(TABLE, GIVEN, asyncpg.dialect())


def test_what_has_no_equality_is_compared_as_text() -> None:
    (statement,) = upsert_sql(UPSERT, DIALECT)

    assert "CAST(t.j AS VARCHAR) IS DISTINCT FROM CAST(excluded.j AS VARCHAR)" in statement
    assert "t.js IS DISTINCT FROM excluded.js" in statement


def test_what_is_no_plain_table_tells_by_two_statements_what_was_inserted() -> None:
    new, changed = upsert_sql(replace(UPSERT, plain=False), DIALECT)

    assert "DO NOTHING RETURNING true" in new
    assert "DO UPDATE" in changed
    assert "xmax" not in new + changed


def test_nothing_to_update_touches_no_row_that_is_there() -> None:
    (statement,) = upsert_sql(replace(UPSERT, update=()), DIALECT)

    assert "DO NOTHING" in statement


def test_the_last_of_each_key_is_merged_and_rows_are_counted() -> None:
    (statement,) = staged_upsert("stage", UPSERT, DIALECT)

    assert "SELECT DISTINCT ON (id)" in statement
    assert "ORDER BY id, ctid DESC" in statement
    assert statement.endswith("count(*) FILTER (WHERE NOT inserted) FROM written")


def test_a_part_of_what_is_staged_is_merged_in_the_order_of_its_places() -> None:
    (statement,) = staged_upsert("stage", UPSERT, DIALECT, places=(3, 7))

    assert "place BETWEEN 3 AND 6" in statement
    assert "stage_ranked" in statement
    assert "ORDER BY place" in statement


def test_a_sign_of_percent_stands_once_where_there_are_no_parameters() -> None:
    assert plain_name("odd % name", DIALECT) == '"odd % name"'
    assert '"odd % name"' in stage_sql("stage", TABLE, GIVEN, DIALECT)
    assert '"odd % name"' in ranked_sql("stage", UPSERT, DIALECT)
