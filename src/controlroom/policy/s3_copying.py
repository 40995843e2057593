"""How one object of S3 becomes another there, without its bytes leaving the server. No I/O, no clock.

* The source is looked up first, and only that version is copied: every request names its etag.
* The copy carries the write id of this call, and which version it is of: after a lost reply that tells our copy from a
  rival's, and after a crash a finished copy from another object.
* Parts are cut like the source's, so that sums over sums agree.
* The copy is looked up again and held against the source before anybody relies on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controlroom.errors import (
    ControlRoomError,
    FileOperationError,
    ObjectChangedError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    StorageAccessError,
)
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.object_calls import Call, Calls, code_of, is_conflict, may_have_happened
from controlroom.policy.s3_copies import (
    Answer,
    Copied,
    Copying,
    Located,
    condition,
    copied_of,
    copy_source,
    identity,
    in_doubt,
    kept,
    part,
    part_ends,
    require_same,
    source_changed,
    sums_of,
    taken,
)
from controlroom.policy.s3_metadata import copied_from, etag_of, quoted, sha256_of, write_id_of
from controlroom.policy.s3_pieces import AbortUpload, Ask, ForgetUpload, NoteUpload
from controlroom.policy.s3_probing import Capability
from controlroom.policy.s3_tagging import RIGHTS, stated, tagged, tags_of

__all__ = ["Look", "Step", "copied", "copy", "described", "looked_up", "present"]

_STARTS: Final = 3
_COMPLETE: Final = "CompleteMultipartUpload"
_OF_PARTS: Final = re.compile(r"-(\d+)$")


@dataclass(frozen=True, slots=True)
class Look:
    """A step: describe the object *key*, as HeadObject does. Answers None if there is none."""

    key: str


Step = Call | Calls | Look | Ask | NoteUpload | ForgetUpload | AbortUpload


def copy(work: Copying) -> Flow[Step, Copied]:
    """Copy an object, verified; onto itself, nothing is done.

    Raises:
        ObjectNotFoundError: There is no source.
        ObjectExistsError: *if_absent*, and the target is taken. Nothing changed.
        ObjectChangedError: The source changed meanwhile, or the target right afterwards.
        PublicationInDoubtError: The store did not answer; the target may be the copy.
    """
    source = yield from looked_up(work.source)
    if work.source.key != work.target.key:
        return (yield from copied(work, source))
    if work.if_absent:
        raise taken(work.target)
    return copied_of(source)


def copied(work: Copying, source: Answer, *, resumes: bool = False) -> Flow[Step, Copied]:
    """Copy what was *looked_up* as *source*; with *resumes*, a copy of exactly that which is there already will do."""
    in_parts = int(source.get("ContentLength") or 0) > work.single_bytes
    if work.if_absent and not in_parts:
        in_parts = not (yield Ask(Capability.COPY_IF_ABSENT))
    write_id = yield from (_in_parts if in_parts else _at_once)(work, source, resumes)
    return (yield from _verified(work, source, write_id))


def described(key: str) -> Call:
    """Return the call that describes the object *key*, with the checksums that the server keeps of it."""
    return Call("HeadObject", {"Key": key, "ChecksumMode": "ENABLED"})


def looked_up(what: Located) -> Flow[Step, Answer]:
    """Describe an object.

    Raises:
        ObjectNotFoundError: There is none.
    """
    answer: Answer = yield described(what.key)
    return answer


def present(what: Located) -> Flow[Step, Answer | None]:
    """Describe an object, if there is one."""
    answer: Answer | None = yield Look(what.key)
    return answer


def _at_once(work: Copying, source: Answer, resumes: bool) -> Flow[Step, str]:  # noqa: FBT001 - as _in_parts
    if work.tags == "fail":
        yield from tags_of(work)
    params = kept(work, source) | {
        "Key": work.target.key,
        "CopySource": copy_source(work, source),
        "CopySourceIfMatch": quoted(etag_of(source)),
        "MetadataDirective": "REPLACE",
        "TaggingDirective": "COPY" if work.tags == "copy" else "REPLACE",
    }
    return (yield from _published(work, source, Call("CopyObject", params | condition(work)), resumes))


def _in_parts(work: Copying, source: Answer, resumes: bool) -> Flow[Step, str]:  # noqa: FBT001 - one of a pair, called as a value
    if work.if_absent and not (yield Ask(Capability.COMPLETE_IF_ABSENT)):
        message = (
            f"{work.target.ref}: this server ignores If-None-Match where it copies, and where it completes uploads: it cannot"
            " copy only where nothing is yet. Nothing was changed. Allow overwriting, or read and publish the content."
        )
        raise FileOperationError(message, ref=work.target.ref)
    tags = (yield from tags_of(work)) if work.tags != "drop" else []
    params = kept(work, source) | stated(tags) | {"Key": work.target.key}
    if not source.get("ContentLength"):  # of nothing no part can be copied, and none needs to be
        empty = Call("PutObject", params | {"Body": b""} | condition(work))
        return (yield from _published(work, source, empty, resumes))
    parts = yield from _parts(work, source)
    params |= yield from _sums(source)
    start = 1
    while True:
        try:
            write_id = yield from _uploaded(work, source, params, parts, resumes)
            break
        except StepFailed as failed:
            # S3 wants uploads that met another write of their key (409) begun anew.
            if start == _STARTS or not (_is_completion(failed) and is_conflict(failed.error)):
                raise
            start += 1
    if tags and write_id == work.write_id:
        yield from tagged(work, tags)
    return write_id


def _published(work: Copying, source: Answer, call: Call, resumes: bool) -> Flow[Step, str]:  # noqa: FBT001 - handed on
    try:
        yield call
    except StepFailed as failed:
        return (yield from _resolved(work, source, failed, resumes))
    return work.write_id


def _uploaded(
    work: Copying,
    source: Answer,
    params: Mapping[str, Any],
    parts: Sequence[tuple[int, int]],
    resumes: bool,  # noqa: FBT001 - handed on
) -> Flow[Step, str]:
    """Copy part by part, and make it an object; abort it if that fails."""
    created: Answer = yield Call("CreateMultipartUpload", params)
    upload = {"Key": work.target.key, "UploadId": created["UploadId"]}
    try:
        yield NoteUpload(work.target.key, created["UploadId"])
        answers: list[Answer] = yield Calls(tuple(_part_calls(work, source, upload, parts)))
        # Where a server ignores CopySourceIfMatch, the parts could be of two versions.
        again = yield from present(work.source)
        if etag_of(again or {}) != etag_of(source):
            raise StepFailed(work.source, source_changed(work))  # noqa: TRY301 - as if a step had found out
        entries = [part(number, answer) for number, answer in enumerate(answers, 1)]
        yield Call(_COMPLETE, upload | {"MultipartUpload": {"Parts": entries}} | condition(work))
    except StepFailed as failed:
        if _is_completion(failed):
            return (yield from _completion_resolved(work, source, upload, failed, resumes))
        yield from _aborted(upload, failed)
        if isinstance(failed.error, ObjectChangedError | ObjectNotFoundError):
            raise source_changed(work) from failed.error
        raise
    yield ForgetUpload(created["UploadId"])
    return work.write_id


def _part_calls(
    work: Copying, source: Answer, upload: Mapping[str, Any], parts: Sequence[tuple[int, int]]
) -> list[Call]:
    of = {"CopySource": copy_source(work, source), "CopySourceIfMatch": quoted(etag_of(source))}
    return [
        Call("UploadPartCopy", {**upload, **of, "PartNumber": number, "CopySourceRange": f"bytes={start}-{end - 1}"})
        for number, (start, end) in enumerate(parts, 1)
    ]


def _completion_resolved(
    work: Copying,
    source: Answer,
    upload: Mapping[str, Any],
    failed: StepFailed,
    resumes: bool,  # noqa: FBT001 - handed on
) -> Flow[Step, str]:
    try:
        write_id = yield from _resolved(work, source, failed, resumes)
    except PublicationInDoubtError:
        raise  # it may be completing at this moment; the janitor looks after it if not
    except (StepFailed, ControlRoomError):
        yield from _aborted(upload, failed)
        raise
    if write_id == work.write_id:
        yield ForgetUpload(upload["UploadId"])
    else:
        yield from _aborted(upload, failed)
    return write_id


def _aborted(upload: Mapping[str, Any], failed: StepFailed) -> Flow[Step, None]:
    try:
        yield AbortUpload(upload["UploadId"], Call("AbortMultipartUpload", upload))
    except StepFailed as undo:
        if not isinstance(undo.error, Exception):
            raise
        if not isinstance(undo.error, ObjectNotFoundError):
            note = f"The unfinished upload could not be aborted ({undo.error}): abort_stale_uploads() can."
            failed.error.add_note(note)
            return
    yield ForgetUpload(upload["UploadId"])


def _is_completion(failed: StepFailed) -> bool:
    return isinstance(failed.step, Call) and failed.step.operation == _COMPLETE


def _resolved(work: Copying, source: Answer, failed: StepFailed, resumes: bool) -> Flow[Step, str]:  # noqa: FBT001 - handed on
    """Find out what became of a copy that did not end well; answer the write id of the copy that is there."""
    error = failed.error
    is_unknown = code_of(error) == "NoSuchUpload"  # maybe since an attempt whose answer was lost has completed it
    # A condition did not hold, or the source is gone: now, or for a repetition.
    refused = isinstance(error, ObjectChangedError | ObjectNotFoundError) and not is_unknown
    is_open = refused or is_unknown or may_have_happened(error)
    if not isinstance(error, ControlRoomError) or not is_open:
        if isinstance(error, StorageAccessError) and work.tags == "copy":
            error.add_note(RIGHTS)
        raise failed
    try:
        found = yield from present(work.target)
    except StepFailed as unknown:
        if not isinstance(unknown.error, Exception):
            raise
        raise in_doubt(work) from error
    write_id = None if found is None else write_id_of(found)
    if write_id == work.write_id:
        return work.write_id
    if not refused:
        raise in_doubt(work) from error
    if found is None or not work.if_absent:
        raise source_changed(work) from error
    if resumes and write_id is not None and copied_from(found) == identity(work, source):
        return write_id
    raise taken(work.target) from error


def _verified(work: Copying, source: Answer, write_id: str) -> Flow[Step, Copied]:
    """Hold the copy against its source."""
    target = yield from present(work.target)
    if target is None or (write_id_of(target) or write_id) != write_id:
        message = (
            f"{work.target.ref}: {work.source.ref} was copied there, and replaced or removed right afterwards. The source was"
            " not touched. Look at both."
        )
        raise ObjectChangedError(message, ref=work.target.ref)
    require_same(work, source, target)
    return copied_of(target, sha256=sha256_of(source), is_own=write_id == work.write_id)


def _parts(work: Copying, source: Answer) -> Flow[Step, list[tuple[int, int]]]:
    """Return where the parts of the copy begin and end: where the source's do, if it has any."""
    lengths: list[int] = []
    if has_parts := _OF_PARTS.search(etag_of(source)):
        about = {"Key": work.source.key, "IfMatch": quoted(etag_of(source))}
        answers: list[Answer] = yield Calls(
            tuple(Call("HeadObject", {**about, "PartNumber": number}) for number in range(1, int(has_parts[1]) + 1))
        )
        lengths = [int(answer.get("ContentLength") or 0) for answer in answers]
    return part_ends(int(source["ContentLength"]), lengths, work.part_bytes)


def _sums(source: Answer) -> Flow[Step, dict[str, Any]]:
    """Return the parameters that let the server keep a checksum of the copy that can be compared with the source's."""
    algorithm, kind = sums_of(source)
    if algorithm is None:
        return {}
    if kind == "FULL_OBJECT" and not (yield Ask(Capability.FULL_OBJECT)):
        return {}
    return {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
