"""The short way shows exactly what the long way would, or steps aside."""

from __future__ import annotations

import json
import math
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.logs import quick
from controlroom.logs.encoding import StandardEncoder
from controlroom.logs.presentable import presentable
from controlroom.logs.quick import quick_line
from controlroom.logs.shape import stamped
from controlroom.redaction import forget_secrets, register_secret


def event(**facts: Any) -> dict[str, Any]:
    return stamped({"event": "tried", **facts}, level="INFO", logger="app")


@pytest.fixture(params=["orjson", "json"], autouse=True)
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both encoders, for the extra that brings the faster one may be missing."""
    monkeypatch.setattr(quick, "_judged", None)
    if request.param == "json":
        monkeypatch.setattr(quick, "encoder", StandardEncoder)
    else:
        pytest.importorskip("orjson")


def test_the_usual_line_takes_the_short_way() -> None:
    line = quick_line(event(page=7, elapsed_s=0.31, endpoint="orders", ok=True, none=None, where="s3://lake/a b.csv"))

    assert line is not None
    assert json.loads(line)["where"] == "s3://lake/a b.csv"


def test_no_reader_splits_a_line_whatever_it_ends_lines_at() -> None:
    line = quick_line(event(fact="a\x85b\u2028c\u2029d ü"))

    assert line is not None
    assert line.decode().splitlines() == [line.decode()[:-1]]
    assert json.loads(line)["fact"] == "a\x85b\u2028c\u2029d ü"


@pytest.mark.parametrize(
    "facts",
    [
        {"password": "x"},
        {"token": 123_456},
        {"note": "password=hunter2"},
        {"note": "Authorization: Bearer abcdef"},
        {"note": "sent Bearer c2VjcmV0Cg="},
        {"url": "https://user:hunter2@example.com"},
        {"note": "\ud800"},
        {"fact": [1]},
        {"fact": {"a": 1}},
        {"fact": object()},
        {"fact": math.nan},
        {"fact": math.inf},
        {"fact": 2**63},
        {"fact": -(2**63) - 1},
        {"fact": "x" * 10_000},
        {"password=hunter2": 1},
    ],
)
def test_anything_doubtful_takes_the_long_way(facts: dict[str, Any]) -> None:
    assert quick_line(event(**facts)) is None


@pytest.mark.parametrize("where", ["value", "name", "number", "event", "logger"])
def test_a_registered_secret_takes_the_long_way_wherever_it_stands(where: str) -> None:
    register_secret("13579246")
    facts: dict[str, Any] = {
        "value": {"fact": "is 13579246"},
        "name": {"x13579246": 1},
        "number": {"fact": 13579246},
        "event": {"event": "tried 13579246"},
        "logger": {},
    }[where]
    made = stamped({"event": "tried", **facts}, level="INFO", logger="13579246" if where == "logger" else "app")

    assert quick_line(made) is None
    assert "13579246" not in json.dumps(presentable(made))


def test_a_name_judged_harmless_before_is_looked_at_again_when_it_became_a_secret() -> None:
    assert quick_line(event(harmless=1)) is not None
    register_secret("harmless")

    assert quick_line(event(harmless=1)) is None


def test_each_text_is_judged_by_itself_and_not_by_what_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_at_the_end(text: str) -> str:
        return "***" if text.endswith("pin: 1234") else text

    monkeypatch.setattr(quick, "is_clean", lambda text: only_at_the_end(text) == text)

    assert quick_line(event(note="pin: 1234", other="ok")) is None
    assert quick_line(event(note="pin: 1234!", other="ok")) is not None


# What redaction looks for, and what stands around it.
PIECES = """
password token api_key cookie sig authorization basic Bearer \u017fecret abc123 AbCdEf+/= x= true null 12
= : :// @ / ? & , } ' " \\ %3d
"""
texts = st.text(max_size=30) | st.lists(st.sampled_from([*PIECES.split(), " ", "\n"]), max_size=8).map("".join)
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
names = st.one_of(st.sampled_from(["page", "key", "url", "token", "page_token", "a b"]), texts)


@given(facts=st.dictionaries(names, values, max_size=5), secrets=st.lists(st.text(min_size=1, max_size=12), max_size=3))
def test_both_ways_show_the_same(facts: dict[str, Any], secrets: list[str]) -> None:
    try:
        for secret in [*secrets, *(value for value in facts.values() if isinstance(value, str) and len(value) > 20)]:
            register_secret(secret)
        made = event(**{name: value for name, value in facts.items() if name not in ("timestamp", "level", "logger")})
        line = quick_line(made)
        if line is not None:
            assert json.loads(line) == presentable(made)
    finally:
        forget_secrets()


def test_what_was_judged_while_a_secret_was_registered_is_forgotten() -> None:
    """Threads that log keep judging the same texts while others make secrets of them."""
    words = [f"s3cr3t-{number}-of-a-thread" for number in range(200)]
    leaks: list[str] = []
    ended = threading.Event()

    def log_all() -> None:
        while not ended.is_set():
            for word in words:
                quick_line(event(fact=word))

    def register_all(mine: list[str]) -> None:
        for word in mine:
            register_secret(word)
            leaks.extend(word for line in [quick_line(event(fact=word, **{word: 1}))] if line is not None)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        logging_threads = [threading.Thread(target=log_all) for _ in range(2)]
        registering = [threading.Thread(target=register_all, args=(words[n::2],)) for n in range(2)]
        for thread in [*logging_threads, *registering]:
            thread.start()
        for thread in registering:
            thread.join()
        ended.set()
        for thread in logging_threads:
            thread.join()
    finally:
        ended.set()
        sys.setswitchinterval(interval)
        forget_secrets()

    assert leaks == []


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_MOST_REMEMBERED", 7)
    for number in range(50):
        line = quick_line(event(**{f"name{number}": f"text{number}"}))
        assert line is not None
        assert json.loads(line)[f"name{number}"] == f"text{number}"

    assert quick._judged is not None
    assert len(quick._judged.texts) <= 7
    assert len(quick._judged.names) <= 7
    assert not any(len(text) > quick._LONGEST_REMEMBERED for text in quick._judged.texts)


def test_only_a_line_with_its_head_and_numbers_takes_the_short_way() -> None:
    made = event(page=7)
    without_head = {name: value for name, value in made.items() if name != "timestamp"}
    without_numbers = {name: value for name, value in made.items() if name != "pid"}

    assert quick_line(made) is not None
    assert quick_line({}) is None
    assert quick_line(without_head) is None
    assert quick_line(without_numbers) is None
    assert quick_line({**made, 1: 2}) is None  # type: ignore[dict-item]  # somebody may give such a name


def test_a_line_that_escapes_make_too_long_takes_the_long_way() -> None:
    assert quick_line(event(**{f"fact{number}": "\x01" * 4_000 for number in range(20)})) is None


@pytest.mark.parametrize("secret", ["1357", "-1357", "13.5", "1e-07", "7"])
def test_numbers_are_judged_once_a_secret_could_be_one(secret: str) -> None:
    numbers: dict[str, Any] = {"a": 1357, "b": -1357, "c": 13.5, "d": 1e-07, "e": 7}
    assert quick_line(event(**numbers)) is not None
    register_secret(secret)

    assert quick_line(event(**numbers)) is None
