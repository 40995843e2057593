"""The paginations of fastapi-pagination: numbered pages, offsets, links in the body, and cursors."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import httpx
import pytest

from controlroom.errors import APIStatusError
from controlroom.http import CursorPagination, Endpoint, NextUrlPagination, OffsetPagination, PageNumberPagination
from tests.integration.http_colours import COLOURS, walk
from tests.thirdparty.servers import running, uvicorn
from tests.thirdparty.walks import require_all

NEEDED = ("fastapi_pagination", "sqlakeyset", "uvicorn")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not all(find_spec(name) for name in NEEDED),
        reason="fastapi-pagination, sqlakeyset or uvicorn is not installed; `nox -s servers` brings them",
    ),
]

ITEMS = [{"id": n, "name": f"item {n}"} for n in range(1, 238)]
SIZE = {"size": 50}
LISTS = {
    "numbered to the stated page": Endpoint(
        "/page", params=SIZE, records="items", pagination=PageNumberPagination(total_pages="pages"), total="total"
    ),
    "numbered to an empty page": Endpoint(
        "/page", records="items", pagination=PageNumberPagination("page", "size", 40)
    ),
    "offsets": Endpoint("/offset", records="items", pagination=OffsetPagination(size=50, total="total")),
    "offsets to an empty page": Endpoint("/offset", records="items", pagination=OffsetPagination(size=60)),
    "relative links to pages": Endpoint(
        "/linked-page", params=SIZE, records="items", pagination=NextUrlPagination("links.next"), total="total"
    ),
    "relative links to offsets": Endpoint(
        "/linked-offset",
        params={"limit": 50},
        records="items",
        pagination=NextUrlPagination("links.next"),
        total="total",
    ),
    "cursors": Endpoint(
        "/cursor", params=SIZE, records="items", pagination=CursorPagination("cursor", "next_page"), total="total"
    ),
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("fastapi")
    with running(uvicorn("fastapi_app:application"), folder, "/page", APP_DATABASE=str(folder / "db.sqlite3")) as url:
        yield url


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", LISTS)
def test_every_item_comes_once(name: str, colour: str, api: str) -> None:
    require_all(colour, api, LISTS[name], ITEMS)


def test_the_totals_that_were_verified_are_stated(api: str) -> None:
    paths = ("page", "offset", "linked-page", "linked-offset", "cursor")
    assert {path: httpx.get(f"{api}/{path}").json()["total"] for path in paths} == dict.fromkeys(paths, len(ITEMS))


@pytest.mark.parametrize("colour", COLOURS)
def test_a_refused_page_size_is_an_error_that_says_why(colour: str, api: str) -> None:
    too_large = Endpoint("/page", records="items", pagination=PageNumberPagination("page", "size", 100_000))

    outcome = walk(colour, api, too_large)

    assert isinstance(outcome.error, APIStatusError)
    assert outcome.error.status_code == 422
    assert "less than or equal to 100" in str(outcome.error)
