from __future__ import annotations

from typing import Any

import pytest

from controlroom.errors import (
    ControlRoomError,
    FileOperationError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
)
from controlroom.policy.flow import Crash, drive
from controlroom.policy.object_calls import Call, note_earlier
from controlroom.policy.s3_copies import Copied, Located
from controlroom.policy.s3_copying import copy
from controlroom.policy.s3_moving import delete, delete_many, move
from controlroom.policy.s3_probing import Capability
from tests.unit.policy.s3_model import S3Model, lost, refused
from tests.unit.policy.test_s3_copying import CONTENT, failing, in_parts, on, work

HERE = Located("a", "s3://bucket/a")


@pytest.fixture(params=[True, False], ids=["conditional", "looking first"])
def model(request: pytest.FixtureRequest) -> S3Model:
    model = S3Model(*([] if request.param else [Capability.DELETE_IF_MATCH]))
    model.put("a", CONTENT)
    return model


def run(model: S3Model, **kwargs: Any) -> Copied:
    return drive(move(work(**kwargs)), model.perform)


def contents(model: S3Model) -> dict[str, bytes]:
    return {key: thing.body for key, thing in model.things.items()}


def test_a_moved_object_is_under_its_new_name_only(model: S3Model) -> None:
    assert run(model).size_bytes == 10
    assert contents(model) == {"b": CONTENT}


def test_onto_itself_nothing_is_lost(model: S3Model) -> None:
    run(model, target="a")
    with pytest.raises(ObjectExistsError):
        run(model, target="a", if_absent=True)
    assert contents(model) == {"a": CONTENT}


def test_what_is_not_there_is_not_moved(model: S3Model) -> None:
    with pytest.raises(ObjectNotFoundError):
        run(model, source="none")


