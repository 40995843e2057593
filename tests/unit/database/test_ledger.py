"""What a key stands for, and what is kept beside it."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.database.ledger import _result, as_stored, entry_of, fingerprint_of, new_owner
from controlroom.database.writes import WriteCount
from controlroom.errors import Disposition, IntegrityViolationError, QueryError


def row(**values: Any) -> Any:
    return SimpleNamespace(
        **{"key": "k", "claimed_at": "2026-01-05", "fingerprint": None, "result": None, "owner": None, **values}
    )


def test_a_fingerprint_is_that_of_canonical_json() -> None:
    assert fingerprint_of({"b": [1, "é"], "a": None}) == hashlib.sha256(rb'{"a":null,"b":[1,"\u00e9"]}').hexdigest()
    assert fingerprint_of({"a": None, "b": (1, "é")}) == fingerprint_of({"b": [1, "é"], "a": None})
    assert fingerprint_of(None) is None


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": 1.0}, {"a": True}, {}, [1], "", 0, False])
def test_what_differs_has_another_fingerprint(other: Any) -> None:
    assert fingerprint_of(other) not in (None, fingerprint_of({"a": 1}))


@pytest.mark.parametrize("payload", [object(), {1: 2}, [{None: 1}], float("inf"), {"a": {3: 4}}, b"x"])
def test_a_payload_that_json_would_change_is_refused(payload: Any) -> None:
    with pytest.raises(QueryError, match="not JSON-ready"):
        fingerprint_of(payload)


def test_a_payload_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(QueryError, match="not JSON-ready"):
        fingerprint_of(endless)


def test_the_same_key_with_another_payload_is_refused_and_the_content_set_aside() -> None:
    with pytest.raises(IntegrityViolationError, match=r"'k' .* another payload") as caught:
        entry_of(row(fingerprint="a" * 64), {"fingerprint": "b" * 64})
    assert caught.value.disposition is Disposition.QUARANTINE
    assert caught.value.table == "controlroom_ledger"


@pytest.mark.parametrize(("stands", "given"), [(None, "a" * 64), ("a" * 64, None), (None, None), ("a" * 64, "a" * 64)])
def test_where_one_has_no_payload_nothing_is_compared(stands: str | None, given: str | None) -> None:
    assert entry_of(row(fingerprint=stands, owner="o", result='{"value": 3}'), {"fingerprint": given}).result == 3


def test_a_row_of_version_1_is_done_without_a_result() -> None:
    entry = entry_of(row(), {"fingerprint": "a" * 64})
    assert (entry.owner, entry.result) == (None, None)


@pytest.mark.parametrize(
    "result", [0, "", False, [], {}, {"count": [1, 2, 3]}, [1, {"a": None}], WriteCount(1, 2, 3), "\0\ud800"]
)
def test_a_result_comes_back_as_it_was(result: Any) -> None:
    stored = as_stored(result)
    assert stored is not None
    back = _result(stored)
    assert (back, type(back)) == (result, type(result))


def test_none_needs_no_room() -> None:
    assert as_stored(None) is None


def test_no_two_claims_have_one_owner() -> None:
    assert len({new_owner() for _ in range(1_000)}) == 1_000
