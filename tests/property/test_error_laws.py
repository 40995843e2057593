"""Laws of every error class: it arrives whole, says only plain data, and no secret."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
import traceback
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import _RemoteTraceback
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import Attempt, ControlRoomError, DataError, Disposition, ExternalAPIError, cause_chain
from controlroom.redaction import forget_secrets, register_secret
from tests.unit.errors.every_class import EVERY_CLASS, SAMPLES, keywords_of, raised_sample_of, whole

CANARY = "c4n4ry-s3cr3t"
IDS = [cls.__name__ for cls in EVERY_CLASS]


class Hostile:
    """What a caller may pass without thinking: holds something live, cannot be pickled, cannot be printed."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle")

    def __str__(self) -> str:
        raise LookupError


texts = st.text(max_size=20) | st.just(CANARY) | st.just(f"https://u:p@h/?token={CANARY}")
numbers = st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()
odd = (
    st.sampled_from(
        [float("nan"), float("inf"), b"\xff", datetime(2026, 1, 5, tzinfo=UTC), Decimal("1.5"), Disposition.SKIP]
    )
    | st.builds(Hostile)
    | st.builds(lambda: 10**5000)
)
values = st.recursive(
    texts | numbers | odd,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.integers() | st.none() | st.booleans(), inner, max_size=4)
        | st.sets(texts | st.integers(), max_size=3)
    ),
    max_leaves=8,
)
attempts = st.builds(Attempt, number=st.integers(1, 9), error=texts, wait_s=st.none() | st.floats(0, 60), reason=texts)
SHAPED = {
    "attempts": st.lists(attempts, max_size=3),
    "checkpoint": st.none()
    | st.dictionaries(texts, st.recursive(st.text(max_size=9) | numbers, st.lists, max_leaves=4)),
    "disposition": st.none() | st.sampled_from(Disposition) | st.sampled_from([one.value for one in Disposition]),
    "holders": st.lists(texts, max_size=3),
    "limit": st.floats(),
    "needed_s": st.none() | st.floats(),
    "problem": st.none() | st.dictionaries(texts | st.integers(), values, max_size=4),
    "problems": st.lists(texts, max_size=3),
    "retry_after_s": st.none() | st.floats() | st.integers(),
    "signal": st.sampled_from([2, 15]),
    "status_code": st.integers(100, 599),
}


def strategy_of(name: str) -> st.SearchStrategy[Any]:
    if name in SHAPED:
        return SHAPED[name]
    return texts | values if isinstance(SAMPLES[name], str) else st.none() | st.integers()


@st.composite
def errors(draw: st.DrawFn, depth: int = 2) -> ControlRoomError:
    cls = draw(st.sampled_from(EVERY_CLASS))
    given_names = draw(st.sets(st.sampled_from(keywords_of(cls))))
    error = cls(draw(texts), **{name: draw(strategy_of(name)) for name in sorted(given_names)})
    for note in draw(st.lists(texts, max_size=2)):
        error.add_note(note)
    if depth:
        foreign = st.builds(ValueError, values) | st.builds(
            lambda m: ExceptionGroup("g", [m]), st.builds(KeyError, texts)
        )
        error.__cause__ = draw(st.none() | foreign | errors(depth - 1))
    return error


def as_json(error: ControlRoomError) -> str:
    """NaN is no equal of itself; its text is."""
    state = whole(error)
    return repr({key: value for key, value in state.items() if key != "type"}) + repr(state["type"])


@given(errors(), st.sampled_from([copy.copy, copy.deepcopy, *range(pickle.HIGHEST_PROTOCOL + 1)]))
def test_every_error_arrives_whole(error: ControlRoomError, journey: Any) -> None:
    arrived = journey(error) if callable(journey) else pickle.loads(pickle.dumps(error, journey))

    assert as_json(arrived) == as_json(error)


