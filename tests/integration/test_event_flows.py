"""What whole flows leave in the log: which events, in which order, tied together by which facts; each failure once."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlroom import job
from controlroom.database import AsyncDatabase, AsyncUnitOfWork, Database, UnitOfWork
from controlroom.errors import APIStatusError, DatabaseUnavailableError, DataError, ShutdownRequested
from controlroom.http import ApiClient, AsyncApiClient, Endpoint, NextUrlPagination
from controlroom.ingestion import AsyncInbox, Inbox, claims, outcomes
from controlroom.jobs import Run
from controlroom.logs import bound, setup_logging, spawn
from controlroom.logs.context import bound_facts
from controlroom.logs.events import violations
from controlroom.retrying import Backoff, RetryPolicy
from controlroom.storage import AsyncLocalStore, LocalStore
from controlroom.testing import FlakyTransport, ManualClock
from tests.integration.inboxes import COLOURS, Site

BASE = "https://api.example.com"
ORDERS = Endpoint("/orders", records="items", total="total", pagination=NextUrlPagination("next"))
PAGES = [["one", "two"], ["three", "bad"], ["wrong"]]


class Told:
    """The lines of controlroom's own loggers in a log file, each held against the catalogue."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def lines(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        ours = [line for line in lines if line["logger"].startswith("controlroom.")]
        assert [problem for line in ours for problem in violations(line, bound=["mine"])] == []
        return ours

    def names(self, *but: str) -> list[str]:
        return [line["event"] for line in self.lines if line["event"] not in but]

    def of(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] in names]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["level"] == "ERROR"]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    path = tmp_path / "run.jsonl"
    report = setup_logging("DEBUG", file=path)
    for name in ("aiosqlite", "asyncio"):  # what they say at DEBUG is long, and not what is looked at here
        monkeypatch.setattr(logging.getLogger(name), "level", logging.WARNING)
    yield Told(path)
    report.undo()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, durable=False)


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def time_() -> Iterator[ManualClock]:
    with ManualClock() as manual:
        yield manual


def answer(request: httpx.Request) -> httpx.Response:
    number = int(request.url.params.get("page", "1"))
    following = f"{BASE}/orders?page={number + 1}" if number < len(PAGES) else None
    items = [{"word": word} for word in PAGES[number - 1]]
    return httpx.Response(200, json={"items": items, "total": 5, "next": following})


def rows(work: Any, text: str) -> list[dict[str, str]]:
    if "wrong" in text:
        raise DataError("no such words")
    if "bad" in text:
        work.reject({"word": "bad"}, "a bad word", line=2)
    return [{"word": word, "file": work.key} for word in text.split() if word != "bad"]


def nightly(site: Site, colour: str) -> Any:
    """A job that fetches pages, one of which at the second try, lands each as a file, and ingests the files."""
    transport = FlakyTransport(answer, {2: 503})
    return nightly_in_sync(site, transport) if colour == "sync" else nightly_in_async(site, transport)


def landed(site: Site, page: Any) -> None:
    site.land(f"p{page.number}.txt", " ".join(record["word"] for record in page.records))


def nightly_in_sync(site: Site, transport: FlakyTransport) -> Any:
    @job
    def nightly(run: Run[None]) -> None:
        with ApiClient(BASE, transport=transport) as api, Database(site.url) as database:
            for page in api.pages(ORDERS):
                landed(site, page)
            for delivery in Inbox(LocalStore(site.root, durable=False), database=database).deliveries():
                with delivery as work:
                    work.uow.upsert("words", rows(work, work.open_text().read()), key=["word"])
            with database.unit_of_work() as uow:
                uow.watermarks.advance("orders", 7)
                uow.checkpoints.set("orders", {"page": 3})

    return nightly


def nightly_in_async(site: Site, transport: FlakyTransport) -> Any:
    @job
    async def nightly(run: Run[None]) -> None:
        async with AsyncApiClient(BASE, transport=transport) as api, AsyncDatabase(site.url) as database:
            async for page in api.pages(ORDERS):
                landed(site, page)
            store = AsyncLocalStore(site.root, durable=False)
            async for delivery in AsyncInbox(store, database=database).deliveries():
                async with delivery as work:
                    text = (await work.open_text()).read()
                    await work.uow.upsert("words", rows(work, text), key=["word"])
            async with database.unit_of_work() as uow:
                await uow.watermarks.advance("orders", 7)
                await uow.checkpoints.set("orders", {"page": 3})

    return nightly


