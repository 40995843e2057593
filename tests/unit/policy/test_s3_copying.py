from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from controlroom.errors import (
    ChecksumMismatchError,
    ControlRoomError,
    FileOperationError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    StorageAccessError,
    StorageUnavailableError,
)
from controlroom.policy.flow import drive
from controlroom.policy.object_calls import Call, note_code, note_earlier
from controlroom.policy.s3_copies import Copied, Copying, Located
from controlroom.policy.s3_copying import copy
from controlroom.policy.s3_metadata import WRITE_ID
from controlroom.policy.s3_probing import Capability
from tests.unit.policy.s3_model import S3Model, lost, refused

CONTENT = b"0123456789"


def work(source: str = "a", target: str = "b", write_id: str = "mine", **kwargs: Any) -> Copying:
    here, there = (Located(key, f"s3://bucket/{key}") for key in (source, target))
    return Copying("bucket", here, there, write_id, **kwargs)


def in_parts(**kwargs: Any) -> Copying:
    return work(single_bytes=5, part_bytes=4, **kwargs)


def run(model: S3Model, task: Copying) -> Copied:
    return drive(copy(task), model.perform)


@pytest.fixture
def model() -> S3Model:
    model = S3Model()
    model.put(
        "a",
        CONTENT,
        {"t": "1"},
        ContentType="text/csv",
        Metadata={"x": "y", WRITE_ID: "another"},
        CacheControl="no-store",
    )
    return model


BOTH = pytest.mark.parametrize("make", [work, in_parts], ids=["at once", "in parts"])
Make = Callable[..., Copying]


def on(operation: str, action: Callable[[], object]) -> Callable[[Call], None]:
    def act(call: Call) -> None:
        if call.operation == operation:
            action()

    return act


