from __future__ import annotations

import zlib
from typing import Any

import pytest

from controlroom.errors import (
    FileOperationError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    StorageUnavailableError,
)
from controlroom.policy.flow import drive
from controlroom.policy.multipart import combined_crc32
from controlroom.policy.object_calls import note_code
from controlroom.policy.s3_pieces import Piece, Publication, Published
from controlroom.policy.s3_publication import abort_upload, begin_upload, finish, publish, push, send_part
from controlroom.policy.s3_requests import Upload
from tests.unit.policy.s3_server import BROKEN, LOST, MINE, REFUSED, Server, found, publication

SENT_IN_PARTS = ["CreateMultipartUpload", "NoteUpload", "Begin"]
ABORTED = ["StopParts", "AbortUpload", "ForgetUpload"]


def run(server: Server, wanted: Publication | None = None) -> Published:
    return drive(publish(wanted or publication()), server.perform)


def failed(server: Server, kind: type[BaseException], wanted: Publication | None = None) -> BaseException:
    with pytest.raises(kind) as caught:
        run(server, wanted)
    assert type(caught.value) is kind
    return caught.value


def conflict() -> StorageUnavailableError:
    error = StorageUnavailableError("another write is under way", sent="yes")
    note_code(error, "ConditionalRequestConflict")
    return error


def test_what_fits_one_part_is_one_request_and_nothing_else() -> None:
    server = Server(3)

    assert run(server) == Published(3, "f" * 64, "put", "v1")
    assert server.names == ["ReadPiece", "PutObject"]


@pytest.mark.parametrize("error", [BROKEN, REFUSED, KeyboardInterrupt()], ids=repr)
def test_a_request_that_did_nothing_goes_up_as_it_is(error: BaseException) -> None:
    server = Server(3, failing={"PutObject": error})

    assert failed(server, type(error)) is error
    assert server.names == ["ReadPiece", "PutObject"]


def test_what_is_kept_with_the_content_travels_with_it() -> None:
    server = Server(3)
    run(server)

    assert server.call("PutObject") == {
        "Key": "p/k",
        "Metadata": {"controlroom-write-id": MINE, "x": "y", "controlroom-sha256": "f" * 64},
        "ContentType": "text/csv",
        "ChecksumCRC32": "AAAABw==",
        "Body": b"xxx",
    }


@pytest.mark.parametrize(
    ("conditions", "sent"), [({"if_absent": True}, {"IfNoneMatch": "*"}), ({"if_match": "e1"}, {"IfMatch": '"e1"'})]
)
def test_a_condition_travels_with_the_request_that_takes_the_name_and_with_no_other(
    conditions: dict[str, Any], sent: dict[str, str]
) -> None:
    small, large = Server(3), Server(10, 2)
    run(small, publication(**conditions))
    run(large, publication(**conditions))

    assert sent.items() <= small.call("PutObject").items()
    assert sent.items() <= large.call("CompleteMultipartUpload").items()
    assert not {"IfMatch", "IfNoneMatch"} & {*large.call("CreateMultipartUpload"), *large.call("UploadPart")}


def test_who_replaces_an_etag_says_so_for_others_to_read() -> None:
    small, large = Server(3), Server(10, 2)
    run(small, publication(if_match="e1"))
    run(large, publication(if_match="e1"))

    assert small.call("PutObject")["Metadata"]["controlroom-replaced"] == "e1"
    assert large.call("CreateMultipartUpload")["Metadata"]["controlroom-replaced"] == "e1"


@pytest.mark.parametrize("conditions", [{"if_absent": True}, {"if_match": "e1"}])
@pytest.mark.parametrize("sizes", [(3,), (10, 2)])
def test_a_condition_that_the_server_ignores_is_refused_before_anything_is_sent(
    conditions: dict[str, Any], sizes: tuple[int, ...]
) -> None:
    server = Server(*sizes, offers=False)

    error = failed(server, FileOperationError, publication(**conditions))

    assert f"{next(iter(conditions))} was asked for" in str(error)
    assert server.names == ["ReadPiece", "Ask"]


def test_what_is_longer_goes_in_parts_noted_before_the_first_is_sent() -> None:
    server = Server(10, 10, 2)

    assert run(server) == Published(22, "f" * 64, "done", None)
    assert server.names == [
        "ReadPiece",
        "Ask",
        *SENT_IN_PARTS,
        "ReadPiece",
        "Begin",
        "ReadPiece",
        "Begin",
        "Gather",
        "CheckSource",
        "CompleteMultipartUpload",
        "ForgetUpload",
    ]


