"""A client that was generated from a running FastAPI app's own document walks that app, and misses nothing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import controlroom.cli
from controlroom.http import ApiClient

NEEDED = [name for name in ("fastapi", "fastapi_pagination", "uvicorn") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        bool(NEEDED), reason=f"{', '.join(NEEDED)}: not installed here, so no generated client met a real server"
    ),
]
PATIENCE_S = 60


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The base URL of the app, which runs in a process of its own."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("listing_app.py"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        process.stdout.close()


@pytest.fixture(scope="module")
def document(server: str) -> bytes:
    with urllib.request.urlopen(f"{server}/openapi.json", timeout=PATIENCE_S) as answer:
        found: bytes = answer.read()
    return found


@pytest.fixture(scope="module")
def client(server: str, document: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the module that the command wrote."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_bytes(document)
    written = str(folder / "flights.py")
    assert (
        controlroom.cli.main(["generate-client", str(folder / "openapi.json"), "-o", written, "--base-url", server])
        == 0
    )
    module = imported(Path(written))
    with module.Flights(module.BASE_URL) as api:
        yield api


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # pydantic looks there for what annotations name
    spec.loader.exec_module(module)
    return module


LISTS = {
    "by_page": "PageNumberPagination",
    "by_offset": "OffsetPagination",
    "by_links": "NextUrlPagination",
    "by_cursor": "CursorPagination",
    "by_key": "KeysetPagination",
    "odata": "NextUrlPagination",
    "by_link_header": "LinkHeaderPagination",
    "by_zero_based_page": "PageNumberPagination",
    "at_once": "SinglePage",
}


@pytest.mark.parametrize("name", LISTS)
def test_every_record_of_every_style_comes_once_and_whole(client: Any, name: str) -> None:
    path = {"class_": 7} if name == "odata" else {}
    bound = getattr(client, name)
    records = list(bound(**path))

    assert type(bound.endpoint.pagination).__name__ == LISTS[name]
    assert [record.id for record in records] == list(range(1, 24))
    whole = [json.loads(record.model_dump_json(by_alias=True)) for record in records]
    assert whole == client.get("/at-once").json()["items"]


def test_more_than_one_page_was_asked_for(client: Any) -> None:
    paged = [name for name in LISTS if name not in {"by_page", "by_offset", "by_links", "at_once", "odata"}]

    assert {name: len(list(getattr(client, name).pages())) > 1 for name in paged} == dict.fromkeys(paged, True)
    assert len(list(client.by_links.pages(params={"size": 4}))) == 6
    assert len(list(client.by_page.pages(params={"size": 4}))) == 6


def test_scalars_are_records_too(client: Any) -> None:
    assert list(client.names()) == [str(number) for number in range(1, 24)]


def test_what_states_a_total_is_verified(client: Any) -> None:
    verified = {
        name
        for name in LISTS
        if getattr(client, name).endpoint.total is not None
        or getattr(getattr(client, name).endpoint.pagination, "total", None)
    }

    assert verified == {"by_page", "by_offset", "by_links", "by_cursor", "by_zero_based_page"}


def test_the_client_is_a_client(client: Any) -> None:
    assert isinstance(client, ApiClient)
    assert "Generated from Flights 1.2 by controlroom" in (sys.modules["flights"].__doc__ or "").replace("\n", " ")
