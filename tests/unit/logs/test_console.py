"""What a person reads, and what no stranger's text can do to a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from controlroom.logs.console import Console, message_of, traceback_text
from controlroom.logs.readable import LONGEST_SHOWN

HEAD = {"timestamp": "2026-11-21T23:17:59.165233Z", "level": "INFO", "event": "page_fetched", "logger": "app"}
ONE, TWO = "01a20101-6086-783c-bdba-9cfda204a744", "01a20101-7777-783c-bdba-000000bbbbbb"


def text(facts: dict[str, Any], **options: Any) -> str:
    return Console(**options).text({**HEAD, **facts})


def event(name: str, **facts: Any) -> dict[str, Any]:
    return {**HEAD, "event": name, **facts}


def test_a_line_shows_time_level_event_facts_and_logger() -> None:
    facts = {"page": 7, "note": "two words", "none": None, "ok": True, "seq": 1, "pid": 2}

    assert text(facts) == '23:17:59.165 INFO     page_fetched page=7 note="two words" none=null ok=true [app]'


def test_colours_set_what_matters_apart_and_are_only_there_if_asked_for() -> None:
    shown = text({"level": "WARNING", "page": 7}, colours=True)

    assert shown == (
        "\x1b[2m23:17:59.165\x1b[0m \x1b[33mWARNING \x1b[0m \x1b[1mpage_fetched\x1b[0m \x1b[2mpage=\x1b[0m7"
        " \x1b[2m[app]\x1b[0m"
    )
    assert "\x1b" not in text({"level": "WARNING", "page": 7})


def test_values_that_could_be_mistaken_are_quoted() -> None:
    told = {"event": "tried", "a": "", "b": 'x"y', "c": "k=v", "d": "ü", "e": {"f": [1]}}

    assert message_of(told) == 'tried a="" b="x\\"y" c="k=v" d=ü e={"f": [1]}'
    assert text(told) == '23:17:59.165 INFO     tried a="" b="x\\"y" c="k=v" d=ü e={"f": [1]} [app]'


def test_no_control_character_reaches_the_terminal() -> None:
    hostile = "\x1b]0;title\x07\r\n\x9b31m\u2028\u202egnp.exe"
    told: dict[str, Any] = {
        **HEAD,
        "event": hostile,
        "logger": hostile,
        hostile: hostile,
        "deep": {hostile: [hostile]},
    }
    told["exception"] = {
        "type": hostile,
        "message": hostile,
        "notes": [hostile],
        "frames": [{"file": hostile, "function": hostile}],
        "problems": [hostile],
        "causes": [{"type": hostile, "message": hostile, "frames": [{"file": f"/site-packages/{hostile}/x.py"}]}],
    }
    events = [
        told,
        event("retry_scheduled", attempt=hostile, attempts=hostile, wait_s=hostile, reason=hostile, error=hostile),
        event("settings_loaded", settings=[{"name": hostile, "value": hostile, "source": hostile, "key": hostile}]),
        event("run_started", run_id=hostile, host_facts={hostile: hostile}),
        event("tried", run_id=hostile),
    ]
    console = Console()
    for one in events:
        for shown in (console.text(one), message_of(one), traceback_text(one)):
            assert not {"\x1b", "\x07", "\r", "\x9b", "\u2028", "\u202e"} & set(shown)
            _head, *below = shown.split("\n")
            assert all(line.startswith("  ") for line in below), "no line of a stranger's may pass for an event's head"


def test_a_long_value_is_cut_and_says_how_much_is_missing() -> None:
    shown = text({"body": "x" * 10_000, "rows": list(range(1_000)), "after": 1})

    assert f'body="{"x" * LONGEST_SHOWN}…(+9760 characters)" rows=[0, 1, 2' in shown
    assert "…(+4650 characters) after=1" in shown
    assert shown.endswith(" after=1 [app]")
    assert len(shown) < 3 * LONGEST_SHOWN
    assert "x" * 10_000 in message_of({**HEAD, "body": "x" * 10_000}), "other handlers get all of it"


def test_of_a_value_of_many_lines_the_first_is_shown() -> None:
    assert 'reason="two problems …(+2 lines)" [app]' in text({"reason": "two problems\n- a\n- b\n"})
    assert 'reason="two problems …(+1 line)" [app]' in text({"reason": "two problems\n- a"})


def test_a_runs_id_is_shown_once_in_full_and_not_again() -> None:
    console = Console()
    shown = [
        console.text(event("run_started", run_id=ONE, job="ingest")),
        console.text(event("tried", run_id=ONE, page=1)),
        console.text(event("run_finished", run_id=ONE, outcome="succeeded")),
    ]

    assert f"run_started run_id={ONE} job=ingest" in shown[0]
    assert shown[1].endswith("tried page=1 [app]")
    assert shown[2].endswith("run_finished outcome=succeeded [app]")


def test_where_runs_mix_each_line_says_which_by_its_end() -> None:
    console = Console()
    for run in (ONE, TWO):
        console.text(event("run_started", run_id=run))
    mixed = [console.text(event("tried", run_id=run)) for run in (ONE, TWO)]
    console.text(event("run_finished", run_id=TWO))
    alone = console.text(event("tried", run_id=ONE))
    again = console.text(event("tried", run_id=TWO))

    assert "run_id=…04a744" in mixed[0]
    assert "run_id=…bbbbbb" in mixed[1]
    assert "run_id" not in alone
    assert f"run_id={TWO}" in again, "a run that had ended is named in full"


def test_runs_that_never_end_are_not_remembered_for_ever() -> None:
    console = Console()
    for number in range(1_000):
        console.text(event("tried", run_id=f"run-{number}"))

    assert len(console._runs) == 64
    assert "run_id=run-0 " in console.text(event("tried", run_id="run-0"))
    assert "run_id=7" in console.text(event("tried", run_id=7)), "somebody's own idea of a run's id"


def test_a_file_that_is_bound_is_not_shown_a_second_time_as_key() -> None:
    assert text({"file": "a.csv", "key": "a.csv"}).endswith("page_fetched file=a.csv [app]")
    assert text({"file": "a.csv", "key": "b.csv"}).endswith("page_fetched file=a.csv key=b.csv [app]")
    assert text({"key": "a.csv"}).endswith("page_fetched key=a.csv [app]")
    assert text({"key": None}).endswith("page_fetched key=null [app]")


RETRY = {
    "what": "GET https://api/orders?page=7",
    "attempt": 1,
    "attempts": 5,
    "wait_s": 0.318,
    "reason": "APIStatusError: backing off 0.3 s; attempt 1 of 5 failed",
    "error": "APIStatusError: GET https://api/orders?page=7 was answered with 503. Repeating it is harmless.",
    "code": "api-status",
}


def test_a_retry_is_one_line_that_reads_as_a_sentence() -> None:
    assert Console().text(event("retry_scheduled", level="WARNING", page=7, **RETRY)) == (
        "23:17:59.165 INFO     retry_scheduled in 0.318 s, attempt 1 of 5 failed (backing off 0.3 s): APIStatusError: GET"
        " https://api/orders?page=7 was answered with 503. Repeating it is harmless. page=7 [app]"
    ).replace("INFO    ", "WARNING ")


def test_a_retry_says_of_what_where_its_error_does_not() -> None:
    shown = Console().text(event("retry_scheduled", **{**RETRY, "error": "OSError: gone\nfor good", "attempts": None}))

    assert (
        "attempt 1 failed (APIStatusError: backing off 0.3 s): GET https://api/orders?page=7: OSError: gone …(+1 line)"
        in shown
    )


def test_an_event_of_somebody_elses_by_a_known_name_is_shown_like_any_other() -> None:
    assert text({"event": "retry_scheduled", "job": 1}).endswith("retry_scheduled job=1 [app]")
    assert text({"event": "settings_loaded", "settings": 3}).endswith("settings_loaded settings=3 [app]")
    assert text({"event": "settings_loaded", "settings": ["a"]}).endswith('settings_loaded settings=["a"] [app]')
    assert text({"event": "run_started", "host_facts": "x"}).endswith("run_started host_facts=x [app]")


def test_settings_are_an_aligned_table_below_their_line() -> None:
    settings = [
        {"name": "api_url", "value": "https://api/", "source": "environment", "key": "APP_API_URL", "shadowed": []},
        {"name": "token", "value": "***", "source": "file", "key": "token", "shadowed": ["a", "b"]},
        {"name": "page_size", "value": "100", "source": "default", "key": "", "shadowed": []},
        {"name": "body", "value": "x" * 100, "source": "default", "key": None},
    ]
    _head, *below = Console().text(event("settings_loaded", settings=settings, profile="test")).split("\n")

    assert _head.endswith("settings_loaded profile=test [app]")
    wide = len("x" * 60 + "…(+40 characters)")
    assert below == [
        f"    api_url    {'https://api/':<{wide}}  APP_API_URL (environment)",
        f"    token      {'***':<{wide}}  token (file, 2 shadowed)",
        f"    page_size  {'100':<{wide}}  default",
        f"    body       {'x' * 60}…(+40 characters)  default",
    ]


def test_facts_about_the_host_stand_below_the_first_line_of_a_run() -> None:
    shown = Console().text(event("run_started", job="ingest", host_facts={"kind": "cron", "system": "Linux 6"}))

    assert shown.split("\n")[0].endswith("run_started job=ingest [app]")
    assert shown.split("\n")[1:] == ['    kind=cron system="Linux 6"']


def test_a_failure_is_told_once_below_its_line() -> None:
    exception = {"type": "DataError", "message": "no such column", "code": "data"}
    told = event("file_failed", level="ERROR", error="DataError: no such column", code="data", exception=exception)

    assert Console().text(told).split("\n")[0].endswith("ERROR    file_failed code=data [app]")
    assert Console().text(told).split("\n")[1:] == ["  DataError: no such column"]
    assert "error=" in Console().text({**told, "exception": "text"}), "nothing stands below"


def test_a_failure_for_other_handlers_shows_every_frame() -> None:
    exception = {
        "type": "ExceptionGroup",
        "message": "two failed",
        "frames": [{"file": "a.py", "line": 3, "function": "main"}, {"omitted": 7}],
        "notes": ["a note"],
        "members": [{"type": "KeyError", "message": "'id'"}],
        "causes": [{"type": "OSError", "message": "no space", "reported": True}],
    }

    assert traceback_text({"exception": exception}).splitlines() == [
        "  ExceptionGroup: two failed",
        "    a.py:3 in main",
        "    … 7 frames …",
        "    note: a note",
        "    | KeyError: 'id'",
        "  caused by",
        "  OSError: no space",
    ]


@pytest.mark.parametrize("exception", ["text", None, 7, ["a"]])
def test_an_exception_fact_of_another_shape_is_left_alone(exception: Any) -> None:
    assert traceback_text({"exception": exception}) == ""
    assert "\n" not in text({"exception": exception})


def test_parts_of_an_exception_of_another_shape_are_left_out() -> None:
    assert "frames" not in traceback_text({"exception": {"frames": "text", "members": [1], "notes": 3, "problems": 4}})


def test_where_the_current_folder_is_gone_paths_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("os.getcwd", gone)
    frames = [{"file": "/home/ada/job.py", "line": 3, "function": "load"}]

    assert "/home/ada/job.py:3 in load" in text({"exception": {"type": "E", "message": "m", "frames": frames}})
