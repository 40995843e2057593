"""What a downstream team types, as the type checkers see it. Checked, never executed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, assert_type

from controlroom import (
    ApiClient,
    APIStatusError,
    AsyncApiClient,
    AsyncDatabase,
    AsyncInbox,
    AsyncLocalStore,
    AsyncObjectStore,
    AsyncS3Store,
    Backoff,
    BaseSettings,
    ControlRoomError,
    CursorPagination,
    Database,
    DatePartition,
    Deadline,
    Disposition,
    Durability,
    Endpoint,
    GiveUp,
    HttpProxy,
    Inbox,
    InboxReport,
    LocalStore,
    Manifest,
    ManifestEntry,
    ObjectEvent,
    ObjectInfo,
    ObjectStore,
    Partition,
    PublicationInDoubtError,
    Receipt,
    RetryAfter,
    RetryPolicy,
    Run,
    S3Encryption,
    S3Store,
    S3Timeouts,
    StaleUpload,
    WriteCount,
    atomic_writer,
    current_deadline,
    deadline,
    job,
    load_settings,
    open_store,
    open_store_async,
    parse_s3_events,
    publish_manifest,
    publish_manifest_async,
    read_manifest,
    read_manifest_async,
    sweep_manifest,
    sweep_manifest_async,
    transfer,
    transfer_async,
)
from controlroom.storage import AsyncObjectReader, AsyncObjectWriter, ObjectReader, ObjectWriter


class Settings(BaseSettings):
    page_size: int = 100


def policies(error: ControlRoomError) -> None:
    policy = RetryPolicy(attempts=3, backoff=Backoff(jitter="none"))
    assert_type(policy.judge(error, attempt=1), RetryAfter | GiveUp)
    assert_type(policy.call(len, "abc"), int)
    assert_type(error.disposition, Disposition)
    assert_type(APIStatusError("x", status_code=503).status_code, int)

    @policy
    def fetch(name: str) -> bytes:
        return name.encode()

    assert_type(fetch("a"), bytes)
    fetch(1)  # type: ignore[arg-type]  # a decorated function keeps its signature
    with deadline(3) as limit:
        assert_type(limit, Deadline)
    assert_type(current_deadline(), Deadline | None)


def settings() -> None:
    loaded = load_settings(Settings, prefix="APP_")
    assert_type(loaded, Settings)
    assert_type(loaded.page_size, int)


def walks(api: ApiClient) -> None:
    orders = Endpoint("/orders", records="data", pagination=CursorPagination("cursor", "meta.next"))
    for page in api.pages(orders, resume=None):
        assert_type(page.number, int)
    records = api.records(orders)
    assert_type(records, Iterator[Any])


async def walks_async(api: AsyncApiClient) -> None:
    records = api.records(Endpoint("/orders"))
    assert_type(records, AsyncIterator[Any])


def files(store: LocalStore) -> None:
    assert_type(store.publish("a", b""), Receipt)
    with atomic_writer("a.txt") as file:
        file.write("text")
    with atomic_writer("a.bin", mode="wb") as binary:
        binary.write(b"bytes")


def stores(local: LocalStore) -> None:
    assert_type(open_store("s3://lake/raw", endpoint_url="http://localhost:9000", region="x"), ObjectStore)
    level: Durability = "file"
    LocalStore("lake", durable=level)
    assert_type(local.publish("a", Path("a")).durability, Durability | None)
    assert_type(local.is_settled("a", quiet_s=1), bool)
    for info in local.list("raw/"):
        assert_type(info, ObjectInfo)
        assert_type(info.modified_at, datetime)
    either: list[ObjectStore] = [local, S3Store("lake")]
    assert_type(transfer(either[0], "a", either[1], "b", if_absent=True), Receipt)


def objects(data: bytes) -> None:
    options: dict[str, Any] = {"anonymous": True, "uploads_journal": Path("uploads")}
    with S3Store("lake", "raw", timeouts=S3Timeouts(call_s=9), encryption=S3Encryption("AES256"), **options) as store:
        try:
            assert_type(store.publish("a", [data], if_absent=True, tags={"team": "x"}), Receipt)
        except PublicationInDoubtError as error:
            assert_type(store.reconcile("a", error.write_id), Receipt | None)
        with store.writer("b", if_match="x", content_type="text/csv") as file:
            assert_type(file, ObjectWriter)
        with store.open("b") as reader:
            assert_type(reader, ObjectReader)
            assert_type(reader.info.metadata["x"], str)
        assert_type(store.read_bytes("a", max_bytes=9), bytes)
        assert_type(store.stat("a").version, str | None)
        assert_type(store.list("a", start_after="a/b"), Iterator[ObjectInfo])
        assert_type(store.copy("a", "c", if_absent=True), Receipt)
        assert_type(store.move("c", "d"), Receipt)
        store.delete("d", if_match="x")
        store.delete_many(info.key for info in store.list())
        assert_type(store.download("a", Path("a"), overwrite=False), Receipt)
        assert_type(store.abort_stale_uploads("raw/", older_than_s=60, dry_run=True), list[StaleUpload])


async def objects_async(other: AsyncLocalStore) -> None:
    assert_type(open_store_async("s3://lake"), AsyncObjectStore)
    assert_type(await other.is_settled("a"), bool)
    async with AsyncS3Store("lake", role_arn="arn:aws:iam::123456789012:role/x") as store:
        try:
            assert_type(await store.publish("a", b"", if_absent=True, tags={"team": "x"}), Receipt)
        except PublicationInDoubtError as error:
            assert_type(await store.reconcile("a", error.write_id), Receipt | None)
        async with store.writer("b") as file:
            assert_type(file, AsyncObjectWriter)
        async with store.open("b") as reader:
            assert_type(reader, AsyncObjectReader)
            assert_type(await reader.read(9), bytes)
        assert_type(await store.read_bytes("a", max_bytes=9), bytes)
        assert_type(await store.stat("a"), ObjectInfo)
        assert_type(store.list("a", start_after="a/b"), AsyncIterator[ObjectInfo])
        assert_type(await store.copy("a", "c", if_absent=True), Receipt)
        assert_type(await store.move("c", "d"), Receipt)
        await store.delete("d", if_match="x")
        await store.delete_many(["a", "b"])
        assert_type(await store.download("a", "a"), Receipt)
        assert_type(await store.abort_stale_uploads(dry_run=True), list[StaleUpload])
        either: list[AsyncObjectStore] = [other, store]
        assert_type(await transfer_async(either[0], "a", either[1]), Receipt)


def batches(store: ObjectStore) -> None:
    first = publish_manifest(store, "day", {"a.csv": Path("a.csv"), "b.csv": Path("b.csv")}, if_absent=True)
    assert_type(first, Manifest)
    publish_manifest(store, "day", [("a.csv", b"2"), ("b.csv", Path("b.csv"))], if_match=first.etag)
    assert_type(read_manifest(store, "day")["a.csv"], ManifestEntry)
    assert_type(first["a.csv"].verified(b"1"), bytes)
    assert_type(sweep_manifest(store, "day", older_than_s=60, dry_run=True), tuple[str, ...])


async def batches_async(store: AsyncObjectStore) -> None:
    assert_type(await publish_manifest_async(store, "day", {"a.csv": b"1"}), Manifest)
    assert_type((await read_manifest_async(store, "day")).entries, tuple[ManifestEntry, ...])
    assert_type(await sweep_manifest_async(store, "day"), tuple[str, ...])


def notifications(inbox: Inbox, message: dict[str, Any]) -> None:
    errors: list[ControlRoomError] = []
    events = parse_s3_events(message, on_invalid=errors.append)
    assert_type(events, list[ObjectEvent])
    assert_type(events[0].later_than(events[1]), bool)
    assert_type(events[0].order, str | None)
    assert_type(events[0].dedupe_key, str)
    for delivery in inbox.accept(events):
        assert_type(delivery.key, str)


async def notifications_async(inbox: AsyncInbox, events: list[ObjectEvent]) -> None:
    async for delivery in inbox.accept(events):
        assert_type(delivery.key, str)


def partitions() -> None:
    hourly = DatePartition("raw/clicks", template="dt={date}/hour={hour}")
    assert_type(hourly.key(date(2013, 1, 7), "a.json"), str)
    assert_type(hourly.prefixes(date(2013, 1, 7), date(2013, 1, 8)), list[str])
    assert_type(hourly.parse("raw/clicks/dt=2013-01-07/hour=00/a.json"), Partition)


def lost_replies(store_url: str) -> None:
    with HttpProxy(store_url) as proxy:
        assert_type(proxy, HttpProxy)
        proxy.cut("post", when=lambda exchange: exchange.method == "PUT", times=2)
        proxy.answer(503, b"", {"Retry-After": "1"}, at=2)
        assert_type(proxy.url, str)
        assert_type(proxy.seen[0].status, int | None)


def units(database: Database) -> None:
    with database.unit_of_work() as uow:
        assert_type(uow.upsert("t", [{"id": 1}], key=["id"]), WriteCount)
        assert_type(uow.once("key"), bool)
    assert_type(database.transact(lambda uow: uow.once("key")), bool | None)


async def ingestion_async(store: AsyncLocalStore, database: AsyncDatabase) -> None:
    inbox = AsyncInbox(store, database=database)
    async for delivery in inbox.deliveries():
        async with delivery as work:
            assert_type((await work.open_text()).read(), str)
    assert_type(inbox.report, InboxReport)


@job(settings=Settings, prefix="APP_")
def ingest(run: Run[Settings]) -> int:
    inbox = Inbox(LocalStore("lake"), database=Database("sqlite:///meta.db"))
    for delivery in run.progress(inbox.deliveries(), unit="files"):
        assert_type(delivery.key, str)
    return run.settings.page_size


@job
def bare(run: Run[None]) -> None:
    assert_type(run.settings, None)