def failing(error: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


LAST = {work: "CopyObject", in_parts: "CompleteMultipartUpload"}


@BOTH
def test_a_copy_keeps_what_the_source_has_and_carries_marks_of_its_own(model: S3Model, make: Make) -> None:
    done = run(model, make())

    copied = model.things["b"]
    assert (copied.body, copied.tags) == (CONTENT, {"t": "1"})
    assert (copied.about["ContentType"], copied.about["CacheControl"]) == ("text/csv", "no-store")
    assert copied.about["Metadata"]["x"] == "y"
    assert copied.about["Metadata"][WRITE_ID] == "mine"
    assert (done.size_bytes, done.sha256, done.is_own) == (10, "", True)
    assert done.etag == copied.about["ETag"].strip('"')
    assert (model.uploads, model.noted) == ({}, set())


def test_the_parts_are_cut_like_those_of_the_source_so_that_sums_over_sums_agree(model: S3Model) -> None:
    run(model, in_parts())
    model.calls.clear()
    drive(copy(work("b", "c", single_bytes=5, part_bytes=7)), model.perform)

    assert model.things["c"].about["parts"] == model.things["b"].about["parts"] == [4, 4, 2]


def test_the_sha256_that_was_recorded_is_handed_on(model: S3Model) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    model.put("a", CONTENT, Metadata={"controlroom-sha256": digest})

    assert run(model, work()).sha256 == digest
    assert drive(copy(work("b", "c")), model.perform).sha256 == digest


def test_onto_itself_nothing_is_done(model: S3Model) -> None:
    assert run(model, work("a", "a")).size_bytes == 10
    assert model.operations == ["HeadObject"]
    with pytest.raises(ObjectExistsError):
        run(model, work("a", "a", if_absent=True))


@BOTH
def test_only_what_is_absent_is_written(model: S3Model, make: Make) -> None:
    assert run(model, make(if_absent=True)).is_own
    before = model.things["b"]
    with pytest.raises(ObjectExistsError, match="exists already"):
        run(model, make(if_absent=True, write_id="again"))
    assert (model.things["b"] is before, model.uploads, model.noted) == (True, {}, set())


def test_where_a_condition_is_ignored_it_is_put_where_it_is_honoured(model: S3Model) -> None:
    model.lacks = {Capability.COPY_IF_ABSENT}
    run(model, work(if_absent=True))

    assert "CompleteMultipartUpload" in model.operations
    with pytest.raises(ObjectExistsError):
        run(model, work(if_absent=True, write_id="again"))
    assert model.uploads == {}


def test_where_every_condition_is_ignored_it_is_refused(model: S3Model) -> None:
    model.lacks = {Capability.COPY_IF_ABSENT, Capability.COMPLETE_IF_ABSENT}
    with pytest.raises(FileOperationError, match="ignores If-None-Match"):
        run(model, work(if_absent=True))
    assert model.operations == ["HeadObject"]


def test_of_nothing_no_part_is_copied(model: S3Model) -> None:
    model.lacks = {Capability.COPY_IF_ABSENT}
    model.put("a", b"", ContentType="text/csv")
    run(model, work(if_absent=True))

    assert (model.things["b"].body, model.things["b"].about["ContentType"]) == (b"", "text/csv")
    with pytest.raises(ObjectExistsError):
        run(model, work(if_absent=True, write_id="again"))


@BOTH
def test_a_lost_answer_to_our_own_copy_is_no_failure(model: S3Model, make: Make) -> None:
    model.after = on(LAST[make], failing(lost()))

    assert run(model, make(if_absent=True)).is_own
    assert (model.things["b"].body, model.uploads, model.noted) == (CONTENT, {}, set())


@BOTH
def test_a_repetition_that_meets_our_own_copy_is_no_failure(model: S3Model, make: Make) -> None:
    """The first attempt did it, its answer was lost, and the second is refused on account of it."""
    error = refused(ObjectChangedError, "PreconditionFailed")
    note_earlier(error, "unknown")
    model.after = on(LAST[make], failing(error))

    assert run(model, make(if_absent=True)).is_own


def test_an_upload_that_is_gone_since_it_was_completed_is_no_failure(model: S3Model) -> None:
    model.after = on("CompleteMultipartUpload", failing(refused(ObjectNotFoundError, "NoSuchUpload")))

    assert run(model, in_parts()).is_own


def test_an_upload_that_somebody_aborted_is_in_doubt_and_said_so(model: S3Model) -> None:
    model.before = on("CompleteMultipartUpload", model.uploads.clear)

    with pytest.raises(PublicationInDoubtError):
        run(model, in_parts())


@BOTH
def test_what_may_still_appear_is_in_doubt(model: S3Model, make: Make) -> None:
    model.before = on(LAST[make], failing(lost()))

    with pytest.raises(PublicationInDoubtError) as failed:
        run(model, make())
    assert failed.value.write_id == "mine"
    assert isinstance(failed.value.__cause__, StorageUnavailableError)


@BOTH
def test_doubt_that_cannot_be_cleared_stays_doubt(model: S3Model, make: Make) -> None:
    def cut() -> None:
        model.before = on("HeadObject", failing(lost()))
        raise lost()

    model.before = on(LAST[make], cut)
    with pytest.raises(PublicationInDoubtError):
        run(model, make())


@BOTH
def test_what_was_never_sent_is_no_doubt(model: S3Model, make: Make) -> None:
    model.before = on(LAST[make], failing(StorageUnavailableError("no connection", sent="no")))

    with pytest.raises(StorageUnavailableError, match="no connection"):
        run(model, make())
    assert ("b" in model.things, model.uploads, model.noted) == (False, {}, set())


@BOTH
@pytest.mark.parametrize("gone", [False, True])
def test_a_source_that_changed_before_it_was_copied_is_not_copied(model: S3Model, make: Make, gone: bool) -> None:
    operation = "CopyObject" if make is work else "UploadPartCopy"
    change = (lambda: model.things.pop("a", None)) if gone else (lambda: model.put("a", b"other"))
    model.before = on(operation, change)

    for if_absent in (False, True):
        model.put("a", CONTENT)
        with pytest.raises(ObjectChangedError, match="before it was copied"):
            run(model, make(if_absent=if_absent))
    assert ("b" in model.things, model.uploads) == (False, {})


def test_parts_of_two_versions_never_become_one_object_where_the_server_ignores_the_condition(model: S3Model) -> None:
    model.lacks = {Capability.COPY_SOURCE_IF_MATCH}
    parts: list[int] = []

    def change() -> None:
        parts.append(1)
        if len(parts) == 2:
            model.put("a", b"x" * 10)

    model.before = on("UploadPartCopy", change)
    with pytest.raises(ObjectChangedError):
        run(model, in_parts())
    assert ("b" in model.things, model.uploads) == (False, {})


def test_a_source_that_goes_before_its_tags_are_read_has_changed(model: S3Model) -> None:
    model.before = on("GetObjectTagging", lambda: model.things.pop("a"))

    with pytest.raises(ObjectChangedError):
        run(model, in_parts())


@BOTH
def test_a_copy_that_somebody_replaces_at_once_is_not_relied_upon(model: S3Model, make: Make) -> None:
    model.after = on(LAST[make], lambda: model.put("b", b"theirs", Metadata={WRITE_ID: "theirs"}))
    with pytest.raises(ObjectChangedError, match="right afterwards"):
        run(model, make())

    model.after = on(LAST[make], lambda: model.things.pop("b"))
    with pytest.raises(ObjectChangedError, match="right afterwards"):
        run(model, make())


@BOTH
def test_a_copy_of_another_length_is_no_copy(model: S3Model, make: Make) -> None:
    model.after = on(LAST[make], lambda: model.things["b"].about.update(ContentLength=9))

    with pytest.raises(ChecksumMismatchError) as failed:
        run(model, make())
    assert (failed.value.expected, failed.value.actual) == ("10", "9")


def test_a_copy_with_another_checksum_is_no_copy(model: S3Model) -> None:
    model.things["a"].about |= {"ChecksumCRC32": "AAAA", "ChecksumType": "FULL_OBJECT"}
    model.after = on("CopyObject", lambda: model.things["b"].about.update(ChecksumCRC32="BBBB"))

    with pytest.raises(ChecksumMismatchError):
        run(model, work())


def test_sums_of_another_kind_are_not_compared(model: S3Model) -> None:
    model.things["a"].about |= {"ChecksumCRC32": "AAAA", "ChecksumType": "FULL_OBJECT"}
    model.after = on(
        "CopyObject", lambda: model.things["b"].about.update(ChecksumCRC32="B-2", ChecksumType="COMPOSITE")
    )

    assert run(model, work()).is_own


@pytest.mark.parametrize(
    ("sums", "lacks", "asked"),
    [
        ({}, set(), {}),
        (
            {"ChecksumCRC32": "c", "ChecksumType": "FULL_OBJECT"},
            set(),
            {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"},
        ),
        ({"ChecksumCRC32": "c"}, {Capability.FULL_OBJECT}, {}),
        (
            {"ChecksumSHA256": "c-3"},
            {Capability.FULL_OBJECT},
            {"ChecksumAlgorithm": "SHA256", "ChecksumType": "COMPOSITE"},
        ),
    ],
)
def test_the_copy_is_summed_like_its_source_where_the_server_can(
    model: S3Model, sums: dict[str, str], lacks: set[Capability], asked: dict[str, str]
) -> None:
    model.things["a"].about |= sums
    model.lacks = lacks
    model.before = on("CompleteMultipartUpload", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(model, in_parts())

    created = next(call.params for call in model.calls if call.operation == "CreateMultipartUpload")
    assert {name: value for name, value in created.items() if name.startswith("Checksum")} == asked


def test_a_conflict_at_the_end_begins_the_upload_anew_and_not_for_ever(model: S3Model) -> None:
    conflict = StorageUnavailableError("409", sent="yes")
    note_code(conflict, "ConditionalRequestConflict")
    conflicts = [conflict]
    model.before = on("CompleteMultipartUpload", lambda: conflicts and failing(conflicts.pop())())
    assert run(model, in_parts()).is_own
    assert model.operations.count("CreateMultipartUpload") == 2

    model.before = on("CompleteMultipartUpload", failing(conflict))
    with pytest.raises(StorageUnavailableError):
        run(model, in_parts())
    assert model.operations.count("CreateMultipartUpload") == 5
    assert (model.uploads, model.noted) == ({}, set())


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), FileOperationError("refused")])
@pytest.mark.parametrize("operation", ["UploadPartCopy", "CompleteMultipartUpload"])
def test_an_upload_that_was_interrupted_is_aborted(model: S3Model, operation: str, interruption: Any) -> None:
    model.before = on(operation, failing(interruption))

    with pytest.raises(type(interruption)):
        run(model, in_parts())
    assert (model.uploads, model.noted) == ({}, set())


