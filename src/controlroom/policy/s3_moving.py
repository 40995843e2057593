"""How objects of S3 are moved and removed. No I/O, no clock.

A move is a verified copy, and then the removal of the source, if that is still the same: by ``If-Match`` where the server
keeps that promise. (Where the bucket has versions, this leaves a delete marker, as every removal does: removing the version
itself would bring back the one before it.) A crash leaves the source, the copy or both, each whole; moving again ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from controlroom.errors import (
    ControlRoomError,
    FileOperationError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
)
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.object_calls import Call, may_have_happened
from controlroom.policy.s3_copies import Answer, Copied, Copying, Located, copied_of, identity, taken
from controlroom.policy.s3_copying import Step, copied, looked_up, present
from controlroom.policy.s3_metadata import etag_of, quoted
from controlroom.policy.s3_pieces import Ask
from controlroom.policy.s3_probing import Capability

__all__ = ["delete", "delete_many", "move"]

_CONDITIONAL: Final = Ask(Capability.DELETE_IF_MATCH)
_LARGEST_BATCH: Final = 1000  # DeleteObjects
_PASSING: Final = frozenset({"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling"})
_NAMED: Final = 20


def move(work: Copying) -> Flow[Step, Copied]:
    """Copy an object, verified, and remove the source if it is still the same; onto itself, nothing is done.

    Raises:
        ObjectNotFoundError: There is no source.
        ObjectExistsError: *if_absent*, and the target is taken. Nothing changed.
        ObjectChangedError: The source changed meanwhile, or was removed by somebody else. It was not removed.
        PublicationInDoubtError: The store did not answer; the target may be the copy. The source is there.
    """
    source = yield from looked_up(work.source)
    if work.source.key == work.target.key:
        if work.if_absent:
            raise taken(work.target)
        return copied_of(source)
    is_conditional: bool = yield _CONDITIONAL
    done = yield from copied(work, source, resumes=True)
    try:
        if is_conditional:
            yield Call("DeleteObject", {"Key": work.source.key, "IfMatch": quoted(etag_of(source))})
        else:
            yield from _removed_if_same(work, source)
    except StepFailed as failed:
        yield from _removal_resolved(work, source, failed, is_own=done.is_own)
    return done


def delete(what: Located, if_match: str | None = None) -> Flow[Step, None]:
    """Remove an object.

    Raises:
        ObjectChangedError: *if_match*, and the present object is another or gone. Nothing changed.
        FileOperationError: *if_match*, and the server ignores it. Nothing changed.
    """
    if if_match is None:
        try:
            yield Call("DeleteObject", {"Key": what.key})
        except StepFailed as failed:
            if not isinstance(failed.error, ObjectNotFoundError):  # some servers say so where others are content
                raise
        return
    if not (yield _CONDITIONAL):
        message = (
            f"{what.ref}: this server ignores If-Match where it deletes, so it cannot delete only what is unchanged. Nothing was"
            " changed. Delete without if_match, if nobody else writes there."
        )
        raise FileOperationError(message, ref=what.ref)
    # Some servers are content with a condition on nothing: whether there is an object has to be looked at.
    found = yield from present(what)
    if found is None or etag_of(found) != if_match:
        raise _another(what, if_match, found)
    try:
        yield Call("DeleteObject", {"Key": what.key, "IfMatch": quoted(if_match)})
    except StepFailed as failed:
        if isinstance(failed.error, ObjectChangedError | ObjectNotFoundError):
            found = yield from present(what)
            if found is None and may_have_happened(failed.error):
                return  # an attempt whose answer was lost
            raise _another(what, if_match, found) from failed.error
        raise


def delete_many(things: Sequence[Located]) -> Flow[Step, None]:
    """Remove objects, as many a request as S3 takes; all are tried before a failure is raised.

    Raises:
        FileOperationError: Some could not be removed; `StorageAccessError` or `StorageUnavailableError` where that was the
            reason for all of them. The message names them.
    """
    failures: list[tuple[Located, str, FileOperationError | None]] = []
    for start in range(0, len(things), _LARGEST_BATCH):
        batch = {thing.key: thing for thing in things[start : start + _LARGEST_BATCH]}
        entries = [{"Key": key} for key in batch]
        try:
            answer: Answer = yield Call("DeleteObjects", {"Delete": {"Objects": entries, "Quiet": True}})
        except StepFailed as failed:
            if not isinstance(failed.error, FileOperationError):
                raise
            failures += [(thing, failed.error.code, failed.error) for thing in batch.values()]
            continue
        failures += yield from _tried_again(answer.get("Errors") or (), batch)
    if failures:
        raise _undeleted(failures)


def _tried_again(
    errors: Iterable[Mapping[str, Any]], batch: Mapping[str, Located]
) -> Flow[Step, list[tuple[Located, str, FileOperationError | None]]]:
    """Remove one by one what failed for a reason that may pass: single requests are repeated as the store's policy says."""
    failures: list[tuple[Located, str, FileOperationError | None]] = []
    for error in errors:
        key, code = str(error.get("Key")), str(error.get("Code"))
        thing = batch.get(key) or Located(key, key)
        if code in _PASSING:
            try:
                yield from delete(thing)
            except StepFailed as failed:
                if not isinstance(failed.error, FileOperationError):
                    raise
                failures.append((thing, code, failed.error))
        elif code not in {"NoSuchKey", "NoSuchVersion"}:
            failures.append((thing, code, None))
    return failures


