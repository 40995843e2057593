"""Datasette serves a SQLite file: next links in bodies, in Link headers, and cursors."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from controlroom.http import CursorPagination, Endpoint, LinkHeaderPagination, NextUrlPagination
from tests.integration.http_colours import COLOURS, walk
from tests.thirdparty.servers import running
from tests.thirdparty.walks import require_all

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("datasette") is None, reason="datasette is not installed; `nox -s servers` brings it"),
]

CITIES = [{"id": n, "name": f"Čity {n} & <sons>", "note": None if n % 3 else f"+{n}%"} for n in range(1, 238)]
PAGED = {"_size": 50, "_shape": "objects"}
ROWS = {
    "next URL": Endpoint(
        "/world/cities.json",
        params=PAGED,
        records="rows",
        pagination=NextUrlPagination("next_url"),
        total="filtered_table_rows_count",
    ),
    "cursor": Endpoint(
        "/world/cities.json", params=PAGED, records="rows", pagination=CursorPagination("_next", "next")
    ),
    "Link header": Endpoint(
        "/world/cities.json", params={"_size": 50, "_shape": "array"}, pagination=LinkHeaderPagination()
    ),
    # Ties in the sort column: the cursor is a value and a key, comma-separated and escaped by Datasette's own rule.
    "cursor over ties": Endpoint(
        "/world/cities.json",
        params={**PAGED, "_sort": "note"},
        records="rows",
        pagination=CursorPagination("_next", "next"),
        total="filtered_table_rows_count",
    ),
}


@pytest.fixture(scope="module")
def datasette(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("datasette")
    with sqlite3.connect(folder / "world.db") as connection:
        connection.execute("CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT, note TEXT)")
        connection.executemany("INSERT INTO cities VALUES (:id, :name, :note)", CITIES)
    connection.close()

    def command(port: int) -> list[str | Path]:
        return [sys.executable, "-m", "datasette", "serve", "world.db", "--host", "127.0.0.1", "--port", str(port)]

    with running(command, folder, "/-/versions.json") as url:
        yield url


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", ROWS)
def test_every_row_comes_once(name: str, colour: str, datasette: str) -> None:
    cities: list[Any] = CITIES
    if name == "cursor over ties":
        cities = sorted(CITIES, key=lambda city: (city["note"] is not None, city["note"] or "", city["id"]))

    require_all(colour, datasette, ROWS[name], cities)


@pytest.mark.parametrize("colour", COLOURS)
def test_an_error_of_datasette_is_an_error(colour: str, datasette: str) -> None:
    wrong = Endpoint("/world.json", params={"sql": "select * from nowhere"}, records="rows")

    outcome = walk(colour, datasette, wrong)

    assert outcome.records == []
    assert getattr(outcome.error, "status_code", None) == 400
    assert "no such table: nowhere" in str(outcome.error)
