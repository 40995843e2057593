"""Statements are run as they were meant: one at a time, colons where they are parameters, names quoted."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite import dialect

from controlroom.database.backends import backend_for
from controlroom.database.statements import executable, parameters_of
from controlroom.errors import QueryError

ODD = sa.Table(
    'odd "table"',
    sa.MetaData(),
    sa.Column("order", sa.Integer, primary_key=True),
    sa.Column("a'b", sa.Text),
    sa.Column("é", sa.Text),
)


BACKEND = backend_for("sqlite://")


def binds(statement: str) -> set[str]:
    return set(executable(statement)[0].compile(dialect=dialect()).params)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("SELECT :a, :b_2", {"a", "b_2"}),
        ("SELECT ':a'", set()),
        ("SELECT 'it''s :a', :b", {"b"}),
        ('SELECT ":a" FROM t WHERE x = :x', {"x"}),
        ("SELECT '{\"k\":1}' || :a", {"a"}),
        ("SELECT 1 -- :a\n, :b", {"b"}),
        ("SELECT /* :a */ :b", {"b"}),
        ("SELECT '-- :a', :b", {"b"}),
    ],
)
def test_a_colon_is_a_parameter_only_where_the_database_would_look_for_one(statement: str, names: set[str]) -> None:
    assert binds(statement) == names


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_quoted_text_reaches_the_database_as_it_is(text: str) -> None:
    quoted = "'" + text.replace("'", "''") + "'"
    compiled = executable(f"SELECT {quoted}")[0].compile(dialect=dialect())
    connection = sqlite3.connect(":memory:")
    try:
        assert connection.execute(str(compiled)).fetchone() == (text,)
    finally:
        connection.close()


@pytest.mark.parametrize("word", ["BEGIN", "commit;", "End", "ROLLBACK TO x", "savepoint a", "RELEASE a"])
@pytest.mark.parametrize("before", ["", "  \n", "-- c\n", "/* c */", "/* a */ -- b\n\t"])
def test_nothing_ends_the_transaction_behind_the_units_back(word: str, before: str) -> None:
    with pytest.raises(QueryError, match="is not for a statement"):
        executable(before + word)
    with pytest.raises(QueryError, match="is not for a statement"):
        executable(sa.text(before + word))


def test_a_construct_is_named_by_its_table_and_a_text_by_its_verb() -> None:
    assert executable(sa.insert(ODD))[1] == 'INSERT odd "table"'
    assert executable("/* c */ delete from t")[1] == "DELETE"
    for nothing in ("", " ", "-- c", "/* c */", ";"):
        with pytest.raises(QueryError, match="empty"):
            executable(nothing)


@pytest.mark.parametrize("more", ["'", '"', "[", "*", "-", "(", "1", "x", "'x'"])
def test_whatever_stands_behind_a_semicolon_is_another_statement(more: str) -> None:
    with pytest.raises(QueryError, match="several statements"):
        executable(f"SELECT 1;{more}")


def test_what_stands_behind_a_nul_character_is_not_lost_without_a_word() -> None:
    with pytest.raises(QueryError, match="NUL"):
        executable("DELETE FROM t\0 WHERE id = 7")


@pytest.mark.parametrize("params", [(1,), [1], ["a"], "a", 7, [{"a": 1}, (2,)]])
def test_positional_parameters_are_refused(params: object) -> None:
    with pytest.raises(QueryError, match="given by name"):
        parameters_of(executable("SELECT :a")[0], params, BACKEND)
