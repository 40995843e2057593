"""Notifications come late, twice, out of order and about what is gone: the files are ingested once, and none is lost."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest

from controlroom import shutdown
from controlroom.database import AsyncDatabase, Database
from controlroom.errors import APITimeoutError, ConfigError, DataError, ShutdownRequested
from controlroom.ingestion import AsyncInbox, Inbox
from controlroom.storage import LocalStore, ObjectEvent
from controlroom.testing import MemoryStore
from controlroom.testing.stores_async import AsyncMemoryStore
from tests.integration.inboxes import COLOURS, Site

both_colours = pytest.mark.parametrize("colour", COLOURS)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def told(name, sequencer="01", kind="created", **facts):
    return ObjectEvent(kind, "", "lake", f"landing/{name}", sequencer=sequencer, **facts)


def failing(error):
    def handler(work, text):
        raise error

    return handler


@both_colours
def test_only_what_events_tell_of_is_delivered(site, colour):
    site.land("a.txt", "one")
    site.land("b.txt", "two")

    report = site.ingest(colour, events=[told("b.txt")])

    assert site.words() == {"two": "landing/b.txt"}
    assert site.files() == ["archive/b.txt", "landing/a.txt"]
    assert (report.ingested, report.left) == (1, 0)


@both_colours
def test_a_notification_that_comes_again_changes_nothing(site, colour):
    site.land("a.txt", "one")
    for _ in range(3):
        report = site.ingest(colour, events=[told("a.txt"), told("a.txt")])
    before = site.words(), site.files(), site.rows("controlroom_inbox")

    assert report.to_dict() == dict.fromkeys(report.to_dict(), 0)
    site.ingest(colour, events=[told("a.txt", "0100")])  # the same sequencer, padded
    assert (site.words(), site.files(), site.rows("controlroom_inbox")) == before


@both_colours
def test_a_notification_that_comes_again_does_not_take_the_next_files_place(site, colour):
    """What lies there by then is another object; its own notification is on its way, and leads to it."""
    site.land("a.txt", "one")
    site.ingest(colour, events=[told("a.txt", "01")])
    site.land("a.txt", "two")

    assert site.ingest(colour, events=[told("a.txt", "01")]).ingested == 0
    assert site.ingest(colour, events=[told("a.txt", "02")]).ingested == 1
    assert set(site.words()) == {"one", "two"}


@both_colours
@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
def test_in_whatever_order_notifications_come_each_object_that_is_there_is_ingested_once(site, colour, order):
    events = [told("a.txt", "01"), told("a.txt", "02", "deleted"), told("a.txt", "0201")]
    site.land("a.txt", "the one that stayed")

    reports = [site.ingest(colour, events=[events[number]]) for number in order]

    assert sum(report.ingested for report in reports) == 1
    assert set(site.words()) == {"the", "one", "that", "stayed"}
    assert site.files() == ["archive/a.txt"]


@both_colours
def test_of_many_notifications_of_one_file_one_leads_to_work(site, colour):
    site.land("a.txt", "one")
    events = [told("a.txt", "02"), told("a.txt", None, "tagged"), told("a.txt", "01"), told("a.txt", "02")]

    assert site.ingest(colour, events=events).ingested == 1
    assert [row["sequencer"] for row in site.rows("controlroom_inbox")] == ["02"]


@both_colours
def test_what_was_deleted_since_is_nobodys_fault(site, colour):
    report = site.ingest(colour, events=[told("a.txt")])

    assert report.to_dict() == dict.fromkeys(report.to_dict(), 0)
    assert site.rows("controlroom_inbox") == []


@both_colours
def test_a_deletion_is_remembered_with_the_file(site, colour):
    site.land("a.txt", "one")
    site.ingest(colour, events=[told("a.txt", "01")])
    site.ingest(colour, events=[told("a.txt", "03", "deleted")])
    site.ingest(colour, events=[told("a.txt", "02", "deleted")])

    assert [row["sequencer"] for row in site.rows("controlroom_inbox")] == ["03"]


@both_colours
def test_what_failed_is_delivered_again_by_the_same_notification(site, colour):
    """The mark of an event commits with the work: an attempt that was rolled back leaves none."""
    site.land("a.txt", "one")
    first = site.ingest(colour, failing(APITimeoutError("no answer")), events=[told("a.txt")])
    assert (first.released, first.left) == (1, 1)
    assert [row["sequencer"] for row in site.rows("controlroom_inbox")] == [None]

    again = site.ingest(colour, events=[told("a.txt")])

    assert (again.ingested, again.left) == (1, 0)
    assert set(site.words()) == {"one"}


@both_colours
def test_what_was_quarantined_stays_there_when_it_is_told_of_again(site, colour):
    site.land("a.txt", "half")
    site.ingest(colour, failing(DataError("half of it is missing")), events=[told("a.txt")])

    assert site.ingest(colour, events=[told("a.txt")]).to_dict()["quarantined"] == 0
    assert site.files() == ["quarantine/a.txt", "quarantine/a.txt.reason.json"]
    assert [row["sequencer"] for row in site.rows("controlroom_inbox")] == ["01"]


def test_a_file_that_another_worker_holds_is_reported_as_left(site):
    site.land("a.txt", "one")
    with Database(site.url) as database:
        holder, other = (Inbox(LocalStore(site.root), database=database) for _ in range(2))
        for delivery in holder.accept([told("a.txt")]):
            assert list(other.accept([told("a.txt")])) == []
            with delivery:
                pass

    assert (other.report.busy, other.report.left) == (1, 1)


def test_a_file_that_another_task_holds_is_reported_as_left(site):
    report = asyncio.run(held_meanwhile(site))

    assert (report.busy, report.left) == (1, 1)


async def held_meanwhile(site):
    async with AsyncDatabase(site.url) as database:
        store = AsyncMemoryStore()
        await store.publish("landing/a.txt", b"one")
        holder, other = (AsyncInbox(store, database=database) for _ in range(2))
        async for delivery in holder.accept([told("a.txt")]):
            assert [one async for one in other.accept([told("a.txt")])] == []
            async with delivery:
                pass
        return other.report


@both_colours
def test_a_file_that_is_still_being_written_is_left_and_reported(site, colour):
    site.land("a.txt", "one")
    with (site.root / "landing/a.txt").open("a") as writer:
        by_notification = site.ingest(colour, events=[told("a.txt")])
        by_listing = site.ingest(colour)
        writer.write(" two")

    assert (by_notification.unsettled, by_notification.left, by_listing.unsettled) == (1, 1, 1)
    assert site.words() == {}
    site.ingest(colour, events=[told("a.txt")])
    assert set(site.words()) == {"one", "two"}


@both_colours
@pytest.mark.parametrize(
    "event",
    [
        told("../archive/a.txt"),
        told("folder/"),
        told(""),
        told("a//b.txt"),
        told("a.txt", None, "tagged"),
        told("a.txt", None, "acl"),
        ObjectEvent("created", "", "lake", "archive/a.txt"),
        ObjectEvent("created", "", "lake", "landing"),
    ],
    ids=lambda event: f"{event.kind} {event.key}",
)
def test_what_is_no_file_in_landing_is_passed_over(site, colour, event):
    site.land("a.txt", "one")

    report = site.ingest(colour, events=[event])

    assert report.to_dict() == dict.fromkeys(report.to_dict(), 0)
    assert site.files() == ["landing/a.txt"]


@both_colours
def test_files_are_delivered_in_the_order_of_their_events(site, colour):
    for name in "abc":
        site.land(f"{name}.txt", name)
    days = {"a": 3, "b": 1, "c": 2}
    seen = []

    def handler(work, text):
        seen.append(text)
        return ()

    site.ingest(
        colour,
        handler,
        events=[told(f"{name}.txt", at=datetime(2026, 1, day, tzinfo=UTC)) for name, day in days.items()],
    )

    assert seen == ["b", "c", "a"]


@both_colours
def test_a_requested_shutdown_stops_between_two_notified_files(site, colour):
    site.land("a.txt", "one")
    site.land("b.txt", "two")

    def handler(work, text):
        shutdown.request(signal.SIGTERM)
        return text.split()

    try:
        with pytest.raises(ShutdownRequested):
            site.ingest(colour, handler, events=[told("a.txt"), told("b.txt")])
    finally:
        shutdown.reset()
    assert len(site.words()) == len(site.files("landing/")) == 1


def test_events_of_another_bucket_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    class Elsewhere(MemoryStore):
        url = "s3://warehouse/raw"

    site = Site(tmp_path)
    with Database(site.url) as database:
        inbox = Inbox(Elsewhere(), database=database)
        with pytest.raises(ConfigError, match="bucket lake, the inbox of warehouse"):
            list(inbox.accept([told("a.txt")]))


@pytest.mark.integration
def test_postgresql_keeps_what_was_followed_too(postgres_url):
    store = MemoryStore()
    with Database(postgres_url) as database:
        database.create_control_tables()
        inbox = Inbox(store, database=database)
        for sequencer, events in enumerate([["01"], ["01"], ["02", "0100"], ["02"]]):
            store.publish("landing/a.txt", str(sequencer).encode())
            for delivery in inbox.accept([told("a.txt", one) for one in events]):
                with delivery:
                    pass
        list(inbox.accept([told("a.txt", "03", "deleted")]))

        assert inbox.report.ingested == 2
        marks = {row.sequencer for row in database.rows("SELECT sequencer FROM controlroom_inbox", {})}
        assert marks == {"03"}
