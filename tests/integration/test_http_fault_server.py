"""The server of faults, and the trial of clients: ours passes in every style, and each way to be wrong is seen as what it is."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from controlroom.errors import ConfigError
from controlroom.http import (
    ApiClient,
    ApiKeyAuth,
    AsyncApiClient,
    CursorPagination,
    Endpoint,
    HeaderCursorPagination,
    KeysetPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    OffsetPagination,
    PageNumberPagination,
    Timeouts,
)
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock
from controlroom.testing.faults_http import FAULTS, STYLES, Fault, FaultServer, ServedPage, Style, Verdict, put_through
from tests.integration.http_colours import COLOURS

pytestmark = pytest.mark.integration

SECRET = "k3y-of-the-trial"
BY_THE_CLOCK = {"stall", "drip"}
PAGINATIONS: dict[Style, Any] = {
    "cursor": CursorPagination("cursor", "next"),
    "next_url": NextUrlPagination("next"),
    "link": LinkHeaderPagination(),
    "header_cursor": HeaderCursorPagination("cursor", "X-Next-Cursor"),
    "post": CursorPagination("cursor", "next"),
    "offset": OffsetPagination(size=50),
    "page": PageNumberPagination(),
    "keyset": KeysetPagination("after", "id"),
}


def endpoint(style: Style, *, total: bool) -> Endpoint[Any]:
    common = {"records": "items", "pagination": PAGINATIONS[style], "total": "total" if total else None}
    return (
        Endpoint("/items", method="POST", only_reads=True, **common)
        if style == "post"
        else Endpoint("/items", **common)
    )


def ours(colour: str, style: Style, *, total: bool = True, **client: Any) -> Callable[[str], Any]:
    client = {"auth": ApiKeyAuth(SECRET, header="X-Key"), "max_response_bytes": 10_000_000, **client}

    def sync(url: str) -> Iterator[Any]:
        with ApiClient(url, **client) as api:
            yield from api.records(endpoint(style, total=total))

    async def asynchronous(url: str) -> AsyncIterator[Any]:
        async with AsyncApiClient(url, **client) as api:
            async for record in api.records(endpoint(style, total=total)):
                yield record

    return sync if colour == "sync" else asynchronous


def not_as_wanted(verdicts: list[Verdict]) -> list[str]:
    assert len(verdicts) > 1
    return [f"{verdict}: {verdict.error}" for verdict in verdicts if not verdict.is_as_wanted]


@pytest.mark.parametrize(("colour", "total"), [("sync", True), ("sync", False), ("async", True)])
@pytest.mark.parametrize("style", STYLES)
def test_our_client_gets_all_records_or_an_error_whatever_is_wrong(style: Style, colour: str, total: bool) -> None:
    left_out = BY_THE_CLOCK if style == "cursor" else {*BY_THE_CLOCK, "bomb"}
    faults = [
        name
        for name, kind in FAULTS.items()
        if name not in left_out and style in kind.styles and (total or not kind.needs_total)
    ]

    with ManualClock():
        verdicts = put_through(
            ours(colour, style, total=total), style=style, total=total, faults=faults, secrets=[SECRET]
        )

    assert not_as_wanted(verdicts) == []
    assert len(verdicts) == len(faults) + 1 > 15


@pytest.mark.slow
@pytest.mark.parametrize("colour", COLOURS)
def test_our_client_outlives_silence_and_drips(colour: str) -> None:
    patient = {"timeouts": Timeouts(read_s=0.3, total_s=1.5), "retry": RetryPolicy(backoff=Backoff(initial_s=0.0))}

    verdicts = put_through(ours(colour, "cursor", **patient), faults=sorted(BY_THE_CLOCK))

    clean, drip, stall = map(str, verdicts)
    assert (clean, stall) == ("no fault: OK", "stall: OK")
    assert drip in {
        "drip: RAISED (APITimeoutError)",
        "drip: OK",
    }  # where the server is late, all it held back comes at once


# Clients as they are written by hand


def fetched(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def trusting(url: str) -> Iterator[Any]:
    """The loop of every tutorial: ends on an empty page, on a missing key, whenever."""
    cursor = ""
    while cursor is not None:
        page = fetched(f"{url}/items{cursor and '?cursor='}{cursor}")
        if not page.get("items"):
            return
        yield from page["items"]
        cursor = page.get("next") or None


def counting(url: str) -> Iterator[Any]:
    """Takes a short page for the last."""
    offset = 0
    while True:
        page = fetched(f"{url}/items?offset={offset}&limit=50")
        yield from page["items"]
        offset += 50
        if len(page["items"]) < 50:
            return


def following(url: str) -> Iterator[Any]:
    """Follows links wherever they lead, with its token."""
    url += "/items"
    while url:
        answer = httpx.get(url, headers={"Authorization": "Bearer t0ken"})
        yield from answer.json()["items"]
        url = answer.json()["next"]


def impatient(url: str) -> Iterator[Any]:
    """Tries again at once, and takes what was too much for what it was."""
    cursor: str | None = ""
    with httpx.Client(base_url=url) as client:
        while cursor is not None:
            answer = client.get("/items", params={"cursor": cursor} if cursor else {})
            if answer.status_code < 400:
                yield from answer.json()["items"]
                cursor = answer.json()["next"]


def indiscreet(url: str) -> Iterator[Any]:
    answer = httpx.get(f"{url}/items", params={"cursor": "r100"}, headers={"X-Key": SECRET})
    if answer.is_error:
        raise ValueError(answer.text)
    return iter(())


def waiting_for_ever(url: str) -> Iterator[Any]:
    with httpx.Client(timeout=None) as client:
        yield from client.get(f"{url}/items", params={"cursor": "r100"}).json()["items"]


def repeating(url: str) -> Iterator[Any]:
    for _ in range(2):
        yield from trusting(url)


@pytest.mark.parametrize(
    ("walk", "options", "expected"),
    [
        (trusting, {}, "no fault: OK"),
        (trusting, {}, "empty page: LOST 150"),
        (trusting, {}, "null items: LOST 150"),
        (trusting, {}, "error in a 200: LOST 150"),
        (trusting, {}, "no items: LOST 150"),
        (trusting, {}, "wrong total: LOST 150"),
        (trusting, {}, "duplicate record: DOUBLED 1"),
        (trusting, {}, "same cursor: ENDLESS"),
        (trusting, {}, "cursor cycle: ENDLESS"),
        (trusting, {}, "page ignored: ENDLESS"),
        (trusting, {}, "reserved characters: RAISED (InvalidURL)"),
        (trusting, {}, "login page: RAISED (JSONDecodeError)"),
        (trusting, {}, "body cut: RAISED (IncompleteRead)"),
        (trusting, {}, "chunks cut: RAISED (IncompleteRead)"),
        (trusting, {}, "truncated gzip: UNTRIED"),
        (counting, {"style": "offset"}, "limit clamped: LOST 225"),
        (counting, {"style": "offset"}, "short page: LOST 101"),
        (following, {"style": "next_url"}, "other origin: LEAKED"),
        (impatient, {}, "503 with Retry-After: EARLY"),
        (impatient, {}, "429 with a date: EARLY"),
        (impatient, {}, "bomb: SWALLOWED"),
        (impatient, {}, "403: ENDLESS"),
        (indiscreet, {"secrets": [SECRET]}, "400 with echo: LEAKED"),
        (waiting_for_ever, {"limit_s": 0.5}, "stall: HUNG"),
        (repeating, {}, "no fault: DOUBLED 250"),
    ],
)
def test_what_a_client_makes_of_a_fault_is_called_by_its_name(
    walk: Callable[[str], Iterator[Any]], options: dict[str, Any], expected: str
) -> None:
    name = expected.partition(":")[0]
    plain, *others = put_through(walk, faults=[name] if name in FAULTS else [], **options)

    verdict = others[0] if others else plain
    assert str(verdict) == expected
    assert verdict.is_safe == any(word in expected for word in ("OK", "RAISED"))


def test_a_client_may_return_a_list_in_the_end() -> None:
    async def collected(url: str) -> list[Any]:
        return [record async for record in ours("async", "cursor")(url)]

    assert [str(verdict) for verdict in put_through(collected, faults=["500"])] == ["no fault: OK", "500: OK"]


def test_a_client_that_yields_without_end_and_without_asking_is_stopped() -> None:
    def dreaming(url: str) -> Iterator[Any]:
        while True:
            yield {"id": 1}

    assert [str(verdict) for verdict in put_through(dreaming, faults=[])] == ["no fault: ENDLESS"]


# The server


def test_a_fault_strikes_as_often_as_it_is_told_to_and_the_requests_are_kept() -> None:
    records = [{"id": number} for number in range(40)]

    with FaultServer(records, faults=[Fault("500", page=2, times=3)], page_size=10) as server, ManualClock():
        assert list(ours("sync", "cursor")(server.url)) == records

    assert [fault.name for fault in server.struck] == ["500"] * 3
    assert [asked.query.get("cursor") for asked in server.requests] == [None, "r10", "r10", "r10", "r10", "r20", "r30"]
    assert all(asked.carries(SECRET) for asked in server.requests)


def test_a_list_takes_the_shape_and_the_names_that_the_real_one_has() -> None:
    real = Endpoint("/v2/rows", records="data", pagination=CursorPagination("page_token", "meta.next"), total="meta.n")

    def walk(url: str) -> Iterator[Any]:
        with ApiClient(url) as api:
            yield from api.records(real)

    verdicts = put_through(
        walk,
        faults=["empty page", "no key at the end", "error in a 200", "wrong total"],
        path="/v2/rows",
        parameters={"cursor": "page_token"},
        body=lambda page: {"data": page.records, "meta": {"next": page.next, "n": page.total}},
    )

    assert not_as_wanted(verdicts) == []


MISUSES: dict[str, Callable[[], object]] = {
    "an unknown fault": lambda: Fault("no such fault"),
    "page 0": lambda: Fault("500", page=0),
    "no times": lambda: Fault("500", times=0),
    "an unknown style": lambda: FaultServer(style="guessed"),
    "empty pages": lambda: FaultServer(page_size=0),
    "a path without a slash": lambda: FaultServer(path="items"),
    "an unknown parameter": lambda: FaultServer(parameters={"curser": "x"}),
    "a page behind the end": lambda: FaultServer([{"id": 1}], faults=[Fault("500", page=2)]),
    "a fault of another style": lambda: FaultServer(style="offset", faults=[Fault("empty page")]),
    "a trial of an unknown fault": lambda: put_through(iter, faults=["no such fault"]),
}


@pytest.mark.parametrize("name", MISUSES)
def test_what_would_test_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        MISUSES[name]()


def test_a_request_for_nothing_that_there_is_gets_an_error() -> None:
    with FaultServer() as server:
        assert httpx.get(f"{server.url}/items", params={"cursor": "made-up"}).status_code == 400
        assert httpx.get(f"{server.url}/elsewhere").status_code == 404
        assert httpx.post(f"{server.url}/items").status_code == 404


def test_a_server_that_is_closed_leaves_no_connection_and_no_thread(recwarn: pytest.WarningsRecorder) -> None:
    before = set(threading.enumerate())
    with FaultServer(faults=[Fault("stall", page=1, times=None)]) as server:
        client = httpx.Client(timeout=0.1)
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{server.url}/items")
    client.close()

    assert set(threading.enumerate()) == before
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url, timeout=30)


def test_a_server_is_not_closed_before_its_last_answer_is_thought_out() -> None:
    before, asked, may_answer = set(threading.enumerate()), threading.Event(), threading.Event()

    def slow(page: ServedPage) -> Any:
        asked.set()
        may_answer.wait()
        return page.records

    server = FaultServer(style="page", body=slow).start()
    address = urlsplit(server.url).netloc
    with contextlib.closing(http.client.HTTPConnection(address)) as client:
        client.request("GET", "/items?page=1")
        asked.wait()
        closing = threading.Thread(target=server.close)
        closing.start()
        closing.join(0.2)
        was_closed = not closing.is_alive()
        may_answer.set()
        closing.join()

    assert not was_closed
    assert set(threading.enumerate()) == before


# The plugin

USERS_TEST = """
from controlroom.testing.faults_http import Fault
import urllib.request, urllib.error

urls = []

def test_one(fault_server):
    server = fault_server([{"id": 1}], faults=[Fault("403", page=1)], style="link")
    urls.append(server.url)
    try:
        urllib.request.urlopen(server.url + "/items")
    except urllib.error.HTTPError as error:
        assert error.code == 403
        error.close()
    assert [fault.name for fault in server.struck] == ["403"]

def test_two(manual_clock):
    try:
        urllib.request.urlopen(urls[0], timeout=1)
    except urllib.error.URLError as error:
        assert "refused" in str(error)
    assert manual_clock.sleeps == []
"""


def test_the_fixture_serves_a_test_and_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["controlroom.testing.plugin"]\n')
    (tmp_path / "test_users.py").write_text(USERS_TEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_kit_is_imported_without_pytest() -> None:
    command = "import sys, controlroom.testing, controlroom.testing.faults_http; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], timeout=60, check=False).returncode == 0
