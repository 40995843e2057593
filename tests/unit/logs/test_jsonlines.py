"""Always valid, always one line, never longer than a host takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlroom.logs import jsonlines
from controlroom.logs.encoding import StandardEncoder
from controlroom.logs.jsonlines import LONGEST_LINE_BYTES, json_line

HEAD = {"timestamp": "2026-11-21T23:17:59.165233Z", "level": "INFO", "event": "tried", "logger": "app"}


@pytest.fixture(params=["orjson", "json"], autouse=True, scope="module")
def encoder(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both encoders, for the extra that brings the faster one may be missing."""
    if request.param == "orjson":
        pytest.importorskip("orjson")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            patch.setattr(jsonlines, "encoder", StandardEncoder)
        yield


hostile = st.text(st.sampled_from('a"\\\n\r\x00\x85\u2028\u2029ü😀\x7f'), max_size=20)
facts = st.recursive(
    hostile | st.integers() | st.booleans() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(hostile, inner)
)


@settings(max_examples=min(settings().max_examples, 1_000))  # no test may take two minutes
@given(fact=facts)
def test_any_event_is_one_line_for_any_reader_and_reads_back(fact: Any) -> None:
    line = json_line({**HEAD, "fact": fact})

    assert line.decode().splitlines(keepends=True) == [line.decode()]
    assert line.endswith(b"\n")
    assert json.loads(line) == {**HEAD, "fact": fact}


@settings(max_examples=20)
@given(text=hostile.map(lambda text: text * 20_000), facts=st.integers(1, 2_000))
def test_no_line_is_longer_than_the_limit(text: str, facts: int) -> None:
    event = {
        **HEAD,
        "event": text[:30_000],
        "logger": text[:30_000],
        text[:30_000]: 1,
        "small": 1,
        "large": text[:300_000],
    }
    event |= {f"fact{number}": text[:2_000] for number in range(facts)}
    line = json_line(event)

    assert len(line) <= LONGEST_LINE_BYTES
    assert json.loads(line)["level"] == "INFO"


def test_what_is_shortened_says_so_and_keeps_what_is_small() -> None:
    line = json.loads(json_line({**HEAD, "seq": 7, "pid": 1, "large": "x" * LONGEST_LINE_BYTES, "small": [1]}))

    assert line["truncated"] is True
    assert (line["small"], line["seq"]) == ([1], 7)
    assert line["large"].startswith('"xxx')