def _undeleted(failures: Sequence[tuple[Located, str, FileOperationError | None]]) -> FileOperationError:
    told = [f"{thing.ref} ({code})" for thing, code, _ in failures]
    more = f", and {len(told) - _NAMED} more (see the notes)" if len(told) > _NAMED else ""
    message = (
        f"{len(told)} objects could not be deleted: {', '.join(told[:_NAMED])}{more}. The others are gone. Deleting all of them"
        " again is safe."
    )
    if all(code in _PASSING or isinstance(error, StorageUnavailableError) for _, code, error in failures):
        kind: type[FileOperationError] = StorageUnavailableError
    elif all(code == "AccessDenied" or isinstance(error, StorageAccessError) for _, code, error in failures):
        kind = StorageAccessError
    else:
        kind = FileOperationError
    found = kind(message, ref=failures[0][0].ref)
    for start in range(_NAMED, len(told), _LARGEST_BATCH):
        found.add_note(f"also: {', '.join(told[start : start + _LARGEST_BATCH])}")
    found.__cause__ = next((error for _, _, error in failures if error is not None), None)
    return found


def _removed_if_same(work: Copying, source: Answer) -> Flow[Step, None]:
    """Remove the source after a look: as near as it gets where the server keeps no promise."""
    now = yield from present(work.source)
    if now is None or identity(work, now) != identity(work, source):
        raise _left(work)
    yield Call("DeleteObject", {"Key": work.source.key})


def _removal_resolved(work: Copying, source: Answer, failed: StepFailed, *, is_own: bool) -> Flow[Step, None]:
    """Find out whether the source is gone by our doing after a removal that did not end well."""
    error = failed.error
    if not isinstance(error, ControlRoomError):
        raise failed
    was_refused = isinstance(error, ObjectChangedError | ObjectNotFoundError)
    if may_have_happened(error):
        try:
            now = yield from present(work.source)
        except StepFailed as unknown:
            if not isinstance(unknown.error, Exception):
                raise
            now = source
        # Whoever took over another's copy may be racing with that other one: it won only if its removal was confirmed.
        if now is None and is_own:
            return
        was_refused = now is None or identity(work, now) != identity(work, source)
    if was_refused:
        raise _left(work) from error
    error.add_note(f"The copy is whole, at {work.target.ref}, and the source may still be there: moving again ends it.")
    raise failed


def _left(work: Copying) -> ObjectChangedError:
    message = (
        f"{work.source.ref}: it changed, or was removed, while it was copied to {work.target.ref}. The copy is whole and stays;"
        " what is there now was not removed. Look at both."
    )
    return ObjectChangedError(message, ref=work.source.ref)


def _another(what: Located, if_match: str, found: Answer | None) -> ObjectChangedError:
    state = "gone" if found is None else f"now {etag_of(found)}"
    message = (
        f"{what.ref}: expected etag {if_match}, but it is {state}. It is as it was. Read it again and decide anew."
    )
    return ObjectChangedError(message, ref=what.ref)
