"""What became of a write to S3 whose answer was lost, or says no. Pure.

A write carries an id of its own in the object's metadata. Where its answer is lost, a repetition may be refused on account of
the write itself, and the server's word alone would call our own object a rival's. The object that is there now tells:

* It carries our id: the write was done, whatever the last answer said. *Won.*
* It does not, and no try of ours can have been done unseen: *lost*. (A rival has it, or had it and it is gone again.)
* It does not, and a try may have been done unseen: another write may have followed ours. *Lost* where the other one proves
  that it came in our place: it asked for what we asked for, on the same condition. Else *in doubt*, and said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controlroom.errors import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    ShutdownRequested,
)
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.object_calls import Call, may_have_happened
from controlroom.policy.s3_metadata import PREFIX, etag_of, write_id_of
from controlroom.policy.s3_pieces import Publication, Step

__all__ = ["REPLACED", "Sight", "look", "outcome"]

REPLACED: Final = f"{PREFIX}replaced"
"""Holds the etag that an object had to have for this one to take its place; among the metadata of the one that did."""

_REFUSALS: Final = (ObjectChangedError, ObjectNotFoundError)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a key.

    Attributes:
        answer: What the server says of the object; None if there is none, or nobody knows.
        is_clear: Whether the server answered.
    """

    answer: Mapping[str, Any] | None = None
    is_clear: bool = True

    @property
    def etag(self) -> str | None:
        """Of the object."""
        return None if self.answer is None else etag_of(self.answer)

    def shows(self, write_id: str) -> bool:
        """Tell whether the object was made by the write *write_id*."""
        return self.answer is not None and write_id_of(self.answer) == write_id


def outcome(publication: Publication, failed: StepFailed, operation: str) -> Flow[Step, Mapping[str, Any] | None]:
    """Find out what became of the write *operation* that *failed*.

    Returns:
        What the server says of the object, if the write was done after all; None if it was not, for a reason that is no
        business of ours: the failure is to go up.

    Raises:
        ObjectExistsError: *if_absent*, and the key is taken.
        ObjectChangedError: *if_match*, and the present object is another or gone.
        PublicationInDoubtError: Nobody can tell.
    """
    error = failed.error
    was_refused, may_be_done = isinstance(error, _REFUSALS), _may_be_done(error)
    if not isinstance(error, Exception) or not (was_refused or may_be_done):
        return None
    seen = yield from look(publication.key)
    if seen.shows(publication.write_id):
        return seen.answer
    if may_be_done and not (was_refused and _came_in_our_place(seen, publication)):
        raise _in_doubt(publication, operation, error) from error
    upload_is_gone = isinstance(error, ObjectNotFoundError)  # or, under a condition on an etag, the object is
    if publication.if_absent and not (upload_is_gone and seen.answer is None):
        raise _taken(publication) from error
    if publication.if_match is not None and not (upload_is_gone and seen.etag == publication.if_match):
        raise _changed(publication, seen) from error
    return None


def _may_be_done(error: BaseException) -> bool:
    """Tell whether a try may have been done: the last one, or the one before the wait that was ended."""
    if isinstance(error, ShutdownRequested) and error.__context__ is not None:
        return may_have_happened(error.__context__)
    return may_have_happened(error)


def look(key: str) -> Flow[Step, Sight]:
    """Look what *key* is. That nobody answers is an answer."""
    try:
        answer: Mapping[str, Any] = yield Call("HeadObject", {"Key": key})
    except StepFailed as failed:
        if not isinstance(failed.error, Exception):
            raise
        return Sight(is_clear=isinstance(failed.error, ObjectNotFoundError))
    return Sight(answer)


def _came_in_our_place(seen: Sight, publication: Publication) -> bool:
    """Tell whether the object that was *seen* proves that ours was never there.

    Under a condition on an etag, it says which etag it replaced. Under the condition that there is none, that is taken for
    proof: who creates a name exclusively does not replace it the moment after.
    """
    if seen.answer is None:
        return False
    if publication.if_match is None:
        return publication.if_absent
    metadata = {name.lower(): value for name, value in (seen.answer.get("Metadata") or {}).items()}
    return metadata.get(REPLACED) == publication.if_match


def _taken(publication: Publication) -> ObjectExistsError:
    message = (
        f"{publication.ref}: it exists already. The target is as it was, and nothing is left behind. Allow overwriting, or"
        " choose another name."
    )
    return ObjectExistsError(message, ref=publication.ref)


def _changed(publication: Publication, seen: Sight) -> ObjectChangedError:
    state = "another or gone" if seen.etag is None else f"now {seen.etag}"
    message = (
        f"{publication.ref}: expected etag {publication.if_match}, but it is {state}. The target is as it was, and nothing is"
        " left behind. Read it again and decide anew."
    )
    return ObjectChangedError(message, ref=publication.ref)


def _in_doubt(publication: Publication, operation: str, error: BaseException) -> PublicationInDoubtError:
    message = (
        f"{publication.ref}: {operation} got no clear answer ({type(error).__name__}). The object may be visible, now or in a"
        f" moment. Call reconcile(key, write_id={publication.write_id!r}): a plain retry could mistake our own object for"
        " someone else's."
    )
    return PublicationInDoubtError(message, write_id=publication.write_id, ref=publication.ref)
