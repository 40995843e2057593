"""An inbox on S3: deliveries, notifications of a real queue, workers beside each other and workers that are killed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.database import Database
from controlroom.errors import APITimeoutError, DataError
from controlroom.ingestion import Inbox
from controlroom.storage import parse_s3_events
from controlroom.testing import HttpProxy, ManualClock
from tests.integration.inboxes import COLOURS, words
from tests.integration.inboxes_s3 import S3Site
from tests.servers.s3 import S3Server

both_colours = pytest.mark.parametrize("colour", COLOURS)


@pytest.fixture(params=["seaweedfs_server", "ministack_server"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> S3Site:
    return S3Site(tmp_path, request.getfixturevalue(request.param))


def handler(work: Any, text: str) -> Iterator[str]:
    if "broken" in work.key:
        raise DataError("half of it is missing")
    if "slow" in work.key and work.attempt == 1:
        raise APITimeoutError("no answer")
    for number, word in enumerate(text.split(), 1):
        if word == "bad":
            work.reject(word, "not a good word", line=number)
        else:
            yield word


@both_colours
def test_files_are_delivered_archived_and_set_aside_with_their_reason(site: S3Site, colour: str) -> None:
    for name, text in {
        "a.txt": "one bad two",
        "broken.txt": "half",
        "again.txt": "one bad two",
        "é b?.txt": "three",
        "slow.txt": "four",
    }.items():
        site.land(name, text)

    first, second = (site.ingest(colour, handler) for _ in range(2))

    assert (first.ingested, first.quarantined, first.skipped, first.released, first.rejected) == (2, 1, 1, 1, 1)
    assert second.ingested == 1
    assert site.words().keys() == {"one", "two", "three", "four"}
    assert sorted(site.files()) == [
        "archive/a.txt",
        "archive/again.txt",
        "archive/slow.txt",
        "archive/é b?.txt",
        *(f"quarantine/{left}" for left in ("a.txt.rejects.jsonl", "broken.txt", "broken.txt.reason.json")),
    ]
    reason = json.loads(site.read("quarantine/broken.txt.reason.json"))
    assert (reason["key"], reason["size_bytes"], reason["error"]["code"]) == ("landing/broken.txt", 4, "data")
    assert set(site.ingest(colour, handler).to_dict().values()) == {0}


@both_colours
def test_a_network_that_loses_every_third_exchange_loses_no_file(site: S3Site, colour: str) -> None:
    for number in range(4):
        site.land(f"{number}.txt", f"word{number}")
    with HttpProxy(site.server.endpoint_url) as proxy:
        broken = S3Site(site.folder, site.server, prefix=site.prefix, endpoint_url=proxy.url)
        for how in ("pre", "post"):
            proxy.cut(how, when=lambda exchange, how=how: exchange.number % 6 == 3 * (how == "post"), times=1_000)
        with ManualClock():
            report = broken.ingest(colour, handler)
        assert {exchange.cut for exchange in proxy.seen} == {None, "pre", "post"}

    assert report.ingested == 4
    assert site.words().keys() == {f"word{number}" for number in range(4)}
    assert sorted(site.files()) == [f"archive/{number}.txt" for number in range(4)]


def test_many_workers_ingest_each_file_exactly_once(site: S3Site) -> None:
    files = 12
    for number in range(files):
        site.land(f"{number}.txt", f"word{number}")
    reports: list[Any] = []
    errors: list[BaseException] = []

    def worker() -> None:
        try:
            with Database(site.url, lock_timeout_s=30) as database, site.store() as store:
                inbox = Inbox(store, database=database)
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
    assert sum(report.ingested for report in reports) == files
    assert len(site.words()) == files
    assert site.files("landing/") == []


class Queue:
    """A queue of the server's that is told of what lands in a bucket."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.sqs = server.client_of("sqs")
        self.url = self.sqs.create_queue(QueueName=bucket)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        told = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        server.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [told]}
        )

    def received(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        while found := self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=0 if messages else 10
        ).get("Messages"):
            messages += found
            for message in found:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return messages


@both_colours
def test_what_a_queue_tells_of_is_ingested_once_however_often_it_tells(
    ministack_server: S3Server, tmp_path: Path, colour: str
) -> None:
    """SeaweedFS has no queues."""
    bucket = ministack_server.new_bucket()
    site = S3Site(tmp_path, ministack_server, bucket=bucket, prefix="in/é +&")
    queue = Queue(ministack_server, bucket)
    site.land("a b+c.txt", "one")
    site.land("é/日本 ?.txt", "two")
    site.land("gone.txt", "three")
    with site.store() as store:
        store.delete("landing/gone.txt")
        store.publish("elsewhere/x.txt", b"four")
    messages = queue.received()
    events = parse_s3_events(messages)
    assert len(events) >= 5

    report = site.ingest(colour, handler, events=events[::-1] + events)
    again = site.ingest(colour, handler, events=events)

    assert (report.ingested, report.left, again.ingested, again.left) == (2, 0, 0, 0)
    assert site.words() == {"one": "landing/a b+c.txt", "two": "landing/é/日本 ?.txt"}
    assert sorted(site.files()) == ["archive/a b+c.txt", "archive/é/日本 ?.txt", "elsewhere/x.txt"]


def test_one_store_serves_one_loop_after_another(ministack_server: S3Server, tmp_path: Path) -> None:
    store = S3Site(tmp_path, ministack_server).async_store()
    for number in range(3):
        asyncio.run(store.publish("a", str(number).encode()))
        assert asyncio.run(store.read_bytes("a")) == str(number).encode()
    asyncio.run(store.aclose())
