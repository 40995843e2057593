"""The rows of a COPY are made ready as it goes, and whatever stops it is said with the right row."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from controlroom.database.postgres.batches import Refused
from controlroom.database.postgres.copying import BLOCK_ROWS, Feed, line_of
from controlroom.errors import QueryError

MANY = 2 * BLOCK_ROWS + 7


def feed(asked: list[int] | None = None, wrong_at: int | None = None) -> Feed:
    def ready(block: list[Any], at: int) -> list[Any]:
        if asked is not None:
            asked.append(at)
        if wrong_at is not None and at <= wrong_at < at + len(block):
            message = "the row cannot be made ready"
            raise QueryError(message)
        return [(each, each) for each in block]

    return Feed(list(range(MANY)), ready)


def test_every_row_comes_once_and_in_order() -> None:
    assert list(feed()) == [(number, number) for number in range(MANY)]


def test_no_block_is_made_ready_before_its_turn() -> None:
    asked: list[int] = []
    rows = iter(feed(asked))
    assert asked == []
    list(islice(rows, BLOCK_ROWS))
    assert asked == [0]
    next(rows)
    assert asked == [0, BLOCK_ROWS]


@pytest.mark.parametrize("place", [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 5, MANY - 1])
def test_the_row_that_the_driver_took_last_is_the_refused_one(place: int) -> None:
    rows, cause = feed(), ValueError("cannot be encoded")
    list(islice(rows, place + 1))

    refused = rows.error_of(cause)

    assert isinstance(refused, Refused)
    assert (refused.place, refused.row, refused.cause) == (place, (place, place), cause)


def test_an_error_before_the_first_row_blames_none() -> None:
    cause = ValueError("no such statement")

    assert feed().error_of(cause) is cause


def test_a_row_that_cannot_be_made_ready_is_no_row_that_the_driver_refused() -> None:
    rows = feed(wrong_at=BLOCK_ROWS + 3)
    with pytest.raises(QueryError) as caught:
        list(rows)

    assert rows.error_of(caught.value) is caught.value


def test_a_lost_connection_blames_no_row() -> None:
    rows, lost = feed(), ConnectionResetError()
    next(iter(rows))

    assert rows.error_of(lost) is lost


@pytest.mark.parametrize(
    ("context", "line"),
    [
        ('COPY t, line 1: "7"', 0),
        ("COPY t, line 41, column n", 40),
        ("trigger f\nCOPY t, line 3", 2),
        ("COPY tt, line 3", None),
        ("COPY other, line 3", None),
        ("", None),
    ],
)
def test_the_line_that_the_server_names_is_the_place_of_the_row(context: str, line: int | None) -> None:
    error = ValueError()
    error.context = context  # type: ignore[attr-defined]  # as asyncpg's have it

    assert line_of(error, "t") == line