@given(errors())
def test_every_error_is_valid_json(error: ControlRoomError) -> None:
    told = error.to_dict()

    assert json.loads(json.dumps(told, allow_nan=False)) == told


@given(errors())
def test_no_error_shows_a_secret_whenever_it_became_one(error: ControlRoomError) -> None:
    try:
        register_secret(CANARY)
        cause, error.__cause__ = error.__cause__, None
        printed = "".join(traceback.format_exception(error))
        error.__cause__ = cause
        attributes = vars(error) | {"checkpoint": None}
        again = type(error)(error.message, attempts=error.attempts)
        texts = [
            printed,
            repr(error),
            error.to_dict(),
            error.causes,
            error.args,
            error.message,
            repr(again),
            again.args,
        ]
        # A checkpoint has no canary here: it travels as it is.
        assert CANARY not in repr(texts)
        checkpoint = getattr(error, "checkpoint", None)
        if CANARY not in repr(checkpoint):
            assert CANARY.encode() not in pickle.dumps(error)
        assert attributes
    finally:
        forget_secrets()


@given(values)
def test_an_attribute_may_be_anything(value: Any) -> None:
    error = DataError("x")
    error.extra = value
    arrived = pickle.loads(pickle.dumps(error))

    json.dumps(error.to_dict(), allow_nan=False)
    assert json.dumps(arrived.to_dict()) == json.dumps(pickle.loads(pickle.dumps(arrived)).to_dict())


@given(st.lists(st.builds(ValueError, texts) | errors(depth=0), min_size=1, max_size=6), st.data())
def test_any_tangle_of_causes_ends(tangle: list[BaseException], data: st.DataObject) -> None:
    for error in tangle:
        error.__cause__ = data.draw(st.sampled_from([*tangle, None]))
        error.__context__ = data.draw(st.sampled_from([*tangle, None]))
        error.__suppress_context__ = data.draw(st.booleans())
    told = cause_chain(tangle[0])

    assert len(told) < len(tangle)
    json.dumps(told, allow_nan=False)


# Real pools. In a worker an error is raised from another, as it is in life.


def fail_as(name: str) -> None:
    cls = next(one for one in EVERY_CLASS if one.__name__ == name)
    raise raised_sample_of(cls)


def fail_with_a_live_attribute(_: int) -> None:
    error = ExternalAPIError("x", checkpoint={"page": 7})
    error.response = Hostile()
    raise error


def same_but_for_the_pool(arrived: BaseException) -> None:
    expected = raised_sample_of(type(arrived))
    assert isinstance(arrived, ControlRoomError)
    assert whole(arrived) == whole(expected)
    assert whole(pickle.loads(pickle.dumps(arrived))) == whole(expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_every_class_survives_a_process_pool(start: str) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(start)) as pool:
        arrived = [pool.submit(fail_as, name).exception(timeout=60) for name in IDS]
        live = pool.submit(fail_with_a_live_attribute, 0).exception(timeout=60)

    assert [type(error).__name__ for error in arrived] == IDS
    for error in arrived:
        assert isinstance(error.__cause__, _RemoteTraceback)
        same_but_for_the_pool(error)
    assert live.response == "<Hostile whose text raised LookupError>"
    assert live.checkpoint == {"page": 7}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_every_class_survives_a_multiprocessing_pool(start: str) -> None:
    with multiprocessing.get_context(start).Pool(1) as pool:
        pending = [pool.apply_async(fail_as, (name,)) for name in IDS]
        pending.append(pool.apply_async(fail_with_a_live_attribute, (0,)))
        arrived = []
        for result in pending:
            with pytest.raises(ControlRoomError) as caught:
                result.get(timeout=60)
            arrived.append(caught.value)

    for error in arrived[:-1]:
        assert type(error.__cause__).__name__ == "RemoteTraceback"
        same_but_for_the_pool(error)
    assert arrived[-1].response == "<Hostile whose text raised LookupError>"
