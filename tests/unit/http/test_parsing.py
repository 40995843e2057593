from __future__ import annotations

import json
import math
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.http.parsing import parsed


def refused(name: str) -> Any:
    raise ValueError(name)


def by_the_standard_library(content: bytes) -> Any:
    return json.loads(content, parse_constant=refused)


def outcome(read: Any, content: bytes) -> tuple[str, Any]:
    try:
        return "read", exact(read(content))
    except (ValueError, RecursionError) as error:
        return "refused", type(error)


def exact(value: Any) -> Any:
    """Return *value* such that 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(value, dict):
        return [(key, exact(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return type(value), math.copysign(1, value) if isinstance(value, float) else None, value


ODD = [
    b"",
    b" \t\r\n{} \n",
    b"\x0b{}",
    b"{}\x00",
    b"\xef\xbb\xbf{}",
    '{"a": "é"}'.encode("utf-16"),
    '{"a": "é"}'.encode("utf-32-le"),
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\\ud83d\\ude00"',
    b'"\\u0000"',
    b'"a\nb"',
    b'"a\x7fb"',
    b'"\\x41"',
    b'"\\u12"',
    b"-0",
    b"-0.0",
    b"01",
    b"1.",
    b".5",
    b"+1",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"5e-324",
    b"2.2250738585072011e-308",
    b"123456789012345678901234567890.5",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"9" * 4_300,
    b"9" * 4_301,
    b"NaN",
    b"-Infinity",
    b"[1, NaN]",
    b'{"a": 1, "b": 2, "a": 3}',
    b"[1,]",
    b'{"a": 1,}',
    b"{} x",
    b"{'a': 1}",
    b"// c\n1",
    b"tru",
    b"[" * 150 + b"]" * 150,
    b"[" * 300 + b"]" * 300,
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", ODD, ids=count())
def test_what_is_odd_is_read_or_refused_exactly_as_by_the_standard_library(content: bytes) -> None:
    assert outcome(parsed, content) == outcome(by_the_standard_library, content)


PIECES = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"\\n"',
    '"\\ud83d"',
    "1",
    "-0",
    "1.5",
    "1e3",
    "9" * 20,
    "-",
    ".",
    "e",
    " ",
]


@given(st.lists(st.sampled_from([*PIECES, "true", "null", "NaN"]), max_size=9))
def test_whatever_stands_there_is_read_or_refused_exactly_as_by_the_standard_library(pieces: list[str]) -> None:
    content = "".join(pieces).encode()

    assert outcome(parsed, content) == outcome(by_the_standard_library, content)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_was_written_is_read_back(value: Any) -> None:
    assert exact(parsed(json.dumps(value).encode())) == exact(value)


def test_the_words_of_a_refusal_are_the_usual_ones() -> None:
    with pytest.raises(json.JSONDecodeError, match=r"Expecting value: line 1 column 7 \(char 6\)"):
        parsed(b'{"a": ]')
