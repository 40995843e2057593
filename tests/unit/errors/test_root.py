from __future__ import annotations

import dataclasses
import json
import pickle
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest

from controlroom.errors import (
    APIStatusError,
    Attempt,
    CommitInDoubtError,
    ConfigError,
    ControlRoomError,
    DataError,
    Disposition,
    ExternalAPIError,
    InvalidRecordError,
    PoolExhaustedError,
)
from tests.unit.errors.every_class import EVERY_CLASS, raised_sample_of, sample_of

IDS = [cls.__name__ for cls in EVERY_CLASS]


class RaisingText:
    def __str__(self) -> str:
        raise LookupError("no text")


def test_the_text_ends_with_the_code() -> None:
    assert str(DataError("Row 7 is wrong.")) == "Row 7 is wrong. [data]"
    assert str(DataError("Row 7 is wrong.\nIt was set aside.")) == "Row 7 is wrong.\nIt was set aside.\n[data]"
    assert str(DataError("")) == "[data]"
    assert str(DataError("  indented ")) == "  indented  [data]"
    assert repr(DataError("Row 7")) == "DataError('Row 7', code='data')"
    assert DataError("Row 7").args == ("Row 7",)


def test_to_dict_says_all_there_is() -> None:
    error = InvalidRecordError("Bad row", line=7, retry_after_s=1, attempts=[Attempt(1, "x", 0.5, "because")])
    error.add_note("noted")

    assert error.to_dict() == {
        "type": "InvalidRecordError",
        "code": "invalid-record",
        "message": "Bad row",
        "disposition": "quarantine",
        "exit_code": 65,
        "retry_after_s": 1.0,
        "line": 7,
        "attempts": [{"number": 1, "error": "x", "wait_s": 0.5, "reason": "because"}],
        "notes": ["noted"],
        "causes": [],
    }


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_to_dict_is_valid_json_without_any_help(cls: type[ControlRoomError]) -> None:
    told = raised_sample_of(cls).to_dict()

    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert len(told["causes"]) == 2


@pytest.mark.parametrize("attempts", [(), [], None])
def test_no_attempts_are_an_empty_tuple(attempts: Any) -> None:
    assert DataError("x", attempts=attempts).attempts == ()


def test_attempts_may_be_assigned() -> None:
    error = DataError("x")
    error.attempts = (Attempt(1, "x", None, "last"),)

    assert error.to_dict()["attempts"] == [{"number": 1, "error": "x", "wait_s": None, "reason": "last"}]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        (0, 0.0),
        (2.5, 2.5),
        (-3, 0.0),
        ("7", 7.0),
        (float("nan"), None),
        (float("inf"), None),
        (float("-inf"), None),
        (10**400, None),
        ("soon", None),
        ([], None),
    ],
)
def test_whatever_a_server_asks_to_wait_the_error_is_built(given: Any, kept: float | None) -> None:
    error = ExternalAPIError("x", retry_after_s=given)

    assert error.retry_after_s == kept
    assert type(error.retry_after_s) in {float, type(None)}


def test_two_errors_are_equal_only_if_they_are_one() -> None:
    error = DataError("x")

    assert error != DataError("x")
    assert len({error, DataError("x"), error}) == 2


def test_a_message_may_be_anything() -> None:
    assert DataError(RaisingText()).message == "<RaisingText whose text raised LookupError>"
    assert DataError(b"caf\xc3\xa9 \xff").message == "café \\xff"
    assert DataError(7).args == ("7",)


def test_a_message_may_be_set_again() -> None:
    error = DataError("x")
    error.message = 7

    assert error.message == "7"
    assert str(error) == "7 [data]"


def test_args_may_be_set_as_of_every_exception() -> None:
    error = DataError("x")
    error.args = ("a", {1: RaisingText()})

    assert error.args == ("a", {"1": "<RaisingText whose text raised LookupError>"})


