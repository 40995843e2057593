"""What a run did, told from its log and its database alone."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = ["summary"]


def summary(folder: Path, log: Path, exit_code: int) -> str:
    """Return the story of the log's last run: files, rows, retries and why, what was set aside and where."""
    events = last_run(log)
    return "\n".join(
        [
            "",
            f"The run ended with exit code {exit_code}."
            + ("" if _changed(events) else " Nothing changed: it was all there."),
            *_files(events, folder),
            *_rows(events, folder / "flights.db"),
            *_retries(events),
            f"log         {_shown(log)}",
            f"its story   {_shown(Path(sys.executable).with_name('controlroom'))} explain {_shown(log)}",
        ]
    )


def _changed(events: list[dict[str, Any]]) -> bool:
    return any(event.get("inserted") or event.get("updated") for event in events) or any(
        event["event"] in {"file_ingested", "file_skipped", "file_quarantined"} for event in events
    )


def last_run(log: Path) -> list[dict[str, Any]]:
    """Return the events of the last run in *log*."""
    events: list[dict[str, Any]] = []
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "run_started":
            events = []
        events.append(event)
    return events


def _files(events: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    outcomes = Counter(event["event"] for event in events)
    ingested, skipped = outcomes["file_ingested"], outcomes["file_skipped"]
    quarantined, released = outcomes["file_quarantined"], outcomes["file_released"]
    if not ingested + skipped + quarantined + released:
        yield "files       none had landed: nothing to do"
        return
    yield f"files       {ingested} ingested, {skipped} skipped, {quarantined} quarantined, {released} left for the next run"
    why = {event["file"]: event["error"] for event in events if event["level"] == "ERROR" and "file" in event}
    for event in events:
        if event["event"] in {"file_quarantined", "file_released"}:
            yield f"            {Path(event['key']).name}: {why.get(event['file'], event['reason'])}"
        elif event["event"] == "file_skipped":
            same_as = f" as {Path(event['same_as']).name}" if event["same_as"] else ""
            yield f"            {Path(event['key']).name}: {event['reason']}{same_as}"
        elif event["event"] == "file_ingested" and event["rejected"]:
            yield f"            {Path(event['key']).name}: {event['rejected']} records rejected"
    for path in sorted((folder / "files" / "quarantine").glob("*.json*")):
        yield f"            see {_shown(path)}"


def _rows(events: list[dict[str, Any]], database: Path) -> Iterator[str]:
    written = [event for event in events if event["event"] in {"airports_written", "flights_written"}]
    inserted, updated = (sum(event[kind] for event in written) for kind in ("inserted", "updated"))
    with closing(sqlite3.connect(database)) as connection:
        flights, airports = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - two names of our own
            for table in ("flights", "airports")
        )
    changes = f"{inserted} inserted, {updated} updated" if inserted + updated else "nothing changed"
    yield f"rows        {flights} flights and {airports} airports in {_shown(database)}; {changes}"


def _shown(path: Path) -> Path:
    """Return *path* as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _retries(events: list[dict[str, Any]]) -> Iterator[str]:
    retries = [event for event in events if event["event"] == "retry_scheduled"]
    yield f"retries     {len(retries)}" + (" (the demo's API misbehaves on purpose)" if retries else "")
    for event in retries:
        yield f"            {event['what']}: waited {event['wait_s']:.1f} s; {event['reason']}"