def test_an_upload_that_cannot_be_aborted_stays_noted_and_is_told_of(model: S3Model) -> None:
    def fail() -> None:
        model.before = on("AbortMultipartUpload", failing(FileOperationError("no")))
        raise FileOperationError("refused")

    model.before = on("UploadPartCopy", fail)
    with pytest.raises(FileOperationError, match="refused") as failed:
        run(model, in_parts())
    assert "could not be aborted" in failed.value.__notes__[0]
    assert len(model.noted) == len(model.uploads) == 1


def test_an_upload_that_somebody_else_aborted_is_forgotten(model: S3Model) -> None:
    def gone() -> None:
        model.uploads.clear()
        raise FileOperationError("refused")

    model.before = on("UploadPartCopy", gone)
    with pytest.raises(FileOperationError, match="refused"):
        run(model, in_parts())
    assert model.noted == set()


def test_an_abort_that_is_interrupted_says_so(model: S3Model) -> None:
    def fail() -> None:
        model.before = on("AbortMultipartUpload", failing(KeyboardInterrupt()))
        raise FileOperationError("refused")

    model.before = on("UploadPartCopy", fail)
    with pytest.raises(KeyboardInterrupt):
        run(model, in_parts())


def test_tags_that_an_upload_forgot_are_given_to_its_object(model: S3Model) -> None:
    model.forgets_tags = True
    run(model, in_parts())

    assert model.things["b"].tags == {"t": "1"}


