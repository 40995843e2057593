"""No text of an error shows a secret, also if it became one after the error was built."""

from __future__ import annotations

import json
import pickle
import traceback
from typing import Any

import pytest

from controlroom.errors import Attempt, ControlRoomError, DataError, ExternalAPIError, cause_chain, text
from controlroom.redaction import MASK, register_secret
from tests.unit.errors.every_class import EVERY_CLASS, SAMPLES, keywords_of, sample_of

IDS = [cls.__name__ for cls in EVERY_CLASS]
CANARY = "c4n4ry-s3cr3t"
VERBATIM = "checkpoint"


def planted(value: Any) -> Any:
    """*value* with the canary in every text of it."""
    match value:
        case Attempt():
            return Attempt(value.number, f"{value.error} {CANARY}", value.wait_s, f"{value.reason} {CANARY}")
        case str():
            return f"{value} {CANARY}"
        case dict():
            return {f"{key} {CANARY}": planted(item) for key, item in value.items()}
        case list() | tuple():
            return [planted(item) for item in value]
        case _:
            return value


def poisoned(cls: type[ControlRoomError]) -> ControlRoomError:
    arguments = {name: planted(SAMPLES[name]) for name in keywords_of(cls) if name not in {VERBATIM, "disposition"}}
    error = cls(f"It failed: {CANARY}.", **arguments)
    error.add_note(f"note {CANARY}")
    inner = DataError(f"inner {CANARY}")
    inner.add_note(f"inner note {CANARY}")
    error.__cause__ = ExceptionGroup(f"group {CANARY}", [ValueError(CANARY), inner])
    return error


def own_texts(error: ControlRoomError) -> str:
    """Everything that *error* itself shows anywhere."""
    error.__cause__, cause = None, error.__cause__
    printed = traceback.format_exception(error)
    error.__cause__ = cause
    shown = [
        str(error),
        repr(error),
        error.message,
        error.args,
        error.to_dict(),
        error.causes,
        error.__notes__,
        printed,
    ]
    shown += [repr(error.attempts), [attempt.to_dict() for attempt in error.attempts]]
    return repr(shown) + json.dumps(error.to_dict())


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_no_class_shows_a_secret_anywhere(cls: type[ControlRoomError]) -> None:
    register_secret(CANARY)
    error = poisoned(cls)

    assert CANARY not in own_texts(error)
    assert CANARY not in repr(vars(error))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert CANARY.encode() not in pickle.dumps(error, protocol)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_no_class_shows_what_became_a_secret_later(cls: type[ControlRoomError]) -> None:
    error = poisoned(cls)
    travelled = pickle.loads(pickle.dumps(error))
    assert own_texts(error).count(CANARY) > 10
    register_secret(CANARY)

    for one in (error, travelled):
        assert CANARY not in own_texts(one)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert CANARY.encode() not in pickle.dumps(one, protocol)
        assert own_texts(one).count(MASK) > 10


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_masking_changes_nothing_that_holds_no_secret(cls: type[ControlRoomError]) -> None:
    before = sample_of(cls).to_dict()
    register_secret(CANARY)

    assert sample_of(cls).to_dict() == before


def test_args_of_a_subclass_that_forgets_our_init_are_masked() -> None:
    class ForgetfulError(DataError):
        def __init__(self, secret: str) -> None:
            pass

    register_secret(CANARY)
    error = ForgetfulError(f"token {CANARY}")

    assert (error.args, error.message) == (("token ***",), "token ***")


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError

    def __str__(self) -> str:
        return f"session of {CANARY}"


def test_the_text_that_stands_for_a_live_attribute_is_masked() -> None:
    register_secret(CANARY)
    error = DataError("x")
    error.session = [Unpicklable(), {CANARY: CANARY.encode()}]

    assert pickle.loads(pickle.dumps(error)).session == ["session of ***", {"***": b"***"}]
    assert error.to_dict()["session"] == ["session of ***", {"***": "***"}]


def test_notes_set_or_appended_from_outside_are_masked() -> None:
    register_secret(CANARY)
    error = DataError("x")
    error.__notes__ = [CANARY]
    error.__notes__.append(CANARY)

    assert error.__notes__ == ["***", "***"]
    assert CANARY not in "".join(traceback.format_exception(error))


def test_a_message_set_again_is_masked() -> None:
    register_secret(CANARY)
    error = DataError("x")
    error.message = CANARY

    assert error.message == "***"
    assert CANARY not in repr(vars(error))


def test_a_code_is_masked_too() -> None:
    register_secret("data")

    assert str(DataError("x")) == "x [***]"
    assert repr(DataError("x")) == "DataError('x', code='***')"
    assert DataError("x").to_dict()["code"] == "***"
    outer = ExternalAPIError("y")
    outer.__cause__ = DataError("x")
    assert outer.causes[0]["code"] == "***"


def test_causes_of_a_foreign_error_are_masked() -> None:
    register_secret(CANARY)
    error = ValueError("x")
    error.__cause__ = KeyError(CANARY)
    error.__cause__.__notes__ = [CANARY]

    assert cause_chain(error) == ({"type": "KeyError", "message": "'***'", "notes": ["***"]},)


def test_attributes_named_like_secrets_are_masked_inside_but_an_attribute_is_kept() -> None:
    error = ExternalAPIError("x", checkpoint={"api_key": "k"}, url="https://ada:lovelace@h/?sig=abc")

    assert error.to_dict()["checkpoint"] == {"api_key": MASK}
    assert error.url == "https://ada:***@h/?sig=***"


def test_without_the_redaction_texts_are_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    register_secret(CANARY)
    monkeypatch.setattr(text, "_redact", None)

    assert DataError(CANARY).message == CANARY
    assert Attempt(1, CANARY, None, "").error == CANARY
