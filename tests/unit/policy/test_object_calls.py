from __future__ import annotations

import asyncio
import copy
import pickle

import pytest

from controlroom.errors import DeadlineExceededError, ObjectChangedError, StorageUnavailableError
from controlroom.errors.api import Sent
from controlroom.policy.object_calls import (
    Call,
    code_of,
    is_conflict,
    may_have_happened,
    note_code,
    note_earlier,
    worse,
)


def test_calls_are_plain_data() -> None:
    assert Call("HeadObject", {"Key": "k"}) == Call("HeadObject", {"Key": "k"})
    assert len({Call("HeadObject", {"Key": "k"}), Call("HeadObject", {"Key": "k"})}) == 1


@pytest.mark.parametrize(
    ("earlier", "last", "both"),
    [
        ("no", "no", "no"),
        ("no", "yes", "yes"),
        ("yes", "no", "yes"),
        ("unknown", "no", "unknown"),
        ("yes", "unknown", "unknown"),
    ],
)
def test_two_attempts_together_are_as_open_as_the_more_open_one(earlier: Sent, last: Sent, both: Sent) -> None:
    error = StorageUnavailableError("m", sent=last)

    note_earlier(error, earlier)

    assert worse(earlier, last) == error.sent == both


def test_doubt_and_code_travel_with_the_error_and_are_shown_to_nobody() -> None:
    error = ObjectChangedError("It changed.")
    note_earlier(error, "unknown")
    note_code(error, "PreconditionFailed")

    for twin in (error, copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert may_have_happened(twin)
        assert code_of(twin) == "PreconditionFailed"
        assert "PreconditionFailed" not in str(twin.to_dict())


def test_an_interruption_leaves_everything_open_and_what_was_not_begun_nothing() -> None:
    assert may_have_happened(asyncio.CancelledError())
    assert may_have_happened(KeyboardInterrupt())
    assert not may_have_happened(DeadlineExceededError("m", needed_s=1, left_s=0))
    assert not may_have_happened(ObjectChangedError("m"))


@pytest.mark.parametrize(
    ("code", "conflict"), [("ConditionalRequestConflict", True), ("409", True), ("SlowDown", False)]
)
def test_a_conflict_is_known_by_its_code(code: str, conflict: bool) -> None:
    error = StorageUnavailableError("m", sent="yes")
    note_code(error, code)

    assert is_conflict(error) is conflict
    assert not is_conflict(KeyboardInterrupt())
