from __future__ import annotations

from typing import Any

import pytest

from controlroom.errors import FileOperationError
from controlroom.policy.s3_listing import Pages


def page(*keys: str, after: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "Contents": [{"Key": key} for key in keys],
        "EncodingType": "url",
        "IsTruncated": after is not None,
        "NextContinuationToken": after,
    } | more


def walked(pages: Pages, answers: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    keys: list[str] = []
    asked = []
    left = iter(answers)
    for call in pages.calls():
        asked.append(dict(call.params))
        keys += [entry["Key"] for entry in pages.objects(next(left))]
    return keys, asked


def test_pages_follow_each_other_to_the_end() -> None:
    keys, asked = walked(Pages("p/", "s3://b"), [page("p/1", after="t1"), page(after="t2"), page("p/2")])

    assert keys == ["p/1", "p/2"]
    assert [call.get("ContinuationToken") for call in asked] == [None, "t1", "t2"]
    assert asked[0] == {"Prefix": "p/", "EncodingType": "url"}


def test_a_listing_goes_on_after_a_key() -> None:
    _, asked = walked(Pages("", "s3://b", "k"), [page("l", after="t"), page("m")])

    assert [call.get("StartAfter") for call in asked] == ["k", None]


def test_names_are_decoded_as_forms_are_where_the_server_encoded_them() -> None:
    assert walked(Pages("", "r"), [page("a+b%2Bc%25%C3%BC")])[0] == ["a b+c%ü"]
    assert walked(Pages("", "r"), [page("a+b%2B", EncodingType=None)])[0] == ["a+b%2B"]
    assert walked(Pages("", "r"), [{"IsTruncated": False}])[0] == []


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([page("p/1", after="t"), page("p/1", after="u")], "begins with 'p/1'"),
        ([page("p/1", after="t"), page("p/2", after="t")], "there already"),
        ([page("p/1", IsTruncated=True)], "where the rest is"),
        ([page("q/1")], "does not begin with 'p/'"),
    ],
    ids=["a page again", "a token again", "no token", "another prefix"],
)
def test_a_listing_that_leads_nowhere_is_no_listing(answers: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(FileOperationError, match=words):
        walked(Pages("p/", "s3://b"), answers)


@pytest.mark.parametrize("length", [2, 3, 7])
def test_a_loop_of_several_pages_is_found(length: int) -> None:
    """Tokens of empty pages, or of pages that differ: only the tokens tell."""
    loop = [page(f"p/{number}", after=f"t{(number + 1) % length}") for number in range(length)]

    with pytest.raises(FileOperationError, match="there already"):
        walked(Pages("p/", "s3://b"), loop * 20)
