"""What a person reads who was not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlroom.errors import ChecksumMismatchError, ConfigError, DataError, PublicationInDoubtError
from controlroom.explain import render_text, story
from controlroom.logs import bound, get_logger, setup_logging
from controlroom.testing import ManualClock
from tests.unit.explain.logged import failure, line

URL = "https://api.example.com/prices?page=2"
TIMEOUT = f"APITimeoutError: GET {URL}: no answer within 5.0 s. Repeating it is harmless."
IN_WALK = {"walk": "w1", "file": "landing/b.csv"}


def retry(second: float, attempt: int, wait_s: float) -> str:
    reason = f"APITimeoutError: backing off {wait_s} s; attempt {attempt} of 3 failed"
    return line(
        "retry_scheduled", second, level="WARNING", what=f"GET {URL}", attempt=attempt, attempts=3, wait_s=wait_s,
        reason=reason, error=TIMEOUT, code="api-timeout", page=2, **IN_WALK,
    )  # fmt: skip


def failed_night() -> list[str]:
    frames = [
        {"file": "/srv/jobs/ingest.py", "line": 17, "function": "prices"},
        {"file": "/opt/lib/python3.12/site-packages/httpx/_client.py", "line": 9, "function": "send"},
    ]
    exception = {
        "type": "APITimeoutError", "frames": frames, "notes": ["while loading the prices"],
        "attempts": [{"number": number} for number in (1, 2, 3)],
        "causes": [{"type": "httpx.ReadTimeout", "message": "timed out", "frames": frames}],
    }  # fmt: skip
    bad = {"key": "landing/a.csv", "file": "landing/a.csv"}
    good = {"key": "landing/c.csv", "file": "landing/c.csv"}
    given_back = {"key": "landing/b.csv", "file": "landing/b.csv"}
    return [
        line("run_started", job="ingest", host="command_line"),
        line("file_claimed", 1, attempt=1, **bad),
        line("unit_rolled_back", 1.5, unit="u1", reason="DataError", elapsed_s=0.4, file="landing/a.csv"),
        line("file_failed", 1.6, **bad, **failure(error="DataError: no header")),
        line("file_quarantined", 1.7, level="WARNING", to="quarantine/a.csv", reason="DataError", elapsed_s=0.7, **bad),
        line("file_claimed", 2, attempt=1, **good),
        line("record_rejected", 2.1, level="WARNING", line=3, reason="no id", **good),
        line("unit_committed", 2.9, level="DEBUG", unit="u2", elapsed_s=0.8, file="landing/c.csv"),
        line("file_ingested", 3, attempt=1, rejected=1, elapsed_s=1.0, **good),
        line("rows_written", 3, rows=842, file="landing/c.csv"),
        line("file_claimed", 4, attempt=2, **given_back),
        line("walk_started", 4, endpoint="/prices", **IN_WALK),
        line("page_fetched", 5, page=1, endpoint="/prices", records=100, elapsed_s=0.9, **IN_WALK),
        retry(10, 1, 1.0),
        retry(16, 2, 2.0),
        line(
            "gave_up", 23, what=f"GET {URL}", attempt=3, attempts=3, rule="attempts", page=2, exception=exception,
            reason="APITimeoutError: attempt 3 of 3 failed", **failure("api-timeout", "retry", TIMEOUT), **IN_WALK,
        ),
        line("walk_broken_off", 23, endpoint="/prices", pages=1, records=100, reason="APITimeoutError", **IN_WALK),
        line("file_released", 24, level="WARNING", attempt=2, reason="APITimeoutError", elapsed_s=20.0, **given_back),
        line("run_finished", 25, outcome="failed", exit_code=75, elapsed_s=25.0, code="api-timeout",
             reason=f"{TIMEOUT.partition(': ')[2]} [api-timeout]"),
        "Traceback (most recent call last):",
        '{"event": "cut',
    ]  # fmt: skip


def test_the_story_of_a_failed_night() -> None:
    assert render_text(story(failed_night())) == (Path(__file__).parent / "failed_night.txt").read_text("utf-8")


def test_the_story_of_a_failed_night_where_only_ascii_is_shown() -> None:
    shown = render_text(story(failed_night()), ascii_only=True)

    assert shown.isascii()
    assert "|- landing/a.csv: quarantined" in shown
    assert "`- !! gave_up" in shown


def test_on_a_terminal_the_failing_path_is_red_and_nothing_else_differs() -> None:
    plain = render_text(story(failed_night())).splitlines()
    coloured = render_text(story(failed_night()), coloured=True).splitlines()
    red = [
        line.removeprefix("\x1b[1;31m").removesuffix("\x1b[0m") for line in coloured if line.startswith("\x1b[1;31m")
    ]

    assert [line for line in plain if "✗" in line] == [line for line in red if "✗" in line]
    for number in ("1;31", "33", "1", "2", "0"):
        coloured = [line.replace(f"\x1b[{number}m", "") for line in coloured]
    assert coloured == plain


def test_a_run_that_went_well_marks_no_path_as_failing() -> None:
    shown = render_text(
        story([line("file_failed", key="a.csv", **failure()), line("run_finished", 3, outcome="succeeded")])
    )

    assert "✗ a.csv" in shown
    assert "✗ run r1" not in shown


def test_a_run_without_an_end_is_said_to_have_none() -> None:
    shown = render_text(story([line("run_started", job="ingest"), line("run_progressed", 30, done=5, total=9)]))

    assert "No end was logged" in shown
    assert "its last line came 30.0 s later" in " ".join(shown.split())
    assert "5 of 9 done" in " ".join(shown.split())


def test_a_run_of_which_only_warnings_were_logged_is_not_taken_for_one_that_was_killed() -> None:
    shown = " ".join(render_text(story([line("setting_ignored", level="WARNING", reason="a typo")])).split())

    assert "Neither its beginning nor its end was logged: the level was above INFO" in shown
    assert "killed, or the log ends early" not in shown


def test_a_page_of_which_one_line_tells_is_not_said_to_have_taken_no_time() -> None:
    shown = render_text(story([line("gave_up", 9, walk="w1", page=3, **failure("api-timeout", "retry"))]))

    assert "page 3: failed" in shown
    assert "page 3: failed, 0.0 s" not in shown


def test_code_that_python_wrote_itself_is_not_taken_for_the_readers_own() -> None:
    frames = [
        {"file": "/srv/ingest.py", "line": 7, "function": "ingest", "source": "Shop(url)"},
        {"file": "<string>", "line": 13, "function": "__init__", "source": ""},
    ]
    told = failure(exception={"type": "ConfigError", "message": "no URL", "frames": frames})
    shown = render_text(story([line("run_failed", 1, **told)]))

    assert "at /srv/ingest.py:7 in ingest" in shown
    assert "<string>" not in shown


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

    for who, told in (
        ("you: something has to be changed before the next run", "[config] ConfigError: no url"),
        ("the owner of the data: it was set aside, with the reason beside it", "[data] DataError: bad"),
        ("you: find out whether the effect happened, before anything is repeated", "[publication-in-doubt]"),
        ("a developer: nobody foresaw this error", "[unforeseen] KeyError: 'id'"),
    ):
        assert who in shown
        assert shown.index(who) < shown.index(told)


def test_nothing_in_a_log_reaches_the_terminal_as_a_command() -> None:
    hostile = "\x1b]0;x\x07\u202e\r\n\x9b31m"
    lines = [
        line("run_started", job=hostile, run_id=hostile, host=hostile),
        line("file_claimed", key=hostile, run_id=hostile),
        line(hostile, level="ERROR", run_id=hostile, code=hostile, disposition=hostile, error=hostile,
             exception={"type": hostile, "message": hostile, "notes": [hostile], "frames": [{"file": hostile}],
                        "causes": [{"type": hostile, "message": hostile}]}),
        line("run_finished", run_id=hostile, outcome=hostile, reason=hostile),
    ]  # fmt: skip
    shown = render_text(story(lines), coloured=True)

    for code in ("1;31", "33", "1", "2", "0"):
        shown = shown.replace(f"\x1b[{code}m", "")
    assert not {"\x1b", "\x07", "\u202e", "\r", "\x9b"} & set(shown)


def test_an_empty_log_has_a_story_too() -> None:
    assert render_text(story([])) == "Read 0 events.\n"


def test_long_lists_are_cut_the_troubled_ones_are_shown_and_the_rest_is_said_to_be_there() -> None:
    lines = [line("file_ingested", number / 10, key=f"{number}.csv", elapsed_s=0.1) for number in range(50)]
    lines.append(line("file_quarantined", 6, level="WARNING", key="bad.csv", reason="DataError"))
    lines += [line("file_ingested", 7 + number / 10, key=f"{50 + number}.csv", elapsed_s=0.1) for number in range(50)]
    shown = render_text(story(lines))

    assert "bad.csv: quarantined" in shown
    assert "└─ … 93 more files\n" in shown  # and the last one, since the run has no end
    assert len(shown.splitlines()) < 40


def test_of_a_walk_that_was_killed_the_last_page_that_came_is_shown() -> None:
    lines = [
        line("page_fetched", number, walk="w1", page=number, endpoint="/orders", records=1) for number in range(50)
    ]
    shown = render_text(story([line("walk_started", walk="w1", endpoint="/orders"), *lines]))

    assert "✗ /orders: 49.0 s, not finished" in shown
    assert "├─ page 49: 1 record" in shown
    assert "└─ … 49 more pages" in shown


def test_attempts_that_failed_alike_are_told_once() -> None:
    shown = " ".join(render_text(story(failed_night())).replace("│", "").split())

    assert "waited 2.0 s (backing off): the same error" in shown
    assert "gave_up: [api-timeout] the same error, given up: attempt 3 of 3 failed" in shown


def test_of_many_runs_those_that_went_well_take_a_line_each() -> None:
    lines = []
    for number in range(30):
        run = {"run_id": f"r{number}"}
        if number in {3, 28}:
            lines.append(line("run_failed", number, **failure(), **run))
        lines += [
            line("run_started", number, job="hourly", **run),
            line("run_finished", number, outcome="failed" if number in {3, 28} else "succeeded", elapsed_s=1.0, **run),
        ]
    shown = render_text(story(lines))

    assert shown.startswith("28 runs in a line each (--run ID tells one in full)\n  … and 16 runs before\n")
    assert "\n  2026-11-21 23:17 hourly succeeded 1.0 s r29\n" in shown
    assert [found for found in shown.splitlines() if found.startswith("Run ")] == [
        "Run r3, job hourly",
        "Run r28, job hourly",
    ]


@pytest.mark.parametrize(
    ("elapsed_s", "shown"), [(59.94, "59.9 s"), (61, "1 min 01 s"), (3_725.2, "1 h 02 min 05 s"), (0, "0.0 s")]
)
def test_durations_are_told_as_a_person_would(elapsed_s: float, shown: str) -> None:
    assert f"after {shown}." in render_text(story([line("run_finished", outcome="succeeded", elapsed_s=elapsed_s)]))


def test_parts_of_the_time_that_overlap_are_said_to() -> None:
    lines = [
        line("file_ingested", number, key=f"{number}.csv", elapsed_s=9.0, records=1, rejected=0) for number in range(2)
    ]
    shown = render_text(story([*lines, line("run_finished", 9, outcome="succeeded", elapsed_s=10.0)]))

    assert "\n  Where the time went (parts overlap)\n    working on files: 18.0 s, 180% of the run\n" in shown


def test_that_the_log_itself_is_not_whole_is_said() -> None:
    shown = render_text(
        story([line("log_lines_lost", level="WARNING", count=12), line("events_suppressed", count=3, reason="sampled")])
    )

    assert "12 lines lost when the log was written: not all is told" in shown
    assert "3 events left out of the log" in shown


def orders(number: int, *, rejected: int = 0, records: int = 5) -> list[str]:
    of_page = {"walk": "w1", "page": number, "endpoint": "/orders"}
    lines = [line("page_fetched", number, records=records - rejected, elapsed_s=0.1, **of_page)]
    if rejected:
        lines.append(
            line("records_rejected", number, level="WARNING", rejected=rejected, position=3, reason="no id", **of_page)
        )
    return lines


def shown_of(*lines: str) -> str:
    return " ".join(render_text(story(lines)).replace("│", "").split())


def test_records_that_a_walk_set_aside_are_not_passed_over_as_if_all_were_well() -> None:
    pages = [text for number in range(1, 13) for text in orders(number, rejected=int(number in {2, 10}))]
    lines = [
        line("run_started", job="ingest"),
        line("walk_started", walk="w1", endpoint="/orders", resumed_behind=0),
        *pages,
        line("walk_finished", 13, walk="w1", endpoint="/orders", pages=12, records=60, expected=60, verified=True),
        line("run_finished", 14, outcome="succeeded", exit_code=0, elapsed_s=14.0),
    ]
    shown = shown_of(*lines)

    assert "page 10: 4 records, 0.1 s" in shown
    assert "1 record rejected: the first at position 3: no id" in shown
    assert "12 pages, 60 records 2 records of them set aside" in shown
    assert (
        "Who must act the owner of the data: it was set aside, with the reason beside it 2 records of /orders did not "
        "fit the model (pages 2, 10)"
    ) in shown
    (run,) = story(lines).to_dict()["runs"]
    assert {node["outcome"] for node in run["nodes"] if node["kind"] == "rejects"} == {"quarantined"}


def test_one_walk_has_one_number_of_records_in_the_tree_and_in_the_effects() -> None:
    shown = shown_of(
        *(text for number in range(1, 5) for text in orders(number, rejected=int(number == 2))),
        line("walk_broken_off", 5, walk="w1", endpoint="/orders", pages=4, records=20, reason="APITimeoutError"),
    )

    assert "/orders: 4 pages, 20 records" in shown
    assert "Effects 4 pages, 20 records" in shown


@pytest.mark.parametrize("many", [1, 40])
def test_no_warning_is_folded_away_because_what_it_happened_in_went_well(many: int) -> None:
    shown = shown_of(
        line("file_claimed", key="a.csv"),
        *(line("disk_nearly_full", 1, level="WARNING", file="a.csv", free="3 GB") for _ in range(many)),
        line("pagination_path_missing", 1, level="WARNING", walk="w1", endpoint="/orders", path="meta.next"),
        line("walk_finished", 1, walk="w1", endpoint="/orders", pages=1, records=100, stop_reason="no next page"),
        line("file_ingested", 2, key="a.csv", elapsed_s=1.0),
        line("run_finished", 3, outcome="succeeded"),
    )

    assert "disk_nearly_full: free=3 GB" in shown
    assert f"warnings: disk_nearly_full x{many}" in shown
    assert "nothing at meta.next, where the next page was looked for" in shown


def test_a_walk_says_where_it_was_resumed_and_where_it_can_go_on() -> None:
    begun = line("walk_started", walk="w1", endpoint="/orders", resumed_behind=4)
    broken = line("walk_broken_off", 7, walk="w1", endpoint="/orders", pages=6, records=30, reason="APITimeoutError")

    assert "/orders: 6 pages, 30 records, 7.0 s, broken off: APITimeoutError, resumed behind page 4" in shown_of(
        begun, *orders(5), *orders(6), broken
    )
    assert "1 walk not finished: /orders (can go on behind page 6)" in shown_of(begun, *orders(5), *orders(6), broken)
    assert "1 walk not finished: /orders (can go on behind page 5)" in shown_of(begun, *orders(5))
    assert "1 walk not finished: /orders (can go on behind page 4)" in shown_of(begun)


def test_a_failure_deep_in_a_library_is_told_with_the_line_of_the_job_that_led_there() -> None:
    frames = [{"file": "/opt/site-packages/controlroom/http/exchange.py", "line": 9, "function": "sent"}]
    exception = {"type": "APITimeoutError", "frames": frames}
    told = line("gave_up", called_from="job.py:17 in prices", exception=exception, **failure("api-timeout", "retry"))

    assert "at job.py:17 in prices" in shown_of(told)
    assert "exchange.py" not in shown_of(told)
    assert "exchange.py:9 in sent" in shown_of(told.replace('"job.py:17 in prices"', "null"))


def test_of_many_failed_runs_the_older_ones_say_why_in_their_line() -> None:
    lines = [
        line("run_finished", number, run_id=f"r{number}", outcome="failed", elapsed_s=1.0, reason=f"no file {number}")
        for number in range(8)
    ]
    shown = render_text(story(lines))

    assert " failed 1.0 s r0 (no file 0)\n" in shown
    assert " failed 1.0 s r2 (no file 2)\n" in shown
    assert "Run r3" in shown
