"""A text falls into the pieces that its database sees; where that is in doubt, a piece is code, and looked into."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.database.grammar import MYSQL, POSTGRESQL, SQLITE, STANDARD, Grammar, Kind, grammar_for
from controlroom.database.statements import executable
from controlroom.errors import QueryError


def code(grammar: Grammar, text: str) -> str:
    return "".join(part if kind is Kind.CODE else "_" for part, kind in grammar.pieces(text))


@pytest.mark.parametrize(
    ("grammar", "text", "left"),
    [
        (POSTGRESQL, "a 'b''c' d", "a _ d"),
        (POSTGRESQL, r"a E'b\';c' d", "a _ d"),
        (POSTGRESQL, r"a e'\\' ; 'd'", "a _ ; _"),
        (POSTGRESQL, r"a 'b\' ; d", "a _ ; d"),
        (POSTGRESQL, "E'a'\n'b\\'; c' d", "_ d"),
        (POSTGRESQL, "E'a' -- x'\n 'b\\'; c' d", "_ d"),
        (POSTGRESQL, 'a "b""c;" d', "a _ d"),
        (POSTGRESQL, "a $$b;'c$$ d", "a _ d"),
        (POSTGRESQL, "a $t$b $$ ; $t2$ $t$ d", "a _ d"),
        (POSTGRESQL, "a$b$ ; $b$", "a$b$ ; $b$"),
        (POSTGRESQL, "a $1; $2", "a $1; $2"),
        (POSTGRESQL, "a /* b /* c */ ; */ d", "a _ d"),
        (POSTGRESQL, "a -- b;\n c", "a _\n c"),
        (POSTGRESQL, "a 'b; c", "a 'b; c"),
        (SQLITE, "a /* b /* c */ ; d", "a _ ; d"),
        (SQLITE, "a /* b ; c", "a _"),
        (SQLITE, "a [b;] `c;``` d", "a _ _ d"),
        (SQLITE, r"a 'b\' ; d", "a _ ; d"),
        (SQLITE, "a $$ ; $$", "a $$ ; $$"),
        (MYSQL, r"a 'b\';' d", "a _ d"),
        (MYSQL, "a # b;\n c -- d;\n e --f", "a _\n c _\n e --f"),
        (MYSQL, "a /*!50000 b; */", "a /*!50000 b; */"),
        (STANDARD, "a ':b' c", "a _ c"),
    ],
)
def test_quotes_and_comments_are_those_of_the_database(grammar: Grammar, text: str, left: str) -> None:
    assert code(grammar, text) == left


@given(st.text("abE'\"$\\;:/*-[]`# \n"), st.sampled_from([SQLITE, POSTGRESQL, MYSQL, STANDARD]))
def test_no_piece_of_any_text_is_lost(text: str, grammar: Grammar) -> None:
    assert "".join(part for part, _ in grammar.pieces(text)) == text


def runs_alone(statement: str) -> bool:
    """Whether SQLite takes *statement* for one: it refuses several before the first of them has run."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(statement)
    except sqlite3.ProgrammingError as error:
        return "one statement" not in str(error)
    except sqlite3.Error:
        return True
    finally:
        connection.close()
    return True


@given(st.text("1';\"/*-[]` \n", max_size=12))
def test_what_sqlite_takes_for_several_statements_is_never_taken_for_one(text: str) -> None:
    statement = f"SELECT {text}"
    if text.count(";") == 1 and not runs_alone(statement):  # sqlite3 counts an empty one too: "SELECT 1;;"
        with pytest.raises(QueryError):
            executable(statement, SQLITE)


def test_every_url_has_a_grammar() -> None:
    assert grammar_for("postgresql+psycopg") is POSTGRESQL
    assert grammar_for("sqlite") is SQLITE
    assert grammar_for("mariadb+pymysql") is MYSQL
    assert grammar_for("oracle") is STANDARD
