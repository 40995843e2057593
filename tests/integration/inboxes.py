"""One inbox over a real folder and a real SQLite file, in either colour, for the tests of ingestion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Column, MetaData, Table, Text
from sqlalchemy.schema import CreateTable

from controlroom.database import AsyncDatabase, Database
from controlroom.ingestion import AsyncInbox, Inbox, InboxReport
from controlroom.storage import AsyncLocalStore, AsyncObjectStore, LocalStore, ObjectEvent, ObjectStore

COLOURS = ["sync", "async"]

words = Table("words", MetaData(), Column("word", Text, primary_key=True), Column("file", Text))

Handler = Callable[[Any, str], Iterable[str]]


def every_line(work: Any, text: str) -> Iterable[str]:
    return text.split()


class Site:
    """A folder with a landing, and a database beside it."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self.durable = durable
        self.root = folder / "store"
        (self.root / "landing").mkdir(parents=True, exist_ok=True)
        self.url = f"sqlite:///{folder / 'meta.db'}"
        with self.database() as database:
            database.create_control_tables()
            with database.unit_of_work() as uow:
                uow.execute(CreateTable(words, if_not_exists=True))

    def database(self) -> Database:
        return Database(self.url)

    def store(self) -> ObjectStore:
        return LocalStore(self.root, durable=self.durable)

    def async_store(self) -> AsyncObjectStore:
        return AsyncLocalStore(self.root, durable=self.durable)

    def land(self, name: str, content: bytes | str) -> None:
        data = content.encode() if isinstance(content, str) else content
        with self.store() as store:
            store.publish(f"landing/{name}", data)

    def ingest(
        self,
        colour: str,
        handler: Handler = every_line,
        *,
        limit: int | None = None,
        events: Iterable[ObjectEvent] | None = None,
        **rules: Any,
    ) -> InboxReport:
        """Deliver once over, or what *events* tell of, writing the words that *handler* returns for each file's text."""
        if colour == "async":
            return asyncio.run(self._ingest_async(handler, limit, events, rules))
        with self.database() as database, self.store() as store:
            inbox = Inbox(store, database=database, **rules)
            for delivery in inbox.deliveries(limit) if events is None else inbox.accept(events):
                with delivery as work:
                    rows = [{"word": word, "file": work.key} for word in handler(work, work.open_text().read())]
                    work.uow.upsert(words, rows, key=["word"])
            return inbox.report

    async def _ingest_async(
        self, handler: Handler, limit: int | None, events: Iterable[ObjectEvent] | None, rules: dict[str, Any]
    ) -> InboxReport:
        async with AsyncDatabase(self.url) as database, self.async_store() as store:
            inbox = AsyncInbox(store, database=database, **rules)
            async for delivery in inbox.deliveries(limit) if events is None else inbox.accept(events):
                async with delivery as work:
                    text = (await work.open_text()).read()
                    rows = [{"word": word, "file": work.key} for word in handler(work, text)]
                    await work.uow.upsert(words, rows, key=["word"])
            return inbox.report

    def words(self) -> dict[str, str]:
        with self.database() as database:
            return {row.word: row.file for row in database.rows("SELECT word, file FROM words", {})}

    def rows(self, table: str) -> list[dict[str, Any]]:
        with self.database() as database:
            return [dict(row._mapping) for row in database.rows(f"SELECT * FROM {table}", {})]

    def files(self, place: str = "") -> list[str]:
        with self.store() as store:
            return [info.key.removeprefix(place) for info in store.list(place)]

    def read(self, key: str) -> bytes:
        with self.store() as store:
            return store.read_bytes(key)