def test_what_is_there_is_not_moved_over(model: S3Model) -> None:
    model.put("b", b"theirs")
    with pytest.raises(ObjectExistsError):
        run(model, if_absent=True)
    assert contents(model) == {"a": CONTENT, "b": b"theirs"}


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize("make", [work, in_parts], ids=["at once", "in parts"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_moving_again_after_a_crash_at_any_call_ends_the_move(make: Any, when: str, if_absent: bool) -> None:
    steps = 0
    while True:
        model = S3Model()
        model.put("a", CONTENT)
        left = steps

        def crash(call: Call) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash

        setattr(model, when, crash)
        try:
            drive(move(make(if_absent=if_absent)), model.perform)
        except Crash:
            assert CONTENT in contents(model).values()
            assert set(contents(model).values()) == {CONTENT}
        else:
            break
        setattr(model, when, lambda _: None)
        if "a" in model.things:
            drive(move(make(if_absent=if_absent, write_id="again")), model.perform)
        assert contents(model) == {"b": CONTENT}
        steps += 1
    assert steps >= 4


@pytest.mark.parametrize("make", [work, in_parts], ids=["at once", "in parts"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_lost_answer_loses_the_object_or_lies_about_it(make: Any, when: str) -> None:
    steps = 0
    while True:
        model = S3Model()
        model.put("a", CONTENT)
        left = steps

        def lose(call: Call) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                raise lost()

        setattr(model, when, lose)
        try:
            drive(move(make(if_absent=True)), model.perform)
        except ControlRoomError:
            assert set(contents(model).values()) == {CONTENT}
            assert "a" in model.things, "an error although it was moved"
        else:
            assert contents(model) == {"b": CONTENT}
        if left >= 0:
            return
        steps += 1


def test_the_copy_of_an_earlier_version_is_taken(model: S3Model) -> None:
    model.before = on("DeleteObject", failing(Crash()))
    with pytest.raises(Crash):
        run(model, if_absent=True)
    model.before = lambda _: None
    model.put("a", CONTENT)  # the same bytes, published anew

    with pytest.raises(ObjectExistsError):
        run(model, if_absent=True, write_id="again")


@pytest.mark.parametrize("gone", [False, True])
def test_a_source_that_changed_after_it_was_copied_is_not_removed(model: S3Model, gone: bool) -> None:
    looks = ["target, after the copy", "source"]

    def change() -> None:
        if looks and looks.pop().startswith("target"):
            model.things.pop("a") if gone else model.put("a", b"other")

    model.after = on("HeadObject", change)
    with pytest.raises(ObjectChangedError, match="while it was copied"):
        run(model)
    assert contents(model) == ({"b": CONTENT} if gone else {"a": b"other", "b": CONTENT})


def test_a_removal_whose_answer_was_lost_is_a_success(model: S3Model) -> None:
    model.after = on("DeleteObject", failing(lost()))
    run(model)
    assert contents(model) == {"b": CONTENT}


def test_a_removal_that_was_repeated_and_found_nothing_is_a_success() -> None:
    model = S3Model()
    model.put("a", CONTENT)
    error = refused(ObjectNotFoundError, "NoSuchKey")
    note_earlier(error, "unknown")
    model.after = on("DeleteObject", failing(error))
    run(model)
    assert contents(model) == {"b": CONTENT}


def test_a_removal_that_did_not_happen_says_what_is_where(model: S3Model) -> None:
    for error in (lost(), StorageUnavailableError("503", sent="yes"), StorageAccessError("denied")):
        model.put("a", CONTENT)
        model.before = on("DeleteObject", failing(error))
        with pytest.raises(type(error)) as failed:
            run(model)
        assert "moving again ends it" in failed.value.__notes__[-1]
        assert contents(model) == {"a": CONTENT, "b": CONTENT}


def test_a_removal_after_which_nobody_can_look_is_no_success(model: S3Model) -> None:
    def cut() -> None:
        model.before = on("HeadObject", failing(lost()))
        raise lost()

    model.before = on("DeleteObject", cut)
    with pytest.raises(StorageUnavailableError):
        run(model)

    def interrupt() -> None:
        model.before = on("HeadObject", failing(KeyboardInterrupt()))
        raise lost()

    model.before = on("DeleteObject", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(model)
    assert "a" in model.things


def test_an_interrupted_removal_is_an_interruption(model: S3Model) -> None:
    model.before = on("DeleteObject", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(model)


def test_a_source_that_was_replaced_after_its_removal_in_doubt_is_left(model: S3Model) -> None:
    def replaced() -> None:
        model.put("a", b"other")
        raise lost()

    model.after = on("DeleteObject", replaced)
    with pytest.raises(ObjectChangedError, match="while it was copied"):
        run(model)
    assert contents(model)["a"] == b"other"


def test_of_two_who_move_one_object_one_succeeds() -> None:
    """The second finds the first one's copy, takes it over, and is faster at the removal: then the first has lost."""
    model = S3Model()
    model.put("a", CONTENT)
    second: list[str] = []

    def race() -> None:
        if not second:
            second.append("began")
            run(model, if_absent=True, write_id="second")

    model.before = on("DeleteObject", race)
    with pytest.raises(ObjectChangedError, match="removed"):
        run(model, if_absent=True, write_id="first")
    assert contents(model) == {"b": CONTENT}


def test_who_takes_a_copy_over_leaves_no_upload_of_its_own() -> None:
    model = S3Model()
    model.put("a", CONTENT)
    drive(copy(in_parts(if_absent=True)), model.perform)
    drive(move(in_parts(if_absent=True, write_id="second")), model.perform)

    assert contents(model) == {"b": CONTENT}
    assert (model.uploads, model.noted) == ({}, set())


def test_who_took_a_copy_over_wins_only_by_a_removal_that_was_confirmed() -> None:
    model = S3Model()
    model.put("a", CONTENT)
    model.before = on("DeleteObject", failing(Crash()))
    with pytest.raises(Crash):
        run(model, if_absent=True)
    model.before = lambda _: None
    model.after = on("DeleteObject", failing(lost()))

    with pytest.raises(ObjectChangedError):
        run(model, if_absent=True, write_id="second")


def test_deleting_can_be_repeated(model: S3Model) -> None:
    for _ in range(2):
        drive(delete(HERE), model.perform)
    model.before = on("DeleteObject", failing(refused(ObjectNotFoundError, "NoSuchKey")))
    drive(delete(HERE), model.perform)
    model.before = on("DeleteObject", failing(lost()))
    with pytest.raises(StorageUnavailableError):
        drive(delete(HERE), model.perform)


def test_a_condition_that_would_be_ignored_is_refused() -> None:
    model = S3Model(Capability.DELETE_IF_MATCH)
    etag = model.put("a", CONTENT)
    with pytest.raises(FileOperationError, match="ignores If-Match"):
        drive(delete(HERE, etag), model.perform)
    assert contents(model) == {"a": CONTENT}


def test_only_what_is_unchanged_is_deleted() -> None:
    model = S3Model()
    etag = model.put("a", CONTENT)
    with pytest.raises(ObjectChangedError, match=f"expected etag x, but it is now {etag}"):
        drive(delete(HERE, "x"), model.perform)
    for change in (lambda: model.put("a", b"other"), lambda: model.things.pop("a", None)):
        model.put("a", CONTENT)
        model.before = on("DeleteObject", change)
        with pytest.raises(ObjectChangedError):
            drive(delete(HERE, etag), model.perform)
    model.before = lambda _: None
    with pytest.raises(ObjectChangedError, match="gone"):
        drive(delete(HERE, etag), model.perform)
    model.put("a", CONTENT)
    drive(delete(HERE, etag), model.perform)
    assert contents(model) == {}


def test_a_conditional_deletion_that_found_its_own_work_done_is_a_success() -> None:
    model = S3Model()
    etag = model.put("a", CONTENT)
    error = refused(ObjectNotFoundError, "NoSuchKey")
    note_earlier(error, "unknown")
    model.after = on("DeleteObject", failing(error))
    drive(delete(HERE, etag), model.perform)

    model.put("a", CONTENT)
    model.after = on("DeleteObject", failing(StorageUnavailableError("503")))
    with pytest.raises(StorageUnavailableError):
        drive(delete(HERE, etag), model.perform)


def many(count: int) -> list[Located]:
    return [Located(f"n{number}", f"s3://bucket/n{number}") for number in range(count)]


def test_many_are_deleted_a_thousand_a_request(model: S3Model) -> None:
    for thing in many(2001):
        model.put(thing.key, b"")
    drive(delete_many(many(2001)), model.perform)

    assert contents(model) == {"a": CONTENT}
    assert [len(call.params["Delete"]["Objects"]) for call in model.calls] == [1000, 1000, 1]
    drive(delete_many([]), model.perform)


class Stubborn(S3Model):
    """Deletes in batches what it likes."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__()
        self.errors = errors

    def _DeleteObjects(self, Delete: Any) -> Any:  # noqa: N802, N803 - as S3 names them
        keys = [entry["Key"] for entry in Delete["Objects"]]
        return {"Errors": [{"Key": key, "Code": self.errors[key]} for key in keys if key in self.errors]}


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ({"n1": "AccessDenied", "n2": "AccessDenied"}, StorageAccessError),
        ({"n1": "AccessDenied", "n2": "Strange"}, FileOperationError),
    ],
)
def test_every_failure_of_a_batch_is_raised(errors: dict[str, str], kind: type[Exception]) -> None:
    with pytest.raises(
        FileOperationError, match=r"2 objects could not be deleted: s3://bucket/n1 \(AccessDenied\)"
    ) as failed:
        drive(delete_many(many(3)), Stubborn(errors).perform)
    assert type(failed.value) is kind


def test_what_was_not_there_is_no_failure_and_what_may_pass_is_tried_alone() -> None:
    model = Stubborn({"n0": "NoSuchKey", "n1": "SlowDown"})
    model.put("n1", b"")
    drive(delete_many(many(2)), model.perform)
    assert contents(model) == {}

    model.before = on("DeleteObject", failing(StorageUnavailableError("503")))
    with pytest.raises(StorageUnavailableError, match="n1") as failed:
        drive(delete_many(many(2)), model.perform)
    assert isinstance(failed.value.__cause__, StorageUnavailableError)
    model.before = on("DeleteObject", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        drive(delete_many(many(2)), model.perform)


def test_a_batch_that_failed_whole_does_not_keep_the_others_from_being_tried(model: S3Model) -> None:
    for thing in many(1001):
        model.put(thing.key, b"")
    failures: list[BaseException] = [StorageUnavailableError("503")]
    model.before = on("DeleteObjects", lambda: failures and failing(failures.pop())())
    with pytest.raises(StorageUnavailableError, match="1000 objects could not be deleted") as failed:
        drive(delete_many(many(1001)), model.perform)

    assert "n1000" not in model.things
    assert sum(note.count("s3://") for note in failed.value.__notes__) == 980
    failures.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        drive(delete_many(many(1001)), model.perform)
