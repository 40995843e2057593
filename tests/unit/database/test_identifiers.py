"""Names get into statements quoted, and nothing else does."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.database.grammar import MYSQL, POSTGRESQL, SQLITE
from controlroom.database.identifiers import identifier, rendered, sql
from controlroom.errors import QueryError


def test_each_database_has_its_own_quotes() -> None:
    statement = sql("SELECT {c} FROM {t}", t=identifier("s", 'a"b`c'), c=[identifier("x"), identifier("y z")])

    assert rendered(statement, POSTGRESQL) == 'SELECT "x", "y z" FROM "s"."a""b`c"'
    assert rendered(statement, SQLITE) == 'SELECT "x", "y z" FROM "s"."a""b`c"'
    assert rendered(statement, MYSQL) == 'SELECT `x`, `y z` FROM `s`.`a"b``c`'


def test_parts_are_put_together_and_braces_in_quotes_stay() -> None:
    condition = sql("{c} > :n AND note <> '{c}'", c=identifier("n"))
    statement = sql("SELECT '{x}' /* {y} */ FROM t WHERE {condition}", condition=condition)

    assert rendered(statement, POSTGRESQL) == "SELECT '{x}' /* {y} */ FROM t WHERE \"n\" > :n AND note <> '{c}'"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_a_name_is_that_name_to_the_database_whatever_is_in_it(name: str) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        statement = rendered(sql("CREATE TABLE {t} ({t} INTEGER)", t=identifier(name)), SQLITE)
        if not name.lower().startswith("sqlite_"):
            connection.execute(statement)
            assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [(name,)]
    finally:
        connection.close()


@pytest.mark.parametrize("parts", [(), ("",), ("a", ""), ("a\0b",), (7,)])
def test_what_is_no_name_is_refused(parts: Any) -> None:
    with pytest.raises(QueryError, match="without NUL"):
        identifier(*parts)


@pytest.mark.parametrize("piece", ["t; DROP TABLE t", 7, None, [], ["t"], [identifier("t"), "u"]])
def test_a_piece_that_is_no_name_is_refused(piece: Any) -> None:
    with pytest.raises(QueryError, match="neither a name nor SQL"):
        sql("SELECT * FROM {t}", t=piece)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT * FROM {u}, {t}", r"\{u\} stands for nothing"),
        ("SELECT * FROM {t}, {}", r"\{\} stands for nothing"),
        ("SELECT * FROM '{t}'", r"\{t\} does not stand"),
        ('SELECT * FROM "{t}"', r"\{t\} does not stand"),
    ],
)
def test_placeholders_and_pieces_have_to_fit(text: str, says: str) -> None:
    with pytest.raises(QueryError, match=says):
        rendered(sql(text, t=identifier("t")), POSTGRESQL)


def test_a_name_that_the_server_would_cut_is_refused() -> None:
    assert rendered(sql("SELECT {c}", c=identifier("é" * 31)), POSTGRESQL)
    with pytest.raises(QueryError, match="63 bytes"):
        rendered(sql("SELECT {c}", c=identifier("é" * 32)), POSTGRESQL)
