"""Airports from an API and flights from a landing folder into one database, whatever goes wrong on the way."""

from __future__ import annotations

from flights import FLIGHT_KEY, airports, flights, good_flights, metadata
from settings import FlightSettings
from sqlalchemy.schema import CreateTable

from controlroom import ApiClient, BearerAuth, CursorPagination, Database, Endpoint, Inbox, LocalStore, Run, job

AIRPORTS = Endpoint(
    "/v1/airports", records="data", pagination=CursorPagination("cursor", "meta.next"), total="meta.total"
)


def load_airports(run: Run[FlightSettings], database: Database) -> None:
    """Fetch all airports; each page and the position after it commit together, so a killed run goes on from there."""
    token = run.settings.api_token.get_secret_value()
    with ApiClient(str(run.settings.api_url), auth=BearerAuth(token)) as api:
        with database.unit_of_work(read_only=True) as uow:
            position = uow.checkpoints.get("airports")
        for page in api.pages(AIRPORTS, params={"limit": run.settings.page_size}, resume=position):
            with database.unit_of_work() as uow:
                rows = ({column.name: record[column.name] for column in airports.columns} for record in page.records)
                written = uow.upsert(airports, rows, key=["iata"])
                uow.checkpoints.set("airports", page.checkpoint)
            run.log.info("airports_written", page=page.number, inserted=written.inserted, updated=written.updated)
        with database.unit_of_work() as uow:
            uow.checkpoints.set("airports", None)


def load_flights(run: Run[FlightSettings], database: Database) -> None:
    """Ingest what landed: each file's rows, and the note that it is done, commit together."""
    inbox = Inbox(LocalStore(run.settings.folder, create=False), database=database)
    for delivery in run.progress(inbox.deliveries(), unit="files"):
        with delivery as work:
            rows = good_flights(work.open_text(), work.reject)
            written = work.uow.upsert(flights, rows, key=FLIGHT_KEY)
            run.log.info("flights_written", file=work.key, inserted=written.inserted, updated=written.updated)
    run.log.info("inbox_emptied", **inbox.report.to_dict())


@job(settings=FlightSettings, prefix="FLIGHTS_")
def ingest(run: Run[FlightSettings]) -> None:
    """Run both, in an order that lets a flight's airports be known before it."""
    with Database(run.settings.database_url) as database:
        database.create_control_tables()
        with database.unit_of_work() as uow:
            for table in metadata.sorted_tables:
                uow.execute(CreateTable(table, if_not_exists=True))
        load_airports(run, database)
        load_flights(run, database)


if __name__ == "__main__":
    ingest.main()
