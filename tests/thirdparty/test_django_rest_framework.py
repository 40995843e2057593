"""Django REST framework's three paginations, each followed by its links, and counted by the client."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import httpx
import pytest

from controlroom.errors import APIStatusError, IncompletePaginationError
from controlroom.http import Endpoint, NextUrlPagination, OffsetPagination, PageNumberPagination
from tests.integration.http_colours import COLOURS, walk
from tests.thirdparty.servers import running, uvicorn
from tests.thirdparty.walks import require_all

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        find_spec("rest_framework") is None or find_spec("uvicorn") is None,
        reason="djangorestframework or uvicorn is not installed; `nox -s servers` brings them",
    ),
]

ITEMS = [{"id": n, "name": f"item {n // 2:03}"} for n in range(1, 238)]
NEXT = {"records": "results", "pagination": NextUrlPagination("next")}
LISTS = {
    "pages by link": Endpoint("/page/", total="count", **NEXT),
    "pages by number": Endpoint("/page/", records="results", pagination=PageNumberPagination(), total="count"),
    "pages of another size": Endpoint(
        "/page/", records="results", pagination=PageNumberPagination("page", "page_size", 40), total="count"
    ),
    "offsets by link": Endpoint("/offset/", total="count", **NEXT),
    "offsets": Endpoint("/offset/", records="results", pagination=OffsetPagination(size=50, total="count")),
    "offsets, limit clamped": Endpoint("/offset/", records="results", pagination=OffsetPagination(size=100)),
    "cursors": Endpoint("/cursor/", **NEXT),
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("django")
    with running(uvicorn("django_app:application"), folder, "/page/", APP_DATABASE=str(folder / "db.sqlite3")) as url:
        yield url


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", LISTS)
def test_every_item_comes_once(name: str, colour: str, api: str) -> None:
    require_all(colour, api, LISTS[name], ITEMS)


def test_the_totals_that_were_verified_are_stated(api: str) -> None:
    assert [httpx.get(f"{api}/{path}/").json()["count"] for path in ("page", "offset")] == [len(ITEMS)] * 2


@pytest.mark.parametrize("colour", COLOURS)
def test_a_page_behind_the_last_is_an_error_and_no_silent_end(colour: str, api: str) -> None:
    """Without a total the client asks on, and Django says 404: all records were handed out, and the walk says so."""
    outcome = walk(colour, api, Endpoint("/page/", records="results", pagination=PageNumberPagination()))

    assert outcome.records == ITEMS
    assert isinstance(outcome.error, APIStatusError)
    assert outcome.error.status_code == 404


@pytest.mark.parametrize("colour", COLOURS)
def test_a_total_that_is_not_reached_raises(colour: str, api: str) -> None:
    """Walking the second half only, with the total of the whole."""
    outcome = walk(colour, api, Endpoint("/page/", total="count", **NEXT), params={"page": 3})

    assert isinstance(outcome.error, IncompletePaginationError)