@BOTH
def test_tags_can_be_dropped(model: S3Model, make: Make) -> None:
    run(model, make(tags="drop"))

    assert model.things["b"].tags == {}
    assert "GetObjectTagging" not in model.operations


@BOTH
def test_tags_can_be_refused(model: S3Model, make: Make) -> None:
    with pytest.raises(FileOperationError, match=r"has tags \(t\)"):
        run(model, make(tags="fail"))
    assert "b" not in model.things
    model.things["a"].tags.clear()
    assert run(model, make(tags="fail")).is_own


@BOTH
def test_a_right_that_is_missing_for_the_tags_is_named(model: S3Model, make: Make) -> None:
    operation = "CopyObject" if make is work else "GetObjectTagging"
    model.before = on(operation, failing(StorageAccessError("denied")))

    with pytest.raises(StorageAccessError) as failed:
        run(model, make())
    assert "s3:GetObjectTagging" in failed.value.__notes__[0]
    with pytest.raises(StorageAccessError) as failed:
        run(model, make(tags="drop")) if make is work else run(model, make(tags="fail"))


def test_tags_that_cannot_be_given_are_no_success(model: S3Model) -> None:
    model.forgets_tags = True
    model.before = on("PutObjectTagging", failing(StorageAccessError("denied")))

    with pytest.raises(StorageAccessError):
        run(model, in_parts())


def test_tags_that_cannot_be_read_for_another_reason_are_not_explained(model: S3Model) -> None:
    model.before = on("GetObjectTagging", failing(StorageUnavailableError("503")))

    with pytest.raises(StorageUnavailableError) as failed:
        run(model, in_parts())
    assert not hasattr(failed.value, "__notes__")


def test_a_look_that_is_interrupted_leaves_no_answer(model: S3Model) -> None:
    def cut() -> None:
        model.before = on("HeadObject", failing(KeyboardInterrupt()))
        raise lost()

    model.before = on("CopyObject", cut)
    with pytest.raises(KeyboardInterrupt):
        run(model, work())


def test_what_is_not_there_is_not_copied(model: S3Model) -> None:
    with pytest.raises(ObjectNotFoundError):
        run(model, work("none"))
    model.before = on("HeadObject", failing(StorageUnavailableError("503", sent="yes")))
    with pytest.raises(ControlRoomError):
        run(model, work())
