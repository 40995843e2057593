"""Nothing leaves unmasked, and what is cut was masked before."""

from __future__ import annotations

from collections import OrderedDict, deque
from types import MappingProxyType
from typing import Any

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
