"""Nothing leaves unmasked, and what is cut was masked before."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from controlroom.logs.presentable import LONGEST_TEXT, presentable
from controlroom.redaction import register_secret

SECRET = "s3cr3t-value"


def shown(**facts: Any) -> dict[str, Any]:
    return presentable(facts)


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"a {SECRET} b",
        b"as bytes: " + SECRET.encode(),
        [SECRET],
        (SECRET,),
        {SECRET},
        frozenset({SECRET}),
        deque([SECRET]),
        {"k": {"k": [SECRET]}},
        {SECRET: 1},
        OrderedDict({SECRET: SECRET}),
        MappingProxyType({"k": SECRET}),
        ValueError(SECRET),
        type(SECRET, (), {})(),
        {"k": {(SECRET, 1): 2}},
    ],
)
def test_a_registered_secret_is_masked_wherever_it_is_nested(value: Any) -> None:
    register_secret(SECRET)

    assert SECRET not in str(shown(fact=value))


def test_a_registered_number_is_masked_as_a_number_too() -> None:
    register_secret("13579246")

    assert shown(fact=13579246, deep=[13579246], price=13579246.0) == {"fact": "***", "deep": ["***"], "price": "***.0"}


class Login(NamedTuple):
    user: str
    password: str


def test_a_telling_field_of_a_named_tuple_and_the_value_of_a_telling_header_are_masked() -> None:
    facts = shown(
        login=Login("ada", "x"), headers=[("Authorization", "x"), (b"Cookie", b"x"), ("Host", "h")], pair=["token", "x"]
    )

    assert facts["login"] == ["ada", "***"]
    assert facts["headers"] == [["Authorization", "***"], ["Cookie", "***"], ["Host", "h"]]
    assert facts["pair"] == ["token", "x"]


def test_everything_under_a_telling_name_is_masked_however_deep() -> None:
    facts = shown(password={"a": ["x", 1, None, True, b"y"]}, tokens=["x"], api_key=12345, empty_token="")

    assert facts["password"] == {"a": ["***", "***", None, True, "***"]}
    assert facts["api_key"] == "***"
    assert facts["empty_token"] == ""


def test_two_keys_that_differ_only_in_their_secrets_are_both_kept() -> None:
    register_secret("hunter-one")
    register_secret("hunter-two")

    assert shown(deep={"hunter-one": 1, "hunter-two": 2})["deep"] == {"***": 1, "***_": 2}


def test_no_half_of_a_secret_is_left_where_a_text_is_cut() -> None:
    register_secret(SECRET * 100)
    for before in range(LONGEST_TEXT - 1_300, LONGEST_TEXT + 10_000, 97):
        text = shown(fact="x" * before + SECRET * 100 + "y" * 50_000)["fact"]
        assert "s3cr3t" not in text
        assert len(text) <= LONGEST_TEXT + 1


def test_many_masks_do_not_uncover_the_end_that_was_cut() -> None:
    register_secret(SECRET * 100)
    text = shown(fact=(SECRET * 100 + "y") * 1_000)["fact"]

    assert "s3cr3t" not in text


def test_the_argument_is_not_changed() -> None:
    register_secret(SECRET)
    facts = {"fact": [SECRET, {"k": SECRET}]}
    presentable(facts)

    assert facts == {"fact": [SECRET, {"k": SECRET}]}


def test_as_much_of_a_text_is_kept_as_was_promised() -> None:
    assert shown(fact="x" * 100_000)["fact"] == "x" * LONGEST_TEXT + "…"
    assert shown(fact="x" * LONGEST_TEXT) == {"fact": "x" * LONGEST_TEXT}


def test_shared_parts_that_multiply_end_soon_and_say_so() -> None:
    value: Any = "x" * 1_000
    for _ in range(8):
        value = [value] * 1_000  # 10^24 texts, in eight lists
    facts = shown(fact=value, after="kept", later=[1])

    assert facts["truncated"] is True
    assert facts["after"] == "kept"
    assert len(str(facts)) < 2_000_000


def test_mappings_that_multiply_end_soon_too() -> None:
    value: Any = 1
    for _ in range(12):
        value = {f"key{number}": value for number in range(500)}

    assert shown(fact=value)["truncated"] is True


def test_of_texts_beyond_what_a_line_holds_their_beginning_is_kept_and_no_half_of_a_secret() -> None:
    register_secret(SECRET * 40)
    facts = shown(**{f"fact{number}": "x" * (1_000 - number) + SECRET * 40 + "y" * 30_000 for number in range(100)})

    assert all(facts[f"fact{number}"].startswith("x" * 500) for number in range(100))
    assert "s3cr3t" not in str(facts)
    assert sum(map(len, facts.values() if facts.pop("truncated") else [])) < 1_000_000


def test_large_bytes_are_cut_before_they_are_read_and_no_half_of_a_secret_is_left() -> None:
    register_secret(SECRET * 100)
    for before in range(LONGEST_TEXT - 1_300, LONGEST_TEXT + 200, 97):
        facts = shown(fact=b"\xff" * (before // 4) + "é".encode() * (before // 4) + (SECRET * 100).encode() * 200)
        assert "s3cr3t" not in facts["fact"]
        assert facts["truncated"] is True


class Treasure(Enum):
    SECRETS = (SECRET, {"password": "x"})
    NESTED = {SECRET: SECRET}


@pytest.mark.parametrize("member", Treasure)
def test_a_member_of_an_enumeration_is_shown_as_its_value_and_masked(member: Treasure) -> None:
    register_secret(SECRET)
    fact = shown(fact=member)["fact"]

    assert SECRET not in str(fact)
    assert isinstance(fact, list | dict)


class Endless(dict):
    def items(self) -> Any:
        return ((number, number) for number in itertools.count())


def test_a_mapping_without_end_is_cut() -> None:
    facts = shown(fact=Endless())

    assert len(facts["fact"]) == 1_000
    assert facts["truncated"] is True


class Looping:
    def __repr__(self) -> str:
        return repr(self)

    __str__ = __repr__


def test_a_text_that_asks_for_itself_is_said_to_have_failed() -> None:
    assert shown(fact=Looping(), key=[Looping()])["fact"] == "<Looping whose text raised RecursionError>"


@pytest.mark.parametrize("secret", ["1357", "13.5", "1e+22"])
def test_a_secret_that_is_a_number_is_masked_in_numbers(secret: str) -> None:
    register_secret(secret)

    assert secret not in str(shown(a=1357, b=13.5, c=1e22, d=7, e=[1357], f={1357: 7}))


def test_a_tiny_secret_is_masked_where_it_is_the_whole_number() -> None:
    register_secret("7")

    assert shown(a=7, b=1357, c=[7]) == {"a": "***", "b": 1357, "c": ["***"]}


@pytest.mark.parametrize("length", [12, 1_500, 9_000, 40_000])
def test_no_half_of_a_secret_of_any_length_is_left_where_a_text_is_cut(length: int) -> None:
    secret = (SECRET * 4_000)[:length]
    register_secret(secret)

    for kind in (str.encode, str):
        for before in [0, 1_000, *range(LONGEST_TEXT - length - 50, LONGEST_TEXT + 100, 1 + length // 7)]:
            fact = shown(fact=kind("x" * max(0, before) + secret + "y" * 100_000))["fact"]
            assert "s3cr" not in fact
            assert len(fact) <= LONGEST_TEXT + 1


@pytest.mark.parametrize("before", range(LONGEST_TEXT - 40, LONGEST_TEXT + 40, 3))
def test_no_half_of_a_secret_in_its_place_is_left_where_a_text_is_cut(before: int) -> None:
    fact = shown(fact="x" * (before - 1) + " https://user:abcdefghijkl@host/?token=mnopqrstuvwx&a=" + "y" * 50_000)[
        "fact"
    ]

    assert "abc" not in fact
    assert "mno" not in fact
