"""The page in a real browser: headless Chromium, which shows, runs and asks for what a reader's browser would."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import zlib
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from controlroom.explain.html import render_html

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    *("--force-color-profile=srgb", "--enable-logging=stderr", "--v=0"),
    "--host-resolver-rules=MAP * ~NOTFOUND",  # what the browser asks for itself gets no answer, and leaves nothing behind
)
DARK_FLAG = "--blink-settings=preferredColorScheme=0"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser is installed: none of {', '.join(BROWSERS)} was found"),
]

HEIGHT = 900
LONG_WORD = "s3://lake/" + "x" * 80
Colour = tuple[int, int, int]


class Palette(NamedTuple):
    """What page.css names --page, --failed and --wait."""

    page: Colour
    failed: Colour
    wait: Colour


LIGHT = Palette((0xF6, 0xF7, 0xF8), (0xC2, 0x35, 0x0F), (0x8A, 0x6D, 0x1F))
DARK = Palette((0x12, 0x14, 0x17), (0xF0, 0x69, 0x3F), (0xD8, 0xB6, 0x5A))


class Visit(NamedTuple):
    """What the browser printed, what it complained of, and every address that it asked for on behalf of the page."""

    dom: str
    console: list[str]
    addresses: set[str]


def visit(folder: Path, page: str, *flags: str, fragment: str = "") -> Visit:
    file, log = folder / "page.html", folder / "net.json"
    file.write_text(page, encoding="utf-8")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", *flags]
    done = subprocess.run(
        [*command, f"{file.as_uri()}{fragment}"], capture_output=True, text=True, timeout=100, check=True
    )
    logged = log.read_text("utf-8", "replace")
    facts = [event.get("params", {}) for event in json.loads(logged)["events"]]
    asked = {one["url"] for one in facts if "url" in one and one.get("initiator", "not an origin") != "not an origin"}
    asked |= set(re.findall(r"[\w/:.]*canary\.invalid[\w/.]*", logged))  # also what it merely prepared to ask
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Visit(done.stdout, console, {one for one in asked if not one.startswith("file:")})


def node(id_: int, parent: int | None, second: float, **facts: Any) -> dict[str, Any]:
    told = {"id": id_, "parent": parent, "kind": "file", "title": f"in/orders-{id_}.csv", "elapsed_s": 5.0}
    told |= {"began_at": f"2026-11-22T02:00:{second:06.3f}Z", "outcome": "ok", "facts": {}, "events": {}, "untold": {}}
    return told | facts


def story(*nodes: dict[str, Any], say: str = "nightly", **changes: Any) -> dict[str, Any]:
    error = {"type": f"ServerError {say}", "message": f"503 {say}", "frames": [], "notes": [say], "causes": []}
    failure = {
        "at": "2026-11-22T02:00:50Z",
        "event": "gave_up",
        "subject": f"GET /orders {say}",
        "code": "server-error",
    }
    failure |= {"disposition": "retry", "error": f"it said 503 {say}", "who_acts": "nobody yet", "exception": error}
    failure |= {"node": 4, "attempts": [{"number": 1, "error": say, "wait_s": 15.0, "reason": say}]}
    told = [
        node(1, None, 0, kind="run", title=say, elapsed_s=60.0, outcome="failed"),
        node(2, 1, 1, facts={"say": say}),
        node(3, 1, 10, kind="walk", title=f"/orders {say}", elapsed_s=45.0, outcome="failed"),
        node(4, 3, 11, kind="page", title="page 7", elapsed_s=40.0, outcome="failed"),
        node(5, 4, 20, kind="retry", title="attempt 1", elapsed_s=15.0, outcome="retried", facts={"wait_s": 15.0}),
        *nodes,
    ]
    run = {"id": "r1", "job": say, "host": say, "began_at": "2026-11-22T02:00:00Z", "elapsed_s": 60.0}
    run |= {"outcome": "failed", "exit_code": 75, "who_acts": f"nobody yet: start it again {say}", "nodes": told}
    run |= {"failures": [failure], "failing_path": [1, 3, 4], "effects": {"records": 7}} | changes
    return {"version": 1, "log": {"events": 9}, "runs": [run]}


def pixels(png: Path) -> tuple[int, int, list[bytes]]:
    """Decode *png*, eight bits of RGB or RGBA without interlacing, and return width, height, rows of RGB."""
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    assert (depth, interlaced) == (8, 0)
    size = {2: 3, 6: 4}[colours]
    packed, at = b"", 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        packed += data[at + 8 : at + 8 + length] if data[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    raw, above, rows = zlib.decompress(packed), bytes(width * size), []
    for start in range(0, len(raw), width * size + 1):
        above = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + width * size]), above, size)
        rows.append(above)
    return width, height, [row if size == 3 else without_alpha(row) for row in rows]


def unfiltered(kind: int, row: bytearray, above: bytes, size: int) -> bytes:
    """Undo a filter (PNG, third edition, 9.2)."""
    if kind == 1:
        for channel in range(size):
            row[channel::size] = bytes(total & 0xFF for total in accumulate(row[channel::size]))
    elif kind == 2:
        row[:] = bytes((one + up) & 0xFF for one, up in zip(row, above, strict=True))
    elif kind:
        for at, up in enumerate(above):
            left, corner = (row[at - size], above[at - size]) if at >= size else (0, 0)
            row[at] = (row[at] + ((left + up) // 2 if kind == 3 else nearest(left, up, corner))) & 0xFF
    return bytes(row)


def nearest(left: int, up: int, corner: int) -> int:
    by_left, by_up, by_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    return left if by_left <= by_up and by_left <= by_corner else up if by_up <= by_corner else corner


def without_alpha(row: bytes) -> bytes:
    kept = bytearray(len(row) // 4 * 3)
    for channel in range(3):
        kept[channel::3] = row[channel::4]
    return bytes(kept)


def colours(rows: list[bytes]) -> Counter[tuple[int, ...]]:
    return Counter(three for row in rows for three in zip(*[iter(row)] * 3, strict=True))


def is_near(colour: tuple[int, ...], other: Colour) -> bool:
    return all(abs(one - two) <= 24 for one, two in zip(colour, other, strict=True))


HOSTILE = (
    "<script>document.title='owned';console.error('owned')</script><img src=http://canary.invalid/a.png "
    "onerror=\"console.error('owned')\"><style>@import 'http://canary.invalid/b.css';</style>"
    "<link rel=stylesheet href=http://canary.invalid/c.css></title></script>"
)
FRAME = "<iframe src=http://canary.invalid/d></iframe>"  # connected to before the policy is asked, were it ever markup


def test_the_browser_shows_every_file_and_failure_and_runs_the_script(tmp_path: Path) -> None:
    files = [node(place, 1, place % 60) for place in range(6, 300)]
    seen = visit(tmp_path, render_html(story(*files)), "--dump-dom")

    assert all(f"in/orders-{place}.csv" in seen.dom for place in range(6, 300))
    assert {"GET /orders nightly", "it said 503 nightly", "ServerError nightly"} <= set(re.findall(r"[^<>]+", seen.dom))
    assert '<button type="button">Open all</button>' in seen.dom  # made by the script, which the policy let run
    assert (seen.console, seen.addresses) == ([], set())


def test_nothing_that_was_logged_runs_loads_or_asks_anybody(tmp_path: Path) -> None:
    seen = visit(tmp_path, render_html(story(node(6, 1, 3, title=HOSTILE), say=HOSTILE + FRAME)), "--dump-dom")

    assert (seen.console, seen.addresses) == ([], set())
    assert "<title>&lt;script&gt;" in seen.dom
    assert not re.search(r"<(img|iframe|link)\b", seen.dom)


def test_markup_that_got_through_could_still_not_run_or_load_anything(tmp_path: Path) -> None:
    page = render_html(story()).replace("it said 503", HOSTILE)
    seen = visit(tmp_path, page, "--dump-dom")

    assert "<title>nightly: the story of a run</title>" in seen.dom
    assert len([line for line in seen.console if "Content Security Policy" in line]) >= 4
    assert not [line for line in seen.console if "owned" in line]
    assert seen.addresses == set()


def test_the_checks_above_see_what_they_look_for(tmp_path: Path) -> None:
    """Without the policy the same page asks, and complains: a browser that reports nothing would pass everything."""
    page = re.sub(r"<meta http-equiv=[^>]*>", "", render_html(story()).replace("it said 503", HOSTILE))
    seen = visit(tmp_path, page, "--dump-dom")

    assert [line for line in seen.console if "owned" in line]
    assert "http://canary.invalid/a.png" in seen.addresses


def test_a_link_opens_what_it_points_into_and_nothing_else(tmp_path: Path) -> None:
    page = render_html(story()).replace(" open>", ">")
    seen = visit(tmp_path, page, "--dump-dom", fragment="#r1n3")

    assert re.findall(r'<details id="(r1n\d)"', page) == ["r1n0", "r1n1", "r1n2", "r1n3", "r1n4"]
    assert re.findall(r'<details id="(r1n\d)" open', seen.dom) == ["r1n0", "r1n2", "r1n3"]


@pytest.mark.parametrize(
    ("width", "flags", "seen_as"),
    [
        pytest.param(800, (), LIGHT, id="light"),
        pytest.param(800, (DARK_FLAG,), DARK, id="dark"),
        pytest.param(360, (), LIGHT, id="narrow"),
    ],
)
def test_the_screenshot_shows_the_failing_rows_and_the_wait_between_them(
    tmp_path: Path, width: int, flags: tuple[str, ...], seen_as: Palette
) -> None:
    shot = tmp_path / "shot.png"
    page = render_html(story(node(6, 1, 3, title=LONG_WORD), failures=[], reason=LONG_WORD, effects={"x": LONG_WORD}))
    seen = visit(tmp_path, page, f"--window-size={width},{HEIGHT}", f"--screenshot={shot}", *flags)
    width_seen, height, rows = pixels(shot)
    found = colours(rows)

    assert (width_seen, height, len(rows), seen.console) == (width, HEIGHT, HEIGHT, [])
    assert found[seen_as.page] > 0.1 * width * HEIGHT  # the page's own ground, not a browser's error page
    assert len(found) > 50  # texts and shades: no blank page has these
    assert found[seen_as.failed] > 500  # the bars of three rows that failed
    assert sum(number for colour, number in found.items() if is_near(colour, seen_as.wait)) > 100  # thin slanted lines
    assert {tuple(row[-3:]) for row in rows} == {seen_as.page}  # nothing runs out of the page, however narrow it is


def test_ten_thousand_rows_open_within_seconds(tmp_path: Path) -> None:
    nodes = [node(place, 1 + place % 3, place % 60, facts={"key": f"k{place}"}) for place in range(6, 10_000)]
    seen = visit(tmp_path, render_html(story(*nodes)), "--dump-dom", "--timeout=20000")

    assert seen.console == []
    assert seen.dom.count('class="title data"') == 9_999