def test_each_part_and_the_whole_are_checked_by_the_server() -> None:
    server = Server(10, 2)
    run(server)
    whole = combined_crc32(combined_crc32(0, 7, 10), 7, 2)

    assert server.call("CreateMultipartUpload")["ChecksumType"] == "FULL_OBJECT"
    assert server.call("UploadPart")["ChecksumCRC32"] == "AAAABw=="
    completion = server.call("CompleteMultipartUpload")
    assert completion["ChecksumCRC32"] != "AAAABw=="
    assert whole != zlib.crc32(b"")
    assert completion["MpuObjectSize"] == 12
    assert completion["MultipartUpload"]["Parts"] == [
        {"PartNumber": 1, "ETag": '"p1"', "ChecksumCRC32": "AAAABw=="},
        {"PartNumber": 2, "ETag": '"p2"', "ChecksumCRC32": "AAAABw=="},
    ]


def test_a_server_without_sums_of_the_whole_checks_the_parts() -> None:
    server = Server(10, 2, offers=False)
    run(server)

    assert server.call("CreateMultipartUpload")["ChecksumAlgorithm"] == "CRC32"
    assert "ChecksumType" not in server.call("CreateMultipartUpload")
    assert "ChecksumCRC32" not in server.call("CompleteMultipartUpload")


def test_a_server_that_knows_no_checksums_checks_by_md5() -> None:
    small, large = Server(3), Server(10, 2)
    run(small, publication(sums="md5"))
    run(large, publication(sums="md5"))

    assert small.call("PutObject")["ContentMD5"] == large.call("UploadPart")["ContentMD5"] == "bWQ1"
    assert "Ask" not in large.names
    assert "ChecksumAlgorithm" not in large.call("CreateMultipartUpload")
    assert large.call("CompleteMultipartUpload")["MultipartUpload"]["Parts"][0] == {"PartNumber": 1, "ETag": '"p1"'}


def test_a_length_that_is_known_is_cut_into_parts_of_one_size() -> None:
    server = Server(10, 2)
    run(server, publication(length_bytes=12))

    assert [step.size_bytes for step in server.steps if type(step).__name__ == "ReadPiece"] == [10, 10]


