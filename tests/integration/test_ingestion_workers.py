"""Several workers on one inbox: claims, leases and late owners. One colour: the statements are the same in both."""

from __future__ import annotations

import json
import threading

import pytest

from controlroom.database import Database
from controlroom.errors import ConfigError, LeaseLostError
from controlroom.ingestion import Inbox
from controlroom.storage import LocalStore
from controlroom.testing import ManualClock
from tests.integration.inboxes import Site, words


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_claimed_file_is_left_alone_until_the_lease_ends_and_a_late_owner_writes_nothing(site):
    site.land("a.txt", "one")
    with ManualClock() as clock, site.database() as database:
        slow, quick = (Inbox(LocalStore(site.root), database=database, lease_s=60) for _ in range(2))
        late = next(iter(slow.deliveries()))
        assert list(quick.deliveries()) == []
        assert quick.report.busy == 1
        clock.advance(61)
        for delivery in quick.deliveries():
            with delivery as work:
                work.uow.insert(words, [{"word": "quick", "file": work.key}])
        with pytest.raises(LeaseLostError), late as work:
            work.uow.insert(words, [{"word": "late", "file": work.key}])
    assert set(site.words()) == {"quick"}


def test_a_worker_that_broke_off_is_replaced_after_its_lease(site):
    site.land("a.txt", "one")
    with ManualClock() as clock, site.database() as database:
        first = Inbox(LocalStore(site.root), database=database, lease_s=60, max_attempts=2)
        next(iter(first.deliveries()))
        clock.advance(61)
        second = Inbox(LocalStore(site.root), database=database, lease_s=60, max_attempts=2)
        assert [delivery.attempt for delivery in second.deliveries()] == [2]
        clock.advance(61)
        third = Inbox(LocalStore(site.root), database=database, lease_s=60, max_attempts=2)
        assert list(third.deliveries()) == []
    reason = json.loads(site.read("quarantine/a.txt.reason.json"))
    assert "claimed 2 times and never finished" in reason["reason"]


def test_a_delivery_is_entered_once(site):
    site.land("a.txt", "one")
    with site.database() as database:
        delivery = next(iter(Inbox(LocalStore(site.root), database=database).deliveries()))
        with delivery:
            pass
        with pytest.raises(ConfigError), delivery:
            pass


def test_many_workers_ingest_each_file_exactly_once(site):
    for number in range(40):
        site.land(f"{number}.txt", f"word{number}")
    reports, errors = [], []

    def worker():
        try:
            with Database(site.url, lock_timeout_s=30) as database:
                inbox = Inbox(LocalStore(site.root), database=database)
                for delivery in inbox.deliveries():
                    with delivery as work:
                        rows = [{"word": word, "file": work.key} for word in work.open_text().read().split()]
                        work.uow.insert(words, rows)
                reports.append(inbox.report)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(report.ingested for report in reports) == 40
    assert len(site.words()) == 40
    assert site.files("landing/") == []
