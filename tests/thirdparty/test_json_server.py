"""json-server from npm, in both of its lives: Link headers and X-Total-Count; numbered pages in an envelope."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlroom.errors import PaginationLoopError
from controlroom.http import CursorPagination, Endpoint, LinkHeaderPagination, PageNumberPagination
from tests.integration.http_colours import COLOURS, walk
from tests.thirdparty.servers import npm_package, running
from tests.thirdparty.walks import require_all

pytestmark = pytest.mark.integration

ITEMS = [{"id": str(n), "name": f"item {n}"} for n in range(1, 238)]
LISTS_OF_0 = {
    "links": Endpoint("/items", params={"_page": 1, "_limit": 50}, pagination=LinkHeaderPagination()),
    "numbers": Endpoint("/items", pagination=PageNumberPagination("_page", "_limit", 50)),
}
PER_PAGE = {"_per_page": 50}
LISTS_OF_1 = {
    "numbers to the stated page": Endpoint(
        "/items",
        params=PER_PAGE,
        records="data",
        pagination=PageNumberPagination("_page", total_pages="pages"),
        total="items",
    ),
    "numbers as cursors": Endpoint(
        "/items",
        params={"_page": 1, **PER_PAGE},
        records="data",
        pagination=CursorPagination("_page", "next"),
        total="items",
    ),
}


@contextmanager
def json_server(version: str, folder: Path) -> Iterator[str]:
    programs = npm_package(f"json-server@{version}")
    (folder / "db.json").write_text(json.dumps({"items": ITEMS}))

    def command(port: int) -> list[str | Path]:
        return [programs / "json-server", "db.json", "--host", "127.0.0.1", "--port", str(port)]

    with running(command, folder, "/items?_page=1") as url:
        yield url


@pytest.fixture(scope="module")
def version_0(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with json_server("0.17.4", tmp_path_factory.mktemp("json_server_0")) as url:
        yield url


@pytest.fixture(scope="module")
def version_1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with json_server("1.0.0-beta.15", tmp_path_factory.mktemp("json_server_1")) as url:
        yield url


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", LISTS_OF_0)
def test_every_item_of_version_0_comes_once(name: str, colour: str, version_0: str) -> None:
    require_all(colour, version_0, LISTS_OF_0[name], ITEMS)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", LISTS_OF_1)
def test_every_item_of_version_1_comes_once(name: str, colour: str, version_1: str) -> None:
    require_all(colour, version_1, LISTS_OF_1[name], ITEMS)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_that_repeats_its_last_page_for_ever_is_no_endless_walk(colour: str, version_1: str) -> None:
    """Version 1 answers every number behind the last with the last page."""
    unsuspecting = Endpoint("/items", params=PER_PAGE, records="data", pagination=PageNumberPagination("_page"))

    outcome = walk(colour, version_1, unsuspecting)

    assert isinstance(outcome.error, PaginationLoopError)
    assert outcome.records == ITEMS
