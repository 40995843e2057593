"""A failure as its reader needs it: their own frames, and of the rest how many and in what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import controlroom
from controlroom.logs.tracebacks import folded_lines, full_lines

OURS = str(Path(controlroom.__file__).parent)
STANDARD = str(Path(os.__file__).parent)
VENV = "/home/ada/.venv/lib/python3.12/site-packages"
FOLDER = "/home/ada/"


def frame(file: str, function: str = "call", line: int = 3) -> dict[str, Any]:
    return {"file": file, "line": line, "function": function}


def folded(frames: list[dict[str, Any]], **further: Any) -> list[str]:
    exception = {"type": "DataError", "message": "bad rows", "code": "data", "frames": frames, **further}
    return [line.removeprefix("    ") for line in folded_lines(exception, FOLDER)][1:]


def test_frames_of_others_between_the_readers_own_are_counted_and_named() -> None:
    frames = [
        frame(f"{OURS}/jobs/definition.py"),
        frame("/home/ada/job.py", "main"),
        frame(f"{VENV}/httpx/_client.py"),
        frame(f"{VENV}/tenacity/__init__.py"),
        frame(f"{OURS}/retrying.py"),
        frame(f"{VENV}/httpx/_client.py"),
        frame("/home/ada/rows.py", "load"),
        frame(f"{STANDARD}/json/decoder.py"),
        frame(f"{STANDARD}/csv.py"),
        frame("<frozen importlib._bootstrap>"),
    ]

    assert folded(frames) == [
        "… 1 frame in controlroom …",
        "job.py:3 in main",
        "… 4 frames in httpx, tenacity, controlroom …",
        "rows.py:3 in load",
        "… 3 frames in json, csv, importlib …",
    ]


def test_frames_that_the_record_left_out_count_too() -> None:
    frames = [frame("/home/ada/job.py", "main"), {"omitted": 70}, frame(f"{VENV}/httpx/_client.py")]

    assert folded(frames) == ["job.py:3 in main", "… 71 frames in httpx …"]
    assert folded([frame("/home/ada/job.py", "main"), {"omitted": 70}])[1:] == ["… 70 frames …"]


def test_many_packages_are_not_all_named() -> None:
    frames = [frame("/home/ada/job.py"), *(frame(f"{VENV}/package_{n}/a.py") for n in range(9))]

    assert folded(frames)[1] == "… 9 frames in package_0, package_1, package_2, package_3, … …"


def test_where_an_unforeseen_exception_was_raised_is_always_shown() -> None:
    frames = [
        frame("/home/ada/job.py", "main"),
        frame(f"{VENV}/pandas/io.py"),
        frame(f"{VENV}/pandas/parse.py", "parse"),
    ]
    foreign = {"type": "KeyError", "message": "'id'", "frames": frames}

    assert list(folded_lines(foreign, FOLDER))[1:] == [
        "    job.py:3 in main",
        "    … 1 frame in pandas …",
        "    .venv/lib/python3.12/site-packages/pandas/parse.py:3 in parse",
    ]
    cause = [frame("/home/ada/job.py", "main"), frame(f"{VENV}/httpcore/pool.py")]
    assert folded([], causes=[{"type": "OSError", "message": "gone", "frames": cause}])[-1] == "… 1 frame in httpcore …"


def test_of_a_job_that_is_an_installed_package_its_own_frames_are_shown() -> None:
    frames = [
        frame(f"{OURS}/jobs/definition.py"),
        frame(f"{VENV}/orders_job/main.py", "main"),
        frame(f"{VENV}/httpx/_client.py"),
        frame(f"{STANDARD}/json/decoder.py"),
        frame("/usr/lib/python3.13/ssl.py"),
    ]

    assert folded(frames) == [
        "… 1 frame in controlroom …",
        ".venv/lib/python3.12/site-packages/orders_job/main.py:3 in main",
        "… 3 frames in httpx, json, ssl …",
    ]


def test_an_operators_mistake_shows_what_to_correct_and_no_frames_of_ours() -> None:
    mistake = {
        "type": "ConfigError",
        "message": "Settings has 2 problems.\n- token is missing.",
        "code": "config",
        "frames": [frame(f"{OURS}/settings/loading.py"), frame(f"{VENV}/pydantic_settings/main.py")],
        "problems": ["token is missing.", "pages is no number."],
    }

    assert list(folded_lines(mistake)) == [
        "  ConfigError: Settings has 2 problems.",
        "    - token is missing.",
        "    - pages is no number.",
    ]
    assert len(list(full_lines(mistake))) == 5, "other handlers get every frame"


def test_members_and_causes_are_indented_and_folded_in_the_same_way() -> None:
    cause = {"type": "OSError", "message": "gone", "frames": [frame(f"{VENV}/httpx/a.py"), frame("/home/ada/x.py")]}
    group = {
        "type": "ExceptionGroup",
        "message": "2 failed",
        "members": [{"type": "E", "message": "m", "causes": [cause]}],
    }

    assert list(folded_lines(group, FOLDER)) == [
        "  ExceptionGroup: 2 failed",
        "    | E: m",
        "    | caused by",
        "    | OSError: gone",
        "    |   … 1 frame in httpx …",
        "    |   x.py:3 in call",
    ]


def test_a_message_of_thousands_of_lines_and_a_line_of_thousands_of_characters_are_cut() -> None:
    long = {"type": "DataError", "message": "\n".join(["x" * 5_000] * 1_000), "notes": ["a\nb"]}
    lines = list(folded_lines(long))

    assert lines[-3:] == ["    …(+959 lines)", "    note: a", "    b"]
    assert max(len(line) for line in lines) < 1_100
    assert "…(+4000 characters)" in lines[0]
