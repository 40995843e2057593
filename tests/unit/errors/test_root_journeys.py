"""Errors cross processes: what cannot be pickled breaks a pool, and what cannot be unpickled hangs it for good."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from collections.abc import Callable
from typing import Any, Self

import pytest

from controlroom.errors import APIStatusError, Attempt, ControlRoomError, DataError, Disposition, ExternalAPIError
from tests.unit.errors.every_class import EVERY_CLASS, raised_sample_of, whole
from tests.unit.errors.test_root import DataclassError, ForgetfulError, Live, PathError, ReservedError, SlottedError

IDS = [cls.__name__ for cls in EVERY_CLASS]
PLAIN = (str, int, float, bool, type(None), dict, list, tuple, Attempt, Disposition)


def pickled_with(protocol: int) -> Callable[[Any], Any]:
    return lambda error: pickle.loads(pickle.dumps(error, protocol))


JOURNEYS = {f"pickle {n}": pickled_with(n) for n in range(pickle.HIGHEST_PROTOCOL + 1)}
JOURNEYS |= {"copy": copy.copy, "deepcopy": copy.deepcopy, "twice": lambda e: copy.deepcopy(copy.deepcopy(e))}


@pytest.mark.parametrize("journey", JOURNEYS.values(), ids=list(JOURNEYS))
@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_every_class_arrives_whole(cls: type[ControlRoomError], journey: Callable[[Any], Any]) -> None:
    error = raised_sample_of(cls)
    arrived = journey(error)

    assert arrived is not error
    assert whole(arrived) == whole(error)
    assert len(arrived.causes) == 2
    assert arrived.__traceback__ is None


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_an_error_holds_nothing_but_data(cls: type[ControlRoomError]) -> None:
    error = pickle.loads(pickle.dumps(raised_sample_of(cls)))
    waiting, seen = [vars(error)], set()
    while waiting:
        value = waiting.pop()
        assert type(value) in PLAIN
        if id(value) not in seen and not isinstance(value, Disposition):
            seen.add(id(value))
            waiting += [one for one in gc.get_referents(value) if not isinstance(one, type)]

    assert len(seen) > 3


def test_a_deep_copy_shares_nothing_that_changes() -> None:
    error = APIStatusError("x", problem={"errors": ["a"]})
    copied = copy.deepcopy(error)
    copied.problem["errors"].append("b")
    copied.add_note("n")

    assert error.problem == {"errors": ["a"]}
    assert not hasattr(error, "__notes__")


def test_a_subclass_arrives_whatever_its_init_takes() -> None:
    from datetime import UTC, datetime

    for error in (PathError("a", datetime(2026, 1, 5, tzinfo=UTC), limit=0.5), ForgetfulError("a", 7), ReservedError()):
        arrived = pickle.loads(pickle.dumps(error))
        assert whole(arrived) == whole(error)

    dataclassed = pickle.loads(pickle.dumps(DataclassError("a.csv", 7)))
    assert (dataclassed.path, dataclassed.line, dataclassed.message) == ("a.csv", 7, "a.csv 7")


def test_slots_arrive() -> None:
    arrived = pickle.loads(pickle.dumps(SlottedError("a.csv")))

    assert arrived.path == "a.csv"
    assert not hasattr(arrived, "unset")
    assert pickle.loads(pickle.dumps(SlottedError(Live()))).path == "<Live [503]>"


class ConstructedError(DataError):
    """Its own __new__, which takes the message."""

    def __new__(cls, message: str) -> Self:
        return super().__new__(cls, message)


def test_a_subclass_arrives_that_takes_its_message_in_new() -> None:
    arrived = pickle.loads(pickle.dumps(ConstructedError("x")))

    assert whole(arrived) == whole(ConstructedError("x"))


class BothError(DataError, OSError):
    """Also an error of the standard library, with a layout of its own in C."""


def test_an_error_that_is_also_an_oserror_arrives() -> None:
    arrived = pickle.loads(pickle.dumps(BothError("x", retry_after_s=1)))

    assert isinstance(arrived, OSError)
    assert whole(arrived) == whole(BothError("x", retry_after_s=1))


class UnloadableError(Exception):
    """Pickles, and fails where it is unpickled: as httpx.HTTPStatusError does (encode/httpx #1990)."""

    def __init__(self, message: str, *, response: object) -> None:
        super().__init__(message)


def error_with(value: object) -> DataError:
    error = DataError("x")
    error.extra = value
    return error


@pytest.mark.parametrize(
    ("value", "arrives_as"),
    [
        (Live(), "<Live [503]>"),
        ({"a": [Live(), 1], "b": (Live(),), "s": {7}, "f": frozenset({7})}, None),
        (UnloadableError("gone", response=1), "gone"),
        (lambda: 1, None),
    ],
)
def test_an_attribute_that_cannot_travel_arrives_as_its_text(value: object, arrives_as: Any) -> None:
    arrived = pickle.loads(pickle.dumps(error_with(value)))

    if isinstance(value, dict):
        assert arrived.extra == {"a": ["<Live [503]>", 1], "b": ("<Live [503]>",), "s": {7}, "f": frozenset({7})}
    elif arrives_as is None:
        assert arrived.extra == str(value)
    else:
        assert arrived.extra == arrives_as


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_number_that_python_refuses_to_write_travels_as_a_remark(protocol: int) -> None:
    error = error_with(10**5000)
    error.known = ExternalAPIError("x", method=10**5000).method
    arrived = pickle.loads(pickle.dumps(error, protocol))

    assert arrived.extra == arrived.known == "<int whose text raised ValueError>"


def test_the_error_that_stays_keeps_its_live_attribute() -> None:
    lock = threading.Lock()
    error = error_with(lock)
    pickle.dumps(error)

    assert error.extra is lock


def test_an_attribute_that_leads_back_to_the_error_arrives_as_its_text() -> None:
    error = error_with(None)
    error.extra = error

    assert pickle.loads(pickle.dumps(error)).extra == "x [data]"
    assert copy.deepcopy(error).extra == "x [data]"


def test_a_thread_that_never_pickled_an_error_tries_too() -> None:
    arrived: list[ControlRoomError] = []
    thread = threading.Thread(target=lambda: arrived.append(pickle.loads(pickle.dumps(error_with(Live())))))
    thread.start()
    thread.join()

    assert [error.extra for error in arrived] == ["<Live [503]>"]


def test_an_attribute_that_contains_itself_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    arrived = pickle.loads(pickle.dumps(error_with(loop))).extra

    depth = 0
    while arrived != "…":
        (arrived,) = arrived
        depth += 1
    assert depth == 32


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


def test_an_attribute_that_can_travel_arrives_as_it_is() -> None:
    arrived = pickle.loads(pickle.dumps(error_with({"p": Point(3), "b": b"\xff", "d": Disposition.STOP})))

    assert arrived.extra["p"].x == 3
    assert arrived.extra["b"] == b"\xff"
    assert arrived.extra["d"] is Disposition.STOP


def test_a_checkpoint_travels_as_it_is_and_is_shown_masked() -> None:
    checkpoint = {"next": "https://api/x?token=position-7", "token": "abc"}
    arrived = pickle.loads(pickle.dumps(ExternalAPIError("x", checkpoint=checkpoint)))

    assert arrived.checkpoint == checkpoint
    assert arrived.to_dict()["checkpoint"] == {"next": "https://api/x?token=***", "token": "***"}


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_the_checkpoint_of_a_walk_travels_with_an_error_of_any_class(cls: type[ControlRoomError]) -> None:
    error = cls("x")
    error.checkpoint = {"next": {"params": {"token": "tok-7c1f"}}}

    arrived = pickle.loads(pickle.dumps(error))

    assert arrived.checkpoint == {"next": {"params": {"token": "tok-7c1f"}}}
    assert "tok-7c1f" not in str(arrived.to_dict())


def test_the_callers_checkpoint_is_copied() -> None:
    checkpoint = {"pages": [1]}
    error = ExternalAPIError("x", checkpoint=checkpoint)
    checkpoint["pages"].append(2)

    assert error.checkpoint == {"pages": [1]}