EXPECTED = """
run_started
walk_started
request_finished page_fetched file_published
request_finished retry_scheduled request_finished retries_ended page_fetched file_published
request_finished page_fetched file_published
walk_finished
unit_committed file_claimed unit_committed unit_committed file_published file_ingested
unit_committed file_claimed unit_committed record_rejected file_published unit_committed file_published file_ingested
unit_committed file_claimed unit_committed unit_rolled_back unit_committed file_published file_published file_failed file_quarantined
unit_committed watermark_advanced checkpoint_saved
run_finished
"""


def test_a_run_tells_exactly_this_in_exactly_this_order(site: Site, told: Told, colour: str) -> None:
    nightly(site, colour).run()

    assert told.names() == EXPECTED.split()


def test_what_a_run_tells_is_tied_together(site: Site, told: Told, colour: str) -> None:
    nightly(site, colour).run()
    lines = told.lines

    assert len({line["run_id"] for line in lines}) == 1
    assert all(before["seq"] < after["seq"] for before, after in pairwise(lines))
    (walk,) = {line["walk"] for line in lines if "walk" in line}
    fetched = told.of("request_finished", "retry_scheduled", "retries_ended", "page_fetched")
    assert [(line["walk"], line["page"]) for line in fetched] == [(walk, page) for page in (1, 1, 2, 2, 2, 2, 2, 3, 3)]
    # What the job does with a page is not the walk's.
    assert [line["event"] for line in lines if "page" in line and line["event"].startswith(("file", "unit"))] == []
    at = {line["seq"]: line.get("file") for line in lines}
    ingested = [line["seq"] for line in told.of("file_claimed", "file_ingested", "file_quarantined")]
    for first, last, name in zip(ingested[::2], ingested[1::2], ("p1", "p2", "p3"), strict=True):
        assert {at[seq] for seq in at if first <= seq <= last} == {f"landing/{name}.txt"}
    assert [line["file"] for line in told.of("file_failed")] == ["landing/p3.txt"]
    assert [line for line in told.of("watermark_advanced") if "file" in line] == []


def test_what_a_run_tells_of_itself(site: Site, told: Told, colour: str) -> None:
    nightly(site, colour).run()

    (quarantined,) = told.of("file_quarantined")
    assert (quarantined["to"], quarantined["reason"], quarantined["attempt"]) == ("quarantine/p3.txt", "DataError", 1)
    (rolled_back,) = told.of("unit_rolled_back")
    assert rolled_back["unit"] not in {line["unit"] for line in told.of("unit_committed")}
    (mark,) = told.of("watermark_advanced")
    assert (mark["name"], mark["before"], mark["after"]) == ("orders", None, 7)
    assert mark["unit"] == told.of("checkpoint_saved")[0]["unit"] == told.of("unit_committed")[-1]["unit"]
    (finished,) = told.of("walk_finished")
    assert (finished["pages"], finished["records"], finished["verified"]) == (3, 5, True)


# -- one failure, one ERROR -------------------------------------------------------------------------------------------


def test_an_error_caught_at_four_levels_is_told_at_one(site: Site, told: Told, colour: str) -> None:
    transport = FlakyTransport(answer, dict.fromkeys(range(1, 100), 503))

    def fetch() -> None:
        with ApiClient(BASE, transport=transport, retry=RetryPolicy(attempts=2)) as api:
            api.get("/orders")

    def handler(work: Any, text: str) -> list[str]:
        fetch()
        return []

    @job
    def nightly(run: Run[None]) -> None:
        site.land("a.txt", "one")
        try:
            site.ingest(colour, handler)
            fetch()
        except Exception as error:
            run.log.failure("caught", error)
            raise

    with pytest.raises(APIStatusError):
        nightly.run()

    # Two failures: one ended the attempt at the file, the other the run. Each was retried, caught and raised again.
    assert [line["event"] for line in told.errors] == ["gave_up", "gave_up"]
    in_the_file, in_the_run = told.errors
    assert (in_the_file["file"], in_the_file["attempt"]) == ("landing/a.txt", 2)
    assert "file" not in in_the_run
    assert [attempt["number"] for attempt in in_the_run["exception"]["attempts"]] == [1, 2]
    (released,) = told.of("file_released")
    assert released["reason"] == "APIStatusError"
    assert told.of("run_finished")[0]["outcome"] == "failed"


