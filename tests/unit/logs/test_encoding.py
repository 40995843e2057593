"""Both encoders write the same JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.logs.encoding import OrjsonEncoder, StandardEncoder, encoder

orjson = pytest.importorskip("orjson")
fast, standard = OrjsonEncoder(orjson.dumps, orjson.OPT_APPEND_NEWLINE), StandardEncoder()

texts = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | finite | texts
names = texts | st.sampled_from(["%", "%s", "%%s", 'a"b', "a:b"])


@given(st.dictionaries(names, scalars, min_size=1))
def test_a_flat_event_reads_back_from_both(event: dict[str, Any]) -> None:
    for one in (fast, standard):
        line = one.flat(event)
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        assert json.loads(line) == event
        assert list(json.loads(line)) == list(event)


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner)))
def test_any_data_reads_back_from_both(data: Any) -> None:
    assert json.loads(fast.any(data)) == data == json.loads(standard.any(data))


def test_an_integer_that_orjson_refuses_is_written_all_the_same() -> None:
    assert fast.any([2**70]) == standard.any([2**70])


@pytest.mark.parametrize("one", [fast, standard])
def test_a_text_that_utf_8_cannot_hold_is_refused(one: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        one.flat({"a": "\ud800"})


def test_without_orjson_the_standard_library_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)

    assert isinstance(encoder.__wrapped__(), StandardEncoder)


def test_frames_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlroom.logs.encoding._MOST_REMEMBERED", 3)
    one = StandardEncoder()
    for number in range(10):
        assert json.loads(one.flat({f"name{number}": number})) == {f"name{number}": number}

    assert len(one._frames) <= 3
