"""What a person reads who was not there."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from controlroom.errors import ChecksumMismatchError, ConfigError, DataError, PublicationInDoubtError
from controlroom.explain import render_text, story
from controlroom.logs import bound, get_logger, setup_logging
from controlroom.testing import ManualClock


def line(event: str, second: int = 0, **facts: Any) -> str:
    head = {"timestamp": f"2026-11-21T23:17:{second:02}.000000Z", "level": "INFO", "event": event, "logger": "app"}
    return json.dumps(head | {"run_id": "r1"} | facts)


def test_the_story_of_a_run() -> None:
    lines = [
        line("run_started", job="ingest", host="process"),
        line("page_fetched", 1, endpoint="orders", page=1, records=100, elapsed_s=0.5),
        line(
            "retry_scheduled",
            2,
            what="GET /orders",
            attempt=1,
            wait_s=2.0,
            code="api-timeout",
            reason="backing off 2.0 s",
        ),
        line("page_fetched", 4, endpoint="orders", page=2, records=50, elapsed_s=2.5),
        line(
            "walk_finished",
            5,
            endpoint="orders",
            pages=2,
            records=150,
            expected=150,
            verified=True,
            stop_reason="last page",
        ),
        line("file_claimed", 6, key="a.csv", attempt=1),
        line(
            "file_quarantined",
            7,
            key="a.csv",
            reason="DataError",
            level="ERROR",
            code="data",
            disposition="quarantine",
            error="DataError: no header",
        ),
        line("file_claimed", 8, key="b.csv", attempt=2),
        line("unit_committed", 9),
        line("file_ingested", 9, key="b.csv", records=842, rejected=3, elapsed_s=1.25),
        line("unit_rolled_back", 9, reason="DataError"),
        line("file_published", 9, ref="x", size_bytes=1024),
        line("request_finished", 9, status_code=200, elapsed_s=0.5),
        line("shutdown_requested", 10, signal="SIGTERM"),
        line("run_finished", 10, outcome="stopped", exit_code=143, elapsed_s=10.0),
        "Traceback (most recent call last):",
        '{"event": "cut',
    ]

    assert render_text(story(lines)) == textwrap.dedent("""\
        Run r1, job ingest, host process
          Began 2026-11-21 23:17:00 UTC. Outcome: stopped, exit code 143, after 10.0 s.

          Files
            1 quarantined, 1 ingested
            a.csv: quarantined, DataError
            b.csv: ingested, attempt 2, 842 records, 3 rejected, 1.2 s

          Pages
            orders: 2 pages, 150 records, 150 expected, verified, 3.0 s, ended: last
              page

          Retries
            GET /orders: 1 repeated after waiting 2.0 s; api-timeout x1; last time
              because backing off 2.0 s

          Failures, and who must act
            23:17:07 file_quarantined a.csv [data] DataError: no header → the owner of
              the data: it was set aside, with the reason beside it

          Where the time went (parts may overlap)
            fetching pages: 3.0 s, 30% of the run
            waiting before retries: 2.0 s, 20% of the run
            working on files: 1.2 s, 12% of the run
            HTTP requests: 0.5 s, 5% of the run

          Effects
            1 unit committed
            1 unit rolled back: DataError x1
            1 object published, 1,024 bytes
            1 request: 200 x1
            asked to stop: SIGTERM x1

        Read 15 events; 1 line of others; 1 cut line.
        """)


def test_a_run_without_an_end_is_said_to_have_none() -> None:
    shown = render_text(story([line("run_started", job="ingest"), line("run_progressed", 30, done=5, total=9)]))

    assert "No end was logged" in shown
    assert "its last line came 30.0 s later" in " ".join(shown.split())
    assert "5 of 9 done" in " ".join(shown.split())


def test_who_must_act_follows_from_the_disposition_and_from_what_nobody_foresaw(tmp_path: Path) -> None:
    """The events come from the real logs: both sides of the seam in one test."""
    log = get_logger("app")
    with ManualClock():
        report = setup_logging(file=tmp_path / "run.jsonl")
        with bound(run_id="r1"):
            for error in (
                ConfigError("no url"),
                DataError("bad"),
                PublicationInDoubtError("no answer"),
                KeyError("id"),
            ):
                log.failure("run_failed", error)
            log.failure("run_failed", ChecksumMismatchError("torn"))
        report.undo()
    with (tmp_path / "run.jsonl").open(encoding="utf-8") as lines:
        shown = " ".join(render_text(story(lines)).split())

    assert "[config] ConfigError: no url → you: something has to be changed" in shown
    assert "[data] DataError: bad → the owner of the data" in shown
    assert "[publication-in-doubt] PublicationInDoubtError: no answer → you: find out" in shown
    assert "[unforeseen] KeyError: 'id' → a developer" in shown


def test_nothing_in_a_log_reaches_the_terminal_as_a_command() -> None:
    hostile = "\x1b]0;x\x07\u202e\r\n"
    shown = render_text(story([line("run_started", job=hostile, run_id=hostile), line("file_claimed", key=hostile)]))

    assert not set("\x1b\x07\u202e\r") & set(shown)


def test_an_empty_log_has_a_story_too() -> None:
    assert render_text(story([])) == "Read 0 events.\n"


def test_long_lists_are_cut_and_say_so() -> None:
    shown = render_text(story(line("file_claimed", key=f"{number}.csv") for number in range(100)))

    assert "… and 61 more" in shown


def test_hours_are_told_as_hours() -> None:
    shown = render_text(story([line("run_finished", outcome="succeeded", elapsed_s=3_725.2)]))

    assert "after 1 h 02 min 05 s" in shown