def test_wrong_content_is_told_in_full_once_and_nowhere_else(site: Site, told: Told, colour: str) -> None:
    site.land("a.txt", "one")

    def handler(work: Any, text: str) -> list[str]:
        raise DataError("the secret of the seventh column")

    site.ingest(colour, handler)

    telling = [line["event"] for line in told.lines if "the seventh column" in json.dumps(line)]
    assert telling == ["file_failed"]
    assert told.names("file_published", "unit_committed") == [
        "file_claimed",
        "unit_rolled_back",
        "file_failed",
        "file_quarantined",
    ]


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        (ValueError, ["unit_rolled_back", "file_released", "run_failed", "run_finished"]),
        (ShutdownRequested, ["unit_rolled_back", "file_released", "run_finished"]),
    ],
)
def test_an_error_that_goes_up_is_left_to_the_run(
    site: Site, told: Told, colour: str, kind: type[Exception], ends: list[str]
) -> None:
    site.land("a.txt", "one")

    def handler(work: Any, text: str) -> list[str]:
        raise kind("a bug, or a signal")

    @job
    def nightly(run: Run[None]) -> None:
        site.ingest(colour, handler)

    with pytest.raises(kind):
        nightly.run()

    assert told.names("unit_committed") == ["file_published", "run_started", "file_claimed", *ends]
    assert [line["reason"] for line in told.of("unit_rolled_back", "file_released")] == [kind.__name__] * 2


def test_a_file_that_fails_until_nobody_believes_in_it_names_its_last_error(
    site: Site, told: Told, colour: str
) -> None:
    site.land("a.txt", "one")

    def handler(work: Any, text: str) -> list[str]:
        raise DatabaseUnavailableError("not now")

    for _ in range(2):
        site.ingest(colour, handler, max_attempts=2)

    assert [line["event"] for line in told.errors] == ["file_failed", "file_failed"]
    assert [(line["event"], line["attempt"]) for line in told.of("file_released", "file_quarantined")] == [
        ("file_released", 1),
        ("file_quarantined", 2),
    ]
    assert told.of("file_quarantined")[0]["attempts"] == 2


