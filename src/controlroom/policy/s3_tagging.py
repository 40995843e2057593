"""What becomes of the tags of an object that is copied in parts: those have to be read, and stated. Pure."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from controlroom.errors import FileOperationError, ObjectNotFoundError, StorageAccessError
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_copies import Answer, Copying, source_changed

__all__ = ["RIGHTS", "Tags", "stated", "tagged", "tags_of"]

Tags = list[dict[str, str]]

RIGHTS: Final = (
    "Copying the tags takes the rights s3:GetObjectTagging and s3:PutObjectTagging; with tags='drop' the copy has none."
)
"""What a `StorageAccessError` may be about."""


def tags_of(work: Copying) -> Flow[Call, Tags]:
    """Return the tags of the source; refuse tags where they are not wanted.

    Raises:
        StorageAccessError: They cannot be read.
        FileOperationError: There are some, and the store was told to fail then.
    """
    try:
        answer: Answer = yield Call("GetObjectTagging", {"Key": work.source.key})
    except StepFailed as failed:
        if isinstance(failed.error, ObjectNotFoundError):
            raise source_changed(work) from failed.error
        if isinstance(failed.error, StorageAccessError):
            failed.error.add_note(RIGHTS)
        raise
    tags = list(answer.get("TagSet") or ())
    if work.tags == "fail" and tags:
        names = ", ".join(sorted(tag["Key"] for tag in tags))
        message = (
            f"{work.source.ref}: it has tags ({names}), and the store was opened with tags='fail'. Nothing was"
            " changed. Remove them, or open the store with tags='copy' or 'drop'."
        )
        raise FileOperationError(message, ref=work.source.ref)
    return tags


def stated(tags: Tags) -> dict[str, Any]:
    """Return the parameter that gives *tags* to what an upload becomes."""
    return {"Tagging": urlencode([(tag["Key"], tag["Value"]) for tag in tags])} if tags else {}


def tagged(work: Copying, tags: Tags) -> Flow[Call, None]:
    """Make sure that the copy has *tags*: some servers forget what an upload was told when it began."""
    try:
        answer: Answer = yield Call("GetObjectTagging", {"Key": work.target.key})
        if sorted(tag["Key"] for tag in answer.get("TagSet") or ()) != sorted(tag["Key"] for tag in tags):
            yield Call("PutObjectTagging", {"Key": work.target.key, "Tagging": {"TagSet": tags}})
    except StepFailed as failed:
        if not isinstance(failed.error, ObjectNotFoundError):  # the copy is gone: the look that follows says so
            raise