class Live:
    """What must not be kept: like a response, it holds a connection."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle a socket")

    def __str__(self) -> str:
        return "<Live [503]>"


def test_live_objects_are_kept_as_their_text() -> None:
    loop: dict[str, Any] = {"response": Live()}
    loop["self"] = loop
    error = APIStatusError(
        "x", problem=loop, url=Live(), method=Live(), body_excerpt=b"\xff", checkpoint={"at": Live()}
    )

    assert error.problem == {"response": "<Live [503]>", "self": "…"}
    assert error.url == error.method == "<Live [503]>"
    assert error.body_excerpt == "\\xff"
    assert error.checkpoint == {"at": "<Live [503]>"}
    assert ConfigError("x", problems=[Live()]).problems == ("<Live [503]>",)
    assert PoolExhaustedError("x", holders=[Live()]).holders == ("<Live [503]>",)


def test_evidence_of_a_commit_is_readable_in_a_log_that_masks_by_name() -> None:
    from controlroom.redaction import redact

    error = CommitInDoubtError("x", token="0198c2c4")

    assert error.token == "0198c2c4"
    assert redact(error.to_dict())["commit_token"] == "0198c2c4"


# Subclasses of users


class PathError(DataError):
    """Its own signature, and a call to ours."""

    def __init__(self, path: str, seen_at: datetime, *, limit: float) -> None:
        super().__init__(f"{path} is wrong")
        self.path = path
        self.seen_at = seen_at
        self.limit = limit
        self._private = "private"


class ForgetfulError(DataError):
    """Its own signature, and no call to ours."""

    def __init__(self, path: str, line: int) -> None:
        self.path = path


@dataclasses.dataclass
class DataclassError(DataError):
    path: str
    line: int = 0


def test_attributes_of_a_subclass_are_told() -> None:
    told = PathError("a.csv", datetime(2026, 1, 5, tzinfo=UTC), limit=float("nan")).to_dict()

    assert (told["path"], told["seen_at"], told["limit"]) == ("a.csv", "2026-01-05T00:00:00+00:00", "nan")
    assert "_private" not in told
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    "error", [ForgetfulError("a.csv", 7), DataclassError("a.csv", 7)], ids=lambda e: type(e).__name__
)
def test_a_subclass_that_forgets_our_init_is_still_whole(error: DataError) -> None:
    assert error.message == "a.csv 7"
    assert error.disposition is Disposition.QUARANTINE
    assert (error.attempts, error.retry_after_s, error.exit_code) == ((), None, 65)
    assert error.to_dict()["path"] == "a.csv"
    assert str(error).startswith("a.csv 7 [")


class SlottedError(DataError):
    __slots__ = ("path", "unset")

    def __init__(self, path: str) -> None:
        super().__init__("x")
        self.path = path


def test_attributes_in_slots_are_told() -> None:
    assert SlottedError("a.csv").to_dict()["path"] == "a.csv"


class ReservedError(DataError):
    def __init__(self) -> None:
        super().__init__("m")
        self.type_ = "tsv"
        self.type__ = "psv"
        self.type = "csv"
        self.notes = "mine"
        self.members = 3


def test_attributes_named_like_our_keys_replace_nothing() -> None:
    told = ReservedError().to_dict()

    assert (told["type"], told["type_"], told["type__"], told["type___"]) == ("ReservedError", "tsv", "psv", "csv")
    assert (told["notes"], told["notes_"]) == ([], "mine")
    assert told["members"] == 3

    outer = DataError("outer")
    outer.__cause__ = ReservedError()
    outer.__cause__.add_note("n")
    cause = outer.causes[0]
    assert (cause["notes"], cause["notes_"], cause["type___"]) == (["n"], "mine", "csv")


@pytest.mark.parametrize("other", [ValueError, OSError, KeyError, RuntimeError, StopIteration, AttributeError])
def test_an_error_may_also_be_one_of_the_standard_library(other: type[Exception]) -> None:
    both = type("Both", (DataError, other), {})
    error = both("x", disposition=Disposition.STOP)

    assert isinstance(error, other)
    assert str(error) == "x [both]"
    assert error.to_dict()["message"] == "x"


# Notes


def test_there_are_no_notes_until_there_is_one() -> None:
    assert not hasattr(DataError("x"), "__notes__")
    assert DataError("x").to_dict()["notes"] == []


def test_notes_behave_as_those_of_every_exception() -> None:
    error = DataError("x")
    error.add_note("one")
    error.__notes__.append("two")
    assert error.__notes__ == ["one", "two"]

    error.__notes__ = ["three"]
    error.add_note("four")
    assert error.__notes__ == ["three", "four"]
    assert traceback.format_exception(error)[-2:] == ["three\n", "four\n"]

    error.__notes__ = "five"
    assert error.__notes__ == ["five"]
    assert "__notes__" not in error.to_dict()


def test_a_note_that_is_no_text_is_refused_as_by_every_exception() -> None:
    with pytest.raises(TypeError, match="a note is str, not int"):
        DataError("x").add_note(7)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_no_attribute_of_ours_is_named_like_a_key_of_to_dict(cls: type[ControlRoomError]) -> None:
    assert [key for key in sample_of(cls).to_dict() if key.endswith("_")] == []


def test_a_message_that_is_a_whole_body_is_cut_and_says_so() -> None:
    error = DataError("x" * 10_000_000)

    assert error.message == f"{'x' * 65536}…(+{10_000_000 - 65536} characters)"
    assert pickle.loads(pickle.dumps(error)).message == error.message