def test_a_file_that_cannot_be_settled_is_abandoned_to_its_lease(
    site: Site, told: Told, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.land("a.txt", "one")

    def handler(work: Any, text: str) -> list[str]:
        monkeypatch.setattr(claims, "mark", broken)
        raise DataError("wrong")

    def broken(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailableError("gone for good")

    with pytest.raises(DatabaseUnavailableError):
        site.ingest(colour, handler)

    assert told.names("file_published", "unit_committed")[-1] == "file_abandoned"
    (abandoned,) = told.of("file_abandoned")
    assert (abandoned["file"], abandoned["reason"]) == ("landing/a.txt", "DatabaseUnavailableError")
    assert told.of("file_released", "file_quarantined") == []


@pytest.mark.parametrize("stage", ["read", "begin"])
def test_a_claimed_file_that_is_not_delivered_has_an_end_too(
    site: Site, told: Told, colour: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.land("a.txt", "one")
    claimed = outcomes.claimed

    def then_trouble(ticket: Any, rules: Any) -> None:
        claimed(ticket, rules)
        if stage == "read":
            (site.root / "landing/a.txt").unlink()
        else:
            fail_to_enter(colour, 2, monkeypatch)  # the first asks whether the content is known

    monkeypatch.setattr(outcomes, "claimed", then_trouble)
    try:
        site.ingest(colour)
    except DatabaseUnavailableError:
        assert stage == "begin"

    ends = told.of("file_vanished", "file_released", "file_abandoned")
    assert [line["event"] for line in ends] == [{"read": "file_vanished", "begin": "file_released"}[stage]]


def fail_to_enter(colour: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database be gone when unit of work *number*, from now on, is opened."""
    kind, name = (UnitOfWork, "__enter__") if colour == "sync" else (AsyncUnitOfWork, "__aenter__")
    enter, opened = getattr(kind, name), itertools.count(1)

    def entered(self: Any) -> Any:
        if next(opened) == number:
            raise DatabaseUnavailableError("no connection")
        return enter(self)

    monkeypatch.setattr(kind, name, entered)


def test_the_same_content_is_skipped_and_says_what_it_is_the_same_as(site: Site, told: Told, colour: str) -> None:
    site.land("a.txt", "one")
    site.ingest(colour)
    site.land("b.txt", "one")
    site.ingest(colour)

    (skipped,) = told.of("file_skipped")
    assert (skipped["file"], skipped["same_as"]) == ("landing/b.txt", "landing/a.txt")
    assert told.errors == []


# -- retries ----------------------------------------------------------------------------------------------------------


def test_each_retry_is_one_warning_with_its_wait_and_its_reason(told: Told, colour: str, time_: ManualClock) -> None:
    plan = {1: "reset", 2: (429, {"Retry-After": "7"}), 3: "connect_error"}
    retry = RetryPolicy(attempts=4, backoff=Backoff(initial_s=1.0, jitter="none"))

    def sync() -> None:
        with ApiClient(BASE, transport=FlakyTransport(answer, plan), retry=retry) as api:
            api.get("/orders")

    async def asynchronous() -> None:
        async with AsyncApiClient(BASE, transport=FlakyTransport(answer, plan), retry=retry) as api:
            await api.get("/orders")

    sync() if colour == "sync" else asyncio.run(asynchronous())

    retries = told.of("retry_scheduled")
    assert [(line["level"], line["attempt"], line["wait_s"]) for line in retries] == [
        ("WARNING", 1, 1.0),
        ("WARNING", 2, 7.0),
        ("WARNING", 3, 4.0),
    ]
    assert "the other side asked for 7.0 s" in retries[1]["reason"]
    assert [line["wait_s"] for line in retries] == [pytest.approx(wait_s) for wait_s in time_.sleeps]
    assert {line["series"] for line in told.of("retry_scheduled", "retries_ended")} == {retries[0]["series"]}
    (ended,) = told.of("retries_ended")
    assert (ended["outcome"], ended["attempt"], ended["elapsed_s"]) == ("succeeded", 4, 12.0)
    assert told.errors == []


# -- what is bound, and where not -------------------------------------------------------------------------------------


def test_nothing_of_a_walk_is_bound_where_its_pages_are_used(told: Told) -> None:
    seen: list[dict[str, Any]] = []

    def look() -> None:
        seen.append(dict(bound_facts()))

    with ApiClient(BASE, transport=httpx.MockTransport(answer)) as api, bound(mine=1):
        first, second = api.pages(ORDERS), api.pages(ORDERS)
        for _ in zip(first, second, strict=True):  # two walks, in turns, in one context
            look()
        look()

    assert seen == [{"mine": 1}] * 4
    walks = [line["walk"] for line in told.of("page_fetched")]
    assert walks[::2] == [walks[0]] * 3
    assert walks[1::2] == [walks[1]] * 3
    assert walks[0] != walks[1]
    requests = told.of("request_finished")
    assert [(line["walk"], line["page"]) for line in requests] == [
        (walk, page) for page in (1, 2, 3) for walk in walks[:2]
    ]


def test_walks_at_once_in_tasks_and_in_threads_keep_their_lines_apart(told: Told) -> None:
    async def one(api: AsyncApiClient) -> None:
        async for _ in api.pages(ORDERS):
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        async with AsyncApiClient(BASE, transport=httpx.MockTransport(answer)) as api:
            await asyncio.gather(*(one(api) for _ in range(5)))

    def threaded(api: ApiClient) -> None:
        for _ in api.pages(ORDERS):
            pass

    asyncio.run(all_of_them())
    with ApiClient(BASE, transport=httpx.MockTransport(answer)) as api:
        for future in [spawn(threaded, api) for _ in range(5)]:
            future.result()

    pages: dict[str, list[int]] = {}
    requests: dict[str, list[int]] = {}
    for line in told.lines:
        if line["event"] in {"page_fetched", "request_finished"}:
            into = pages if line["event"] == "page_fetched" else requests
            into.setdefault(line["walk"], []).append(line["page"])
    assert len(pages) == 10
    assert set(map(tuple, pages.values())) == {(1, 2, 3)}
    assert requests == pages


def test_pages_that_load_ahead_belong_to_their_walk_and_to_what_was_bound_where_it_began(
    told: Told, colour: str
) -> None:
    seen: list[dict[str, Any]] = []

    def sync() -> None:
        with ApiClient(BASE, transport=httpx.MockTransport(answer)) as api:
            seen.extend(dict(bound_facts()) for _ in api.pages(ORDERS, prefetch=2))

    async def asynchronous() -> None:
        async with AsyncApiClient(BASE, transport=httpx.MockTransport(answer)) as api:
            seen.extend([dict(bound_facts()) async for _ in api.pages(ORDERS, prefetch=2)])

    with bound(mine=1):
        sync() if colour == "sync" else asyncio.run(asynchronous())

    assert seen == [{"mine": 1}] * 3
    assert {line["mine"] for line in told.lines} == {1}
    assert len({line["walk"] for line in told.lines}) == 1
    assert [line["page"] for line in told.of("request_finished")] == [1, 2, 3]
    assert told.names()[-1] == "walk_finished"


def test_a_walk_that_its_consumer_leaves_says_so_and_so_does_one_that_fails(told: Told, colour: str) -> None:
    def sync(take: int, plan: dict[int, Any]) -> None:
        with ApiClient(BASE, transport=FlakyTransport(answer, plan), retry=None) as api:
            for number, _ in enumerate(api.pages(ORDERS), 1):
                if number == take:
                    break
            gc.collect()

    async def asynchronous(take: int, plan: dict[int, Any]) -> None:
        async with AsyncApiClient(BASE, transport=FlakyTransport(answer, plan), retry=None) as api:
            pages = api.pages(ORDERS)
            number = 0
            async for _ in pages:
                number += 1
                if number == take:
                    break
            await pages.aclose()

    def walk(take: int, plan: dict[int, Any]) -> None:
        sync(take, plan) if colour == "sync" else asyncio.run(asynchronous(take, plan))

    walk(2, {})
    with pytest.raises(APIStatusError):
        walk(3, {2: 404})

    assert [(line["pages"], line["records"], line["reason"]) for line in told.of("walk_broken_off")] == [
        (2, 4, "closed"),
        (1, 2, "APIStatusError"),
    ]
    assert told.names("request_finished", "page_fetched") == ["walk_started", "walk_broken_off"] * 2


def test_a_walk_that_goes_on_says_behind_which_page(told: Told) -> None:
    with ApiClient(BASE, transport=httpx.MockTransport(answer)) as api:
        first = next(api.pages(ORDERS))
        assert len(list(api.pages(ORDERS, resume=first.checkpoint))) == 2

    assert [line["resumed_behind"] for line in told.of("walk_started")] == [0, 1]


def test_a_file_is_bound_while_its_block_is_open_and_no_longer(site: Site, told: Told, colour: str) -> None:
    inside: list[Any] = []
    for name in ("a", "b"):
        site.land(f"{name}.txt", name)

    def handler(work: Any, text: str) -> list[str]:
        inside.append(bound_facts().get("file"))
        if text == "b":
            raise DataError("wrong")
        return []

    site.ingest(colour, handler)

    assert inside == ["landing/a.txt", "landing/b.txt"]
    assert bound_facts().get("file") is None
    since = told.of("file_claimed")[0]["seq"]
    tied = [line for line in told.of("unit_committed", "unit_rolled_back", "file_published") if line["seq"] > since]
    assert {line["file"] for line in tied} == {"landing/a.txt", "landing/b.txt"}


# -- marks ------------------------------------------------------------------------------------------------------------


def test_a_mark_is_told_once_its_unit_has_committed_and_only_what_stayed(site: Site, told: Told) -> None:
    with Database(site.url) as database:
        with database.unit_of_work() as uow:
            uow.watermarks.advance("orders", 1)
            uow.watermarks.advance("orders", 5)
            uow.watermarks.advance("orders", 5)
            with pytest.raises(KeyError), uow.savepoint():
                uow.watermarks.advance("orders", 9)
                uow.checkpoints.set("lost", 1)
                raise KeyError
            assert told.of("watermark_advanced") == []
        with pytest.raises(KeyError), database.unit_of_work() as uow:
            uow.watermarks.advance("orders", 7)
            raise KeyError
        with database.unit_of_work() as uow:
            uow.watermarks.advance("orders", 5)

    assert [(line["before"], line["after"]) for line in told.of("watermark_advanced")] == [(None, 5)]
    assert told.of("checkpoint_saved") == []


def test_units_at_once_have_names_of_their_own(site: Site, told: Told) -> None:
    def write(database: Database, word: str) -> None:
        with database.unit_of_work() as uow:
            uow.upsert("words", [{"word": word, "file": ""}], key=["word"])

    with Database(site.url) as database:
        threads = [threading.Thread(target=write, args=(database, str(number))) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    units = [line["unit"] for line in told.of("unit_committed")]
    assert len(units) == len(set(units)) == 8
