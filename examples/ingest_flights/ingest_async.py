"""Airports from an API and flights from a landing folder into one database, whatever goes wrong on the way."""

from __future__ import annotations

from flights import FLIGHT_KEY, airports, flights, good_flights, metadata
from settings import FlightSettings
from sqlalchemy.schema import CreateTable

from controlroom import (
    AsyncApiClient,
    AsyncDatabase,
    AsyncInbox,
    AsyncLocalStore,
    BearerAuth,
    CursorPagination,
    Endpoint,
    Run,
    job,
)

AIRPORTS = Endpoint(
    "/v1/airports", records="data", pagination=CursorPagination("cursor", "meta.next"), total="meta.total"
)


async def load_airports(run: Run[FlightSettings], database: AsyncDatabase) -> None:
    """Fetch all airports; each page and the position after it commit together, so a killed run goes on from there."""
    token = run.settings.api_token.get_secret_value()
    async with AsyncApiClient(str(run.settings.api_url), auth=BearerAuth(token)) as api:
        async with database.unit_of_work(read_only=True) as uow:
            position = await uow.checkpoints.get("airports")
        async for page in api.pages(AIRPORTS, params={"limit": run.settings.page_size}, resume=position):
            async with database.unit_of_work() as uow:
                rows = ({column.name: record[column.name] for column in airports.columns} for record in page.records)
                written = await uow.upsert(airports, rows, key=["iata"])
                await uow.checkpoints.set("airports", page.checkpoint)
            run.log.info("airports_written", page=page.number, inserted=written.inserted, updated=written.updated)
        async with database.unit_of_work() as uow:
            await uow.checkpoints.set("airports", None)


async def load_flights(run: Run[FlightSettings], database: AsyncDatabase) -> None:
    """Ingest what landed: each file's rows, and the note that it is done, commit together."""
    inbox = AsyncInbox(AsyncLocalStore(run.settings.folder, create=False), database=database)
    async for delivery in run.progress(inbox.deliveries(), unit="files"):
        async with delivery as work:
            rows = good_flights(await work.open_text(), work.reject)
            written = await work.uow.upsert(flights, rows, key=FLIGHT_KEY)
            run.log.info("flights_written", file=work.key, inserted=written.inserted, updated=written.updated)
    run.log.info("inbox_emptied", **inbox.report.to_dict())


@job(settings=FlightSettings, prefix="FLIGHTS_")
async def ingest(run: Run[FlightSettings]) -> None:
    """Run both, in an order that lets a flight's airports be known before it."""
    async with AsyncDatabase(run.settings.database_url) as database:
        await database.create_control_tables()
        async with database.unit_of_work() as uow:
            for table in metadata.sorted_tables:
                await uow.execute(CreateTable(table, if_not_exists=True))
        await load_airports(run, database)
        await load_flights(run, database)


if __name__ == "__main__":
    ingest.main()
