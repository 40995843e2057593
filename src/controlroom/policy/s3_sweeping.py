"""Which unfinished uploads and probes are nobody's any more, and the calls that end them. Pure.

An upload that is never completed keeps its parts for ever: they are paid for, and no listing of objects shows them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from controlroom.errors import FileOperationError, ObjectNotFoundError
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.object_calls import Call, code_of

__all__ = ["Found", "Noted", "has_expiry", "sweep", "sweep_probes"]

_NO_RULES: Final = "NoSuchLifecycleConfiguration"

Noted = tuple[str, str]
"""An upload: its key in the bucket, and its id."""


@dataclass(frozen=True, slots=True)
class Found:
    """An upload that is stale.

    Attributes:
        key: In the bucket.
        upload_id: Of it.
        initiated_at: When it was begun, as the server says, aware UTC.
        failure: Why it could not be aborted; None if it was, or nobody tried.
    """

    key: str
    upload_id: str
    initiated_at: datetime
    failure: FileOperationError | None = None


def sweep(
    prefix: str,
    *,
    older_than_s: float,
    dry_run: bool,
    living: Collection[Noted],
    dead: Collection[Noted],
    now: datetime,
    ref: str,
) -> Flow[Call, list[Found]]:
    """Abort every upload below *prefix* that nobody will complete; go on to the next one where that fails.

    All are listed before the first is aborted: not every server goes on from a mark that is gone.

    Args:
        prefix: With which keys in the bucket begin.
        older_than_s: How old an upload is that nobody will complete, by the server's clock, which tells whole seconds.
        dry_run: Whether to abort nothing.
        living: Uploads that are under way, however old.
        dead: Uploads whose owner is gone, however young.
        now: By our own clock; for servers that do not tell theirs.
        ref: What errors call the place.

    Raises:
        FileOperationError: The server lists without end.
    """
    stale: list[Found] = []
    marker: dict[str, str] = {}
    while True:
        page: Mapping[str, Any] = yield Call("ListMultipartUploads", {"Prefix": prefix, **marker})
        before = (_served_at(page) or now) - timedelta(seconds=older_than_s)
        for key, upload_id, initiated_at in _uploads(page):
            noted = key, upload_id
            if noted in dead or (noted not in living and initiated_at.replace(microsecond=0) <= before):
                stale.append(Found(key, upload_id, initiated_at))
        if not page.get("IsTruncated"):
            break
        following = _marker(page)
        if following == marker:
            message = f"{ref}: the server lists the same unfinished uploads again and again. Report that to its makers."
            raise FileOperationError(message, ref=ref)
        marker = following
    for index, upload in enumerate(stale):
        if not dry_run:
            stale[index] = yield from _aborted(upload)
    return stale


def _aborted(upload: Found) -> Flow[Call, Found]:
    try:
        yield Call("AbortMultipartUpload", {"Key": upload.key, "UploadId": upload.upload_id})
    except StepFailed as failed:
        if isinstance(failed.error, ObjectNotFoundError):  # its owner, or another sweep, was faster
            return upload
        if not isinstance(failed.error, FileOperationError):
            raise
        return Found(upload.key, upload.upload_id, upload.initiated_at, failed.error)
    return upload


def sweep_probes(prefix: str, *, older_than_s: float, dry_run: bool, now: datetime) -> Flow[Call, tuple[int, int]]:
    """Delete what processes that died left of trying what the server can do: at most a page of it.

    Nothing fails here: whoever may end uploads need not have the right to list.

    Args:
        prefix: With which the keys of all probes in the bucket begin, and no others.
        older_than_s: How old one is that nobody will remove, by the server's clock.
        dry_run: Whether to delete nothing.
        now: By our own clock; for servers that do not tell theirs.

    Returns:
        How many there are, versions and markers included, and how many of them were deleted.
    """
    page = yield from _listed(prefix)
    before = (_served_at(page) or now) - timedelta(seconds=older_than_s)
    old = [thing for thing in _things(page) if thing["LastModified"].astimezone(UTC).replace(microsecond=0) <= before]
    deleted = 0
    for thing in [] if dry_run else old:
        deleted += yield from _deleted(thing)
    return len(old), deleted


def _listed(prefix: str) -> Flow[Call, Mapping[str, Any]]:
    """Return what there is, with its versions where these credentials may see them."""
    for operation in ("ListObjectVersions", "ListObjectsV2"):
        try:
            page: Mapping[str, Any] = yield Call(operation, {"Prefix": prefix})
        except StepFailed as failed:
            if not isinstance(failed.error, FileOperationError):
                raise
        else:
            return page
    return {}


def _deleted(thing: Mapping[str, Any]) -> Flow[Call, bool]:
    version = {"VersionId": thing["VersionId"]} if thing.get("VersionId") else {}
    try:
        yield Call("DeleteObject", {"Key": thing["Key"], **version})
    except StepFailed as failed:
        if not isinstance(failed.error, FileOperationError):
            raise
        return False
    return True


def _things(page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [thing for kind in ("Versions", "DeleteMarkers", "Contents") for thing in page.get(kind) or ()]


def has_expiry() -> Flow[Call, bool | None]:
    """Tell whether the bucket ends unfinished uploads itself, by a lifecycle rule; None where nobody may know."""
    try:
        answer: Mapping[str, Any] = yield Call("GetBucketLifecycleConfiguration")
    except StepFailed as failed:
        if not isinstance(failed.error, FileOperationError):
            raise
        has_none = isinstance(failed.error, ObjectNotFoundError) or code_of(failed.error) == _NO_RULES
        return False if has_none else None
    rules = answer.get("Rules") or []
    return any(rule.get("Status") == "Enabled" and rule.get("AbortIncompleteMultipartUpload") for rule in rules)


def _served_at(page: Mapping[str, Any]) -> datetime | None:
    """Return when the server sent *page*, by its own clock: ours may go wrong by more than an upload is old."""
    stated = page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        served_at = parsedate_to_datetime(str(stated))
    except ValueError:
        return None
    return served_at if served_at.tzinfo is not None else served_at.replace(tzinfo=UTC)


def _uploads(page: Mapping[str, Any]) -> Iterator[tuple[str, str, datetime]]:
    for upload in page.get("Uploads") or ():
        yield upload["Key"], upload["UploadId"], upload["Initiated"].astimezone(UTC)


def _marker(page: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters that ask for what follows *page*."""
    markers = {"KeyMarker": page.get("NextKeyMarker"), "UploadIdMarker": page.get("NextUploadIdMarker")}
    return {name: value for name, value in markers.items() if value}
