from __future__ import annotations

import enum
import json
from collections import ChainMap, OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest

from controlroom.errors import text
from controlroom.errors.text import kept, plain, portable, text_of


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise LookupError


class Lying(int):
    def __repr__(self) -> str:
        return "NaN"


class Broken(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield "a"

    def __len__(self) -> int:
        raise OSError


class Colour(enum.Enum):
    RED = (1, 2)


class Size(enum.StrEnum):
    BIG = "big"


class RaisingText:
    def __str__(self) -> str:
        raise LookupError

    __hash__ = object.__hash__


JSON_READY: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (7, 7),
    (0.5, 0.5),
    ("x", "x"),
    (Shouting("x"), "x"),
    (Lying(7), 7),
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    (2**8192 - 1, 2**8192 - 1),
    (2**8192, str(2**8192)),
    (10**5000, "<int whose text raised ValueError>"),
    (Colour.RED, [1, 2]),
    (Size.BIG, "big"),
    (b"caf\xc3\xa9\xff", "café\\xff"),
    (bytearray(b"a"), "a"),
    (date(2026, 1, 5), "2026-01-05"),
    (datetime(2026, 1, 5, tzinfo=UTC), "2026-01-05T00:00:00+00:00"),
    (time(1, 2), "01:02:00"),
    (timedelta(seconds=3), "0:00:03"),
    (Decimal("1.50"), "1.50"),
    (PurePosixPath("/a"), "/a"),
    ((1, (2,)), [1, [2]]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a", 1}), ["a", "b", 1]),
    ({"a": 1}.keys(), ["a"]),
    (OrderedDict(a=1), {"a": 1}),
    (ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    ({1: "a", "1": "b", None: "c", "1_": "d"}, {"1": "a", "1_": "b", "None": "c", "1__": "d"}),
    ({RaisingText(): 1}, {"<RaisingText whose text raised LookupError>": 1}),
    ([RaisingText()], ["<RaisingText whose text raised LookupError>"]),
    ({"m": Broken()}, {"m": "<Broken that raised KeyError>"}),
    (object, "<class 'object'>"),
]


@pytest.mark.parametrize(("value", "expected"), JSON_READY, ids=[str(n) for n, _ in enumerate(JSON_READY)])
def test_anything_becomes_json_ready_data(value: Any, expected: Any) -> None:
    result = plain(value)

    assert result == expected
    assert type(result) is type(expected)
    json.dumps(result, allow_nan=False)


def test_texts_are_masked_by_whoever_offers_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_redact", None)
    assert text.masked("x") == "x"

    text.redact_with(lambda value: f"<{value}>")
    assert text.masked("x") == text.shown("x") == text.kept("x") == text.portable("x") == "<x>"


def test_what_contains_itself_ends_where_it_begins_again() -> None:
    loop: dict[str, Any] = {"a": [1]}
    loop["self"] = loop
    loop["a"].append(loop)

    assert plain(loop) == {"a": [1, "…"], "self": "…"}


def test_what_stands_twice_is_told_twice() -> None:
    shared = [1]

    assert plain([shared, shared]) == [[1], [1]]


def test_what_is_deep_ends_at_thirty_two_levels() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    told = plain(deep)

    depth = 0
    while told != "…":
        (told,) = told
        depth += 1
    assert depth == 32


def test_thirty_two_levels_are_told_whole() -> None:
    deep: list[Any] = []
    for _ in range(31):
        deep = [deep]

    assert plain(deep) == deep


def test_what_multiplies_ends() -> None:
    many: list[Any] = ["leaf"]
    for _ in range(30):
        many = [many, many]
    told = json.dumps(plain(many))

    assert 10_000 < len(told) < 3_000_000
    assert plain(list(range(99_999))) == list(range(99_999))
    assert plain(list(range(100_001)))[99_998:] == [99_998, "…", "…"]


def test_plain_data_is_a_copy() -> None:
    original = {"a": [1, {"b": 2}]}
    copied = plain(original)
    copied["a"][1]["b"] = 3

    assert original == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("value", "expected"), [("x", "x"), (7, "7"), (b"\xff", "\\xff"), (Shouting("x"), None), (None, "None")]
)
def test_the_text_of_anything(value: object, expected: str | None) -> None:
    assert text_of(value) == (expected or "<Shouting whose text raised LookupError>")
    assert type(text_of(value)) is str


def test_a_text_that_is_a_subclass_is_told_without_it() -> None:
    class Sneaky:
        def __str__(self) -> str:
            return Shouting("inner")

    assert text_of(Sneaky()) == "inner"
    assert type(text_of(Sneaky())) is str


def test_numbers_are_kept_as_they_are() -> None:
    assert str(kept(float("inf"))) == "inf"
    assert type(kept(float("nan"))) is float
    assert kept(True) is True
    assert kept(None) is None
    assert type(kept(Lying(7))) is int


@pytest.mark.parametrize("value", [None, True, 7, 0.5])
def test_numbers_travel_as_they_are(value: Any) -> None:
    assert portable(value) is value
