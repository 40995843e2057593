"""Every combination of what the server said, whether a try may have been done unseen, and what is there now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from controlroom.errors import (
    ChecksumMismatchError,
    ControlRoomError,
    DeadlineExceededError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    ShutdownRequested,
    StorageUnavailableError,
)
from controlroom.policy.flow import Flow, StepFailed, drive
from controlroom.policy.object_calls import Call, note_earlier
from controlroom.policy.s3_truth import Sight, look, outcome
from tests.unit.policy.s3_server import LOST, MINE, REFUSED, Server, found, publication

RIVAL = "b" * 32
NONE = ObjectNotFoundError("none")
SILENCE = StorageUnavailableError("no answer", sent="unknown")
ABSENT: dict[str, Any] = {"if_absent": True}
MATCH: dict[str, Any] = {"if_match": "e1"}
SUPERSEDED = found(RIVAL, **{"Controlroom-Replaced": "e2"})
IN_OUR_PLACE = found(RIVAL, **{"Controlroom-Replaced": "e1"})


def refused(kind: type[ControlRoomError] = ObjectChangedError, *, unseen: bool = False) -> ControlRoomError:
    error = kind("refused, and an earlier try is open" if unseen else "refused")
    note_earlier(error, "unknown" if unseen else "yes")
    return error


def judged(
    error: BaseException, present: Mapping[str, Any] | BaseException, conditions: dict[str, Any]
) -> Mapping[str, Any] | None:
    def flow() -> Flow[Any, Mapping[str, Any] | None]:
        failed = StepFailed(Call("PutObject"), error)
        return (yield from outcome(publication(**conditions), failed, "PutObject"))

    return drive(flow(), Server(present=[present]).perform)  # type: ignore[list-item]  # a dict, or an error


@pytest.mark.parametrize("conditions", [{}, ABSENT, MATCH], ids=str)
@pytest.mark.parametrize(
    "error",
    [
        LOST,
        refused(),
        refused(unseen=True),
        refused(ObjectNotFoundError),
        refused(ObjectNotFoundError, unseen=True),
        refused(ChecksumMismatchError, unseen=True),
    ],
    ids=repr,
)
def test_an_object_that_carries_our_id_was_made_by_us_whatever_the_last_answer_said(
    error: ControlRoomError, conditions: dict[str, Any]
) -> None:
    if conditions or not isinstance(error, ObjectChangedError):
        assert judged(error, found(), conditions) == found()


@pytest.mark.parametrize("present", [found(RIVAL), IN_OUR_PLACE, NONE, SILENCE], ids=str)
@pytest.mark.parametrize(("conditions", "kind"), [(ABSENT, ObjectExistsError), (MATCH, ObjectChangedError)], ids=str)
def test_refused_and_none_of_ours_unseen_is_lost_whatever_is_there_now(
    present: Any, conditions: dict[str, Any], kind: type[ControlRoomError]
) -> None:
    error = refused()
    with pytest.raises(kind) as lost:
        judged(error, present, conditions)
    assert lost.value.__cause__ is error


def test_no_object_under_a_condition_on_its_etag_is_lost() -> None:
    with pytest.raises(ObjectChangedError, match="another or gone"):
        judged(refused(ObjectNotFoundError), NONE, MATCH)
    with pytest.raises(ObjectChangedError, match="now e9"):
        judged(refused(ObjectNotFoundError), found(RIVAL, etag="e9"), MATCH)


@pytest.mark.parametrize(
    ("error", "present", "conditions"),
    [
        (LOST, found(RIVAL), {}),
        (LOST, found(RIVAL), ABSENT),
        (LOST, IN_OUR_PLACE, MATCH),
        (LOST, NONE, {}),
        (LOST, NONE, ABSENT),
        (LOST, SILENCE, {}),
        (refused(unseen=True), NONE, ABSENT),
        (refused(unseen=True), SILENCE, ABSENT),
        (refused(unseen=True), SUPERSEDED, MATCH),
        (refused(unseen=True), found(RIVAL), MATCH),
        (refused(unseen=True), NONE, MATCH),
        (refused(ObjectNotFoundError, unseen=True), NONE, {}),
        (refused(ObjectNotFoundError, unseen=True), found(RIVAL), {}),
        (refused(ChecksumMismatchError, unseen=True), NONE, {}),
    ],
    ids=str,
)
def test_what_may_have_been_done_unseen_and_is_not_there_is_in_doubt(
    error: ControlRoomError, present: Any, conditions: dict[str, Any]
) -> None:
    with pytest.raises(PublicationInDoubtError, match="Call reconcile") as doubt:
        judged(error, present, conditions)
    assert doubt.value.write_id == MINE
    assert doubt.value.__cause__ is error


def test_a_rival_that_replaced_what_we_wanted_to_replace_proves_that_we_lost() -> None:
    with pytest.raises(ObjectChangedError):
        judged(refused(unseen=True), IN_OUR_PLACE, MATCH)


def test_a_rival_under_a_name_that_both_wanted_to_create_proves_that_we_lost() -> None:
    with pytest.raises(ObjectExistsError):
        judged(refused(unseen=True), found(RIVAL), ABSENT)


@pytest.mark.parametrize("conditions", [{}, ABSENT, MATCH], ids=str)
@pytest.mark.parametrize(
    "error",
    [REFUSED, StorageUnavailableError("no way", sent="no"), DeadlineExceededError("late"), ChecksumMismatchError("x")],
    ids=repr,
)
def test_what_was_not_done_for_certain_goes_up_without_a_look(
    error: ControlRoomError, conditions: dict[str, Any]
) -> None:
    server = Server(present=[AssertionError("nobody looks")])  # type: ignore[list-item]  # raised if it is asked for

    def flow() -> Flow[Any, Any]:
        return (yield from outcome(publication(**conditions), StepFailed(Call("PutObject"), error), "PutObject"))

    assert drive(flow(), server.perform) is None
    assert server.steps == []


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit()], ids=repr)
def test_an_interrupt_goes_up_without_a_look(interrupt: BaseException) -> None:
    assert judged(interrupt, AssertionError("nobody looks"), {}) is None


def test_a_wait_for_another_try_that_a_shutdown_ended_leaves_the_earlier_try_to_be_judged() -> None:
    ended = ShutdownRequested("SIGTERM")
    ended.__context__ = LOST

    assert judged(ended, found(), ABSENT) == found()
    with pytest.raises(PublicationInDoubtError):
        judged(ended, NONE, ABSENT)
    assert judged(ShutdownRequested("SIGTERM"), found(), ABSENT) is None


def test_an_upload_that_is_gone_is_no_loss_where_what_was_to_be_replaced_is_there_still() -> None:
    gone = refused(ObjectNotFoundError)

    assert judged(gone, NONE, ABSENT) is None
    assert judged(gone, found(RIVAL, etag="e1"), MATCH) is None
    assert judged(gone, found(RIVAL), {}) is None


def test_looking_tells_nothing_there_from_nobody_answers() -> None:
    def seen(present: Any) -> Sight:
        return drive(look("k"), Server(present=[present]).perform)

    assert seen(NONE) == Sight()
    assert seen(SILENCE) == Sight(is_clear=False)
    assert (seen(found()).etag, Sight().etag) == ("e", None)
    with pytest.raises(KeyboardInterrupt):
        seen(KeyboardInterrupt())
