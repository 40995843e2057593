from __future__ import annotations

import json
import pickle
from itertools import pairwise
from typing import Any

import pytest

from controlroom.errors import Attempt, ControlRoomError, DatabaseError, DataError, ObjectExistsError, cause_chain


def linked(*errors: BaseException) -> BaseException:
    """The first error, each one caused by the next."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def messages(error: BaseException) -> list[str]:
    return [cause["message"] for cause in cause_chain(error)]


def test_an_error_without_causes_has_none() -> None:
    assert cause_chain(ValueError("x")) == ()
    assert DataError("x").causes == ()


def test_causes_are_told_nearest_first_with_their_full_names() -> None:
    error = linked(
        DataError("outer"), ValueError("a"), json.JSONDecodeError("b", "{", 1), ObjectExistsError("c", ref="k")
    )

    assert cause_chain(error) == (
        {"type": "ValueError", "message": "a"},
        {"type": "json.decoder.JSONDecodeError", "message": "b: line 1 column 2 (char 1)"},
        {
            "type": "controlroom.errors.ObjectExistsError",
            "message": "c",
            "code": "object-exists",
            "ref": "k",
            "retry_after_s": None,
        },
    )


def test_a_cause_of_ours_tells_its_attempts_and_any_cause_its_notes() -> None:
    cause = DataError("inner", attempts=[Attempt(1, "x", None, "last")])
    cause.add_note("ours")
    foreign = ValueError("v")
    foreign.add_note("theirs")

    first, second = cause_chain(linked(DataError("outer"), cause, foreign))

    assert first["attempts"] == [{"number": 1, "error": "x", "wait_s": None, "reason": "last"}]
    assert first["notes"] == ["ours"]
    assert second == {"type": "ValueError", "message": "v", "notes": ["theirs"]}


def test_what_was_handled_meanwhile_is_a_cause_unless_from_none() -> None:
    error = DataError("x")
    error.__context__ = ValueError("context")
    assert messages(error) == ["context"]

    error.__cause__ = None  # what `raise … from None` does
    assert messages(error) == []


def test_an_explicit_cause_goes_before_the_context() -> None:
    error = DataError("x")
    error.__context__ = ValueError("context")
    error.__cause__ = ValueError("cause")

    assert messages(error) == ["cause"]


class EmptyError(Exception):
    """Falsy, as an exception that is also a collection may be."""

    def __len__(self) -> int:
        return 0


def test_a_falsy_cause_is_a_cause() -> None:
    assert [cause["type"].rpartition(".")[2] for cause in cause_chain(linked(DataError("x"), EmptyError()))] == [
        "EmptyError"
    ]


def test_a_loop_of_causes_ends() -> None:
    a, b, c = DataError("a"), ValueError("b"), DataError("c")
    linked(a, b, c, a)

    assert messages(a) == ["b", "c"]
    linked(b, b)
    assert messages(b) == []


def test_a_chain_of_a_thousand_ends_at_twenty() -> None:
    assert messages(linked(*(ValueError(str(n)) for n in range(1000)))) == [str(n) for n in range(1, 21)]


def test_a_group_tells_its_members_and_their_causes() -> None:
    member = linked(ValueError("m1"), KeyError("why"))
    group = ExceptionGroup("both", [member, DataError("m2")])

    (told,) = cause_chain(linked(DataError("x"), group))

    assert told["type"] == "ExceptionGroup"
    assert told["message"] == "both (2 sub-exceptions)"
    assert told["members"] == [
        {"type": "ValueError", "message": "m1", "causes": [{"type": "KeyError", "message": "'why'"}]},
        {"type": "controlroom.errors.DataError", "message": "m2", "code": "data", "retry_after_s": None},
    ]


def test_a_group_in_its_own_chain_ends() -> None:
    member = ValueError("m")
    group = ExceptionGroup("g", [member, member])
    member.__cause__ = group

    (told,) = cause_chain(linked(DataError("x"), group))

    assert told["members"] == [{"type": "ValueError", "message": "m"}]


def test_groups_that_multiply_are_told_once_each() -> None:
    group: Exception = ValueError("leaf")
    for depth in range(60):
        group = ExceptionGroup(str(depth), [group, group])

    told = json.dumps(cause_chain(linked(DataError("x"), group)))

    assert told.count("ExceptionGroup") == 60
    assert told.count("leaf") == 1


def test_a_wide_group_is_told_up_to_twenty_members_and_a_forest_up_to_a_hundred() -> None:
    wide = ExceptionGroup("wide", [ValueError(str(n)) for n in range(30)])
    forest = ExceptionGroup(
        "forest", [ExceptionGroup("wide", [ValueError("leaf") for _ in range(30)]) for _ in range(30)]
    )

    assert len(cause_chain(linked(DataError("x"), wide))[0]["members"]) == 20
    told = json.dumps(cause_chain(linked(DataError("x"), forest)))
    assert told.count('"type"') == 99


def test_a_cause_that_cannot_be_printed_is_told_all_the_same() -> None:
    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise LookupError

    (told,) = cause_chain(linked(DataError("x"), UnprintableError()))

    assert told["message"] == "<UnprintableError whose text raised LookupError>"


@pytest.mark.parametrize("notes", ["text", None, 7, {"a": 1}])
def test_notes_that_are_no_list_do_no_harm(notes: Any) -> None:
    cause = ValueError("v")
    cause.__notes__ = notes

    assert cause_chain(linked(DataError("x"), cause)) == ({"type": "ValueError", "message": "v"},)


def travelled(error: ControlRoomError) -> ControlRoomError:
    return pickle.loads(pickle.dumps(error))


def test_causes_travel_as_data() -> None:
    error = linked(DataError("x"), ValueError("a"), DataError("b"), KeyError("c"))

    assert travelled(error).causes == error.causes
    assert travelled(travelled(error)).causes == error.causes
    assert travelled(error).__cause__ is None


def test_causes_of_a_traveller_that_is_raised_again_come_after_the_new_ones() -> None:
    arrived = travelled(linked(DataError("x"), ValueError("a"), KeyError("b")))
    arrived.__cause__ = RuntimeError("pool broke")

    assert messages(arrived) == ["pool broke", "a", "'b'"]
    assert messages(travelled(arrived)) == ["pool broke", "a", "'b'"]


def test_a_copy_with_the_same_live_causes_tells_each_once() -> None:
    error = linked(DataError("x"), ValueError("a"))
    copied = travelled(error)
    copied.__cause__ = error.__cause__

    assert messages(copied) == ["a"]


def test_a_traveller_as_a_cause_brings_its_causes() -> None:
    arrived = travelled(linked(DatabaseError("inner"), ValueError("a")))

    assert messages(linked(DataError("outer"), arrived)) == ["inner", "a"]
    assert messages(linked(ValueError("outer"), arrived)) == ["inner", "a"]


def test_causes_that_travelled_are_still_twenty_at_most() -> None:
    arrived = travelled(linked(DataError("x"), *(ValueError(str(n)) for n in range(30))))
    arrived.__cause__ = RuntimeError("new")

    assert messages(arrived) == ["new", *(str(n) for n in range(19))]


def remote_traceback(name: str) -> Exception:
    return type(name, (Exception,), {})("Traceback (most recent call last): …")


@pytest.mark.parametrize("name", ["_RemoteTraceback", "RemoteTraceback"])
def test_the_text_that_a_pool_puts_in_place_of_a_cause_is_no_cause_of_ours(name: str) -> None:
    arrived = travelled(linked(DataError("x"), ValueError("a")))
    arrived.__cause__ = remote_traceback(name)

    assert messages(arrived) == ["a"]
    assert messages(linked(ValueError("foreign"), remote_traceback(name))) == ["Traceback (most recent call last): …"]


def test_nobody_can_change_what_an_error_brought() -> None:
    arrived = travelled(linked(DataError("x"), DataError("a")))
    arrived.causes[0]["message"] = "changed"

    assert messages(arrived) == ["a"]
