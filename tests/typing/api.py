"""What a downstream team types, as the type checkers see it. Checked, never executed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from controlroom import (
    ApiClient,
    APIStatusError,
    AsyncApiClient,
    AsyncDatabase,
    AsyncInbox,
    AsyncLocalStore,
    Backoff,
    BaseSettings,
    ControlRoomError,
    CursorPagination,
    Database,
    Deadline,
    Disposition,
    Endpoint,
    GiveUp,
    Inbox,
    InboxReport,
    LocalStore,
    Receipt,
    RetryAfter,
    RetryPolicy,
    Run,
    WriteCount,
    atomic_writer,
    current_deadline,
    deadline,
    job,
    load_settings,
)


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
