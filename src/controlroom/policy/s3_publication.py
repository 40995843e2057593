"""How whole content takes a name in S3: which call follows which, what is undone, and when success may be claimed. Pure.

* What fits one part is one PutObject; what is longer goes in parts, several under way at a time, and takes its name with
  CompleteMultipartUpload. Either is one step for readers.
* An upload is noted before its first part is sent, and aborted on every failure and interruption: its parts are stored, and
  paid for, until somebody does.
* Conditions travel with the call that takes the name; what became of one whose answer was lost, `s3_truth` finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controlroom.errors import FileOperationError, ObjectNotFoundError, PublicationInDoubtError
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.object_calls import Call, is_conflict
from controlroom.policy.s3_metadata import SHA256
from controlroom.policy.s3_pieces import (
    AbortUpload,
    Ask,
    Begin,
    BeginUpload,
    CheckSource,
    ForgetUpload,
    Gather,
    NoteUpload,
    Piece,
    Publication,
    Published,
    ReadPiece,
    Rewind,
    Step,
    StopParts,
)
from controlroom.policy.s3_probing import Capability
from controlroom.policy.s3_requests import Upload, completion, condition, kept, named, part_length, published, sums
from controlroom.policy.s3_truth import look, outcome

__all__ = [
    "abort_upload",
    "begin_upload",
    "complete_upload",
    "finish",
    "publish",
    "push",
    "put_object",
    "send_part",
]

_BEGINNINGS: Final = 3  # "409 Conflict: re-initiate the multipart upload" (CompleteMultipartUpload); not for ever


def publish(publication: Publication) -> Flow[Step, Published]:
    """Read the source to its end and make it the object, as one piece.

    Raises:
        ObjectExistsError: *if_absent*, and the key is taken. Nothing changed.
        ObjectChangedError: *if_match*, and the present object is another or gone; or the source changed. Nothing changed.
        PublicationInDoubtError: The object may be visible.
    """
    beginnings = 1
    while True:
        piece: Piece = yield ReadPiece(part_length(publication, 1))
        if piece.is_last:
            return (yield from put_object(publication, piece))
        try:
            return (yield from _in_parts(publication, piece))
        except StepFailed as failed:
            if beginnings == _BEGINNINGS or not is_conflict(failed.error) or not (yield Rewind()):
                raise
            beginnings += 1


def put_object(publication: Publication, piece: Piece) -> Flow[Step, Published]:
    """Make *piece*, which is all there is, the object; see `publish`."""
    yield from _require(publication, Capability.PUT_IF_ABSENT, Capability.PUT_IF_MATCH)
    params = {
        "Key": publication.key,
        **kept(publication, **{SHA256: piece.sha256}),
        **condition(publication),
        **sums(publication, piece),
        "Body": piece.body,
    }
    try:
        answer: Mapping[str, Any] = yield Call("PutObject", params)
    except StepFailed as failed:
        found = yield from outcome(publication, failed, "PutObject")
        if found is None:
            raise
        answer = found
    return published(answer, piece.size_bytes, piece.sha256)


def _in_parts(publication: Publication, piece: Piece) -> Flow[Step, Published]:
    upload = yield from begin_upload(publication)
    while True:
        is_last, sha256 = piece.is_last, piece.sha256
        yield from send_part(publication, upload, piece)
        if is_last:
            return (yield from complete_upload(publication, upload, sha256))
        del piece  # or it would be in memory while the next one is read, and that one's place is all there is
        try:
            piece = yield ReadPiece(part_length(publication, len(upload.parts) + 1))
        except Exception as failed:
            yield from abort_upload(publication, upload, failed)
            raise


def push(publication: Publication, upload: Upload | None, piece: Piece) -> Flow[Step, Upload]:
    """Send *piece*, after which more will come, as the next part; of a new upload, if there is none yet."""
    if upload is None:
        upload = yield from begin_upload(publication)
    yield from send_part(publication, upload, piece)
    return upload


def finish(publication: Publication, upload: Upload | None, piece: Piece) -> Flow[Step, Published]:
    """Make what was pushed, and *piece* as the last of it, the object; see `publish`."""
    if upload is None:
        return (yield from put_object(publication, piece))
    yield from send_part(publication, upload, piece)
    return (yield from complete_upload(publication, upload, piece.sha256))


def begin_upload(publication: Publication) -> Flow[Step, Upload]:
    """Begin to send the object in parts."""
    yield from _require(publication, Capability.COMPLETE_IF_ABSENT, Capability.COMPLETE_IF_MATCH)
    params = {"Key": publication.key, **kept(publication)}
    is_summed = publication.sums == "crc32" and bool((yield Ask(Capability.FULL_OBJECT)))
    if publication.sums == "crc32":
        params["ChecksumAlgorithm"] = "CRC32"
    if is_summed:
        params["ChecksumType"] = "FULL_OBJECT"
    answer: Mapping[str, Any] = yield BeginUpload(Call("CreateMultipartUpload", params))
    upload = Upload(answer["UploadId"], is_summed)
    try:
        yield NoteUpload(publication.key, upload.upload_id)
    except StepFailed as failed:
        yield from abort_upload(publication, upload, failed)
        raise
    return upload


def send_part(publication: Publication, upload: Upload, piece: Piece) -> Flow[Step, None]:
    """Begin to send *piece* as the next part of *upload*; if that fails, or an earlier part has, abort the upload."""
    params = {
        **named(publication, upload),
        "PartNumber": len(upload.parts) + 1,
        **sums(publication, piece),
        "Body": piece.body,
    }
    try:
        yield Begin(Call("UploadPart", params))
    except StepFailed as failed:
        yield from abort_upload(publication, upload, failed)
        explained = _explained(publication, failed)
        raise explained from explained.__cause__
    upload.parts.append((piece.size_bytes, piece.crc32))


def complete_upload(publication: Publication, upload: Upload, sha256: str) -> Flow[Step, Published]:
    """Wait for the parts of *upload* and make them the object; if that fails, abort it. See `publish`."""
    try:
        answers: list[Mapping[str, Any]] = yield Gather()
        yield CheckSource()
    except StepFailed as failed:
        yield from abort_upload(publication, upload, failed)
        explained = _explained(publication, failed)
        raise explained from explained.__cause__
    try:
        answer: Mapping[str, Any] = yield Call("CompleteMultipartUpload", completion(publication, upload, answers))
    except StepFailed as failed:
        answer = yield from _resolved(publication, upload, failed)
    upload.is_over = True
    yield from _tidy(ForgetUpload(upload.upload_id))
    return published(answer, upload.size_bytes, sha256)


def _resolved(publication: Publication, upload: Upload, failed: StepFailed) -> Flow[Step, Mapping[str, Any]]:
    """Return what the server says of the object, if the upload was completed after all; else see that it never is."""
    try:
        found = yield from outcome(publication, failed, "CompleteMultipartUpload")
    except PublicationInDoubtError as doubt:
        yield from abort_upload(publication, upload, doubt)
        last = yield from look(publication.key)  # what was not done before the upload was aborted never will be
        if last.answer is not None and last.shows(publication.write_id):
            return last.answer
        raise
    except Exception as known:
        yield from abort_upload(publication, upload, known)
        raise
    if found is None:
        yield from abort_upload(publication, upload, failed)
        explained = _explained(publication, failed)
        raise explained from explained.__cause__
    return found


def abort_upload(publication: Publication, upload: Upload, why: Exception | None = None) -> Flow[Step, None]:
    """Stop what is under way and abort *upload*, on account of *why*, if anything went wrong; twice does no harm.

    Where that fails too, *why* gets a note, and the upload stays noted: whoever sweeps uploads will find it.
    """
    if upload.is_over:
        return
    stop = undo = None
    try:
        yield StopParts()
    except StepFailed as failed:  # not even an interruption keeps the upload from being aborted
        stop = failed
    try:
        yield AbortUpload(upload.upload_id, Call("AbortMultipartUpload", named(publication, upload)))
    except StepFailed as failed:
        undo = failed
    if undo is None or isinstance(undo.error, ObjectNotFoundError):
        upload.is_over = True
        yield from _tidy(ForgetUpload(upload.upload_id))
    else:
        _note(undo if why is None else why, upload, undo.error)
    for end in (stop, undo):
        if end is not None and not isinstance(end.error, Exception):
            raise end


def _note(failure: Exception, upload: Upload, undo: BaseException) -> None:
    error = failure.error if isinstance(failure, StepFailed) else failure
    error.add_note(f"The upload {upload.upload_id} could not be aborted ({undo}): call abort_stale_uploads().")


def _tidy(step: Step) -> Flow[Step, None]:
    """Put away what does no harm where it stays: whoever sweeps uploads finds that this one is over."""
    try:
        yield step
    except StepFailed as failed:
        if not isinstance(failed.error, Exception):
            raise


def _explained(publication: Publication, failed: StepFailed) -> Exception:
    """Return the failure; where it says that there is no such upload, as an error that does not speak of the object."""
    if not isinstance(failed.error, ObjectNotFoundError):
        return failed
    message = (
        f"{publication.ref}: its upload is gone: somebody else aborted it, or let it expire. Nothing was published. Publish it"
        " again, and let abort_stale_uploads() spare uploads that are under way: older_than_s, uploads_journal."
    )
    error = FileOperationError(message, ref=publication.ref)
    error.__cause__ = failed.error
    return error


def _require(publication: Publication, absent: Capability, match: Capability) -> Flow[Step, None]:
    """Refuse a condition that the server would ignore: many would succeed where one may."""
    if not publication.if_absent and publication.if_match is None:
        return
    what, capability = ("if_absent", absent) if publication.if_match is None else ("if_match", match)
    if not (yield Ask(capability)):
        message = (
            f"{publication.ref}: {what} was asked for, and this server does not keep to {capability.value}: it was tried."
            f" Nothing was published. Leave {what} out, use another server, or, if it came in parts, raise part_size_bytes so that"
            " it need not."
        )
        raise FileOperationError(message, ref=publication.ref)