@pytest.mark.parametrize("at", ["NoteUpload", "Begin", "Gather", "CheckSource", "CompleteMultipartUpload"])
@pytest.mark.parametrize("error", [BROKEN, REFUSED, KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_whatever_fails_or_interrupts_aborts_the_upload_and_goes_up(at: str, error: BaseException) -> None:
    server = Server(10, 2, failing={at: error})

    assert failed(server, type(error)) is error
    assert server.names[-4:] == [at, *ABORTED]


def test_a_source_that_fails_in_the_midst_aborts_the_upload() -> None:
    answers = iter([None, BROKEN])
    server = Server(10, 2, failing={"ReadPiece": lambda: next(answers)})

    assert failed(server, FileOperationError) is BROKEN
    assert server.names[-4:] == ["ReadPiece", *ABORTED]


def test_an_upload_that_does_not_begin_is_not_aborted() -> None:
    server = Server(10, 2, failing={"CreateMultipartUpload": BROKEN})

    assert failed(server, FileOperationError) is BROKEN
    assert server.names == ["ReadPiece", "Ask", "CreateMultipartUpload"]


def test_where_aborting_fails_too_the_first_error_goes_up_and_says_so_and_the_upload_stays_noted() -> None:
    server = Server(10, 2, failing={"Gather": FileOperationError("first"), "AbortUpload": FileOperationError("second")})

    error = failed(server, FileOperationError)

    assert error.args[0].startswith("first")
    assert any("upload u could not be aborted" in note for note in error.__notes__)
    assert "ForgetUpload" not in server.names


def test_an_upload_that_is_gone_needs_no_aborting() -> None:
    server = Server(10, 2, failing={"Gather": FileOperationError("first"), "AbortUpload": ObjectNotFoundError("gone")})

    error = failed(server, FileOperationError)

    assert not hasattr(error, "__notes__")
    assert server.names[-1] == "ForgetUpload"


def test_an_interrupted_abort_is_not_swallowed() -> None:
    server = Server(10, 2, failing={"Gather": BROKEN, "AbortUpload": KeyboardInterrupt()})

    failed(server, KeyboardInterrupt)


@pytest.mark.parametrize("at", ["StopParts", "AbortUpload", "ForgetUpload"])
def test_an_interruption_while_it_is_put_in_order_does_not_keep_the_rest_from_being_done(at: str) -> None:
    server = Server(10, 2, failing={"Gather": BROKEN, at: KeyboardInterrupt()})

    failed(server, KeyboardInterrupt)
    assert server.names[server.names.index("Gather") + 1 :] == (ABORTED if at != "AbortUpload" else ABORTED[:-1])


def test_a_note_that_cannot_be_struck_off_spoils_no_success() -> None:
    assert run(Server(10, 2, failing={"ForgetUpload": BROKEN})).etag == "done"
    failed(Server(10, 2, failing={"ForgetUpload": KeyboardInterrupt()}), KeyboardInterrupt)


@pytest.mark.parametrize("at", ["Begin", "Gather", "CompleteMultipartUpload"])
def test_an_upload_that_somebody_aborted_is_no_object_that_is_not_found(at: str) -> None:
    gone = ObjectNotFoundError("no such upload")
    server = Server(10, 2, failing={at: gone})

    error = failed(server, FileOperationError)

    assert "somebody else aborted it" in str(error)
    assert error.__cause__ is gone
    assert server.names[-3:] == ABORTED


def test_a_conflict_at_the_end_starts_the_upload_again_where_the_source_can_go_back() -> None:
    answers = iter([conflict(), None])
    server = Server(10, 2, failing={"CompleteMultipartUpload": lambda: next(answers)}, rewinds=True)

    assert run(server).etag == "done"
    assert server.names.count("CreateMultipartUpload") == 2
    assert server.names.count("AbortUpload") == 1


def test_a_conflict_goes_up_where_the_source_cannot_go_back() -> None:
    server = Server(10, 2, failing={"CompleteMultipartUpload": conflict()})

    failed(server, StorageUnavailableError)
    assert server.names[-1] == "Rewind"


def test_an_upload_is_not_begun_for_ever() -> None:
    server = Server(10, 2, failing={"CompleteMultipartUpload": conflict()}, rewinds=True)

    failed(server, StorageUnavailableError)
    assert server.names.count("CreateMultipartUpload") == 3


@pytest.mark.parametrize("sizes", [(3,), (10, 2)])
@pytest.mark.parametrize("conditions", [{}, {"if_absent": True}, {"if_match": "e1"}])
def test_a_lost_answer_is_no_lost_truth(sizes: tuple[int, ...], conditions: dict[str, Any]) -> None:
    at = "PutObject" if len(sizes) == 1 else "CompleteMultipartUpload"
    server = Server(*sizes, failing={at: LOST}, present=[found(etag="mine")])

    assert run(server, publication(**conditions)) == Published(sum(sizes), "f" * 64, "mine", "v")
    assert "AbortUpload" not in server.names


@pytest.mark.parametrize("sizes", [(3,), (10, 2)])
def test_an_answer_that_never_came_leaves_in_doubt_what_another_object_does_not_prove(sizes: tuple[int, ...]) -> None:
    at = "PutObject" if len(sizes) == 1 else "CompleteMultipartUpload"
    server = Server(*sizes, failing={at: LOST}, present=[found("b" * 32)])

    error = failed(server, PublicationInDoubtError, publication(if_absent=True))

    assert isinstance(error, PublicationInDoubtError)
    assert (error.write_id, error.__cause__) == (MINE, LOST)
    assert f"reconcile(key, write_id='{MINE}')" in str(error)


def test_an_upload_in_doubt_is_aborted_and_then_looked_for_a_last_time() -> None:
    server = Server(
        10, 2, failing={"CompleteMultipartUpload": LOST}, present=[ObjectNotFoundError("not yet"), found(etag="late")]
    )

    assert run(server).etag == "late"
    assert server.names[-7:-1] == ["CompleteMultipartUpload", "HeadObject", *ABORTED, "HeadObject"]


def test_a_lost_race_aborts_the_upload() -> None:
    lost = ObjectChangedError("412")
    server = Server(10, 2, failing={"CompleteMultipartUpload": lost}, present=[found("b" * 32)])

    failed(server, ObjectExistsError, publication(if_absent=True))
    assert server.names[-3:] == ABORTED


def test_what_is_pushed_and_small_is_one_request() -> None:
    server = Server()
    published = drive(finish(publication(), None, Piece(b"x", 1, 7, "f" * 64)), server.perform)

    assert published == Published(1, "f" * 64, "put", "v1")
    assert server.names == ["PutObject"]


def test_what_is_pushed_goes_in_parts_of_one_upload() -> None:
    server, wanted = Server(), publication()
    more = Piece(b"x" * 10, 10, 7, is_last=False)

    upload = drive(push(wanted, None, more), server.perform)
    assert drive(push(wanted, upload, more), server.perform) is upload
    assert drive(finish(wanted, upload, Piece(b"x", 1, 7, "f" * 64)), server.perform).size_bytes == 21
    assert server.names.count("CreateMultipartUpload") == 1
    assert server.names.count("Begin") == 3


def test_an_upload_is_aborted_once() -> None:
    server, wanted = Server(), publication()
    upload = drive(begin_upload(wanted), server.perform)
    drive(abort_upload(wanted, upload), server.perform)
    drive(abort_upload(wanted, upload), server.perform)

    assert server.names.count("AbortUpload") == 1
    assert upload.is_over


def test_aborting_without_a_reason_that_fails_says_nothing_here() -> None:
    server, upload = Server(failing={"AbortUpload": BROKEN}), Upload("u", is_summed=False)
    drive(abort_upload(publication(), upload), server.perform)

    assert not upload.is_over


def test_a_part_that_fails_is_no_part() -> None:
    server, upload = Server(failing={"Begin": FileOperationError("no")}), Upload("u", is_summed=False)
    with pytest.raises(FileOperationError):
        drive(send_part(publication(), upload, Piece(b"x", 1, 7)), server.perform)

    assert upload.parts == []
    assert upload.is_over
