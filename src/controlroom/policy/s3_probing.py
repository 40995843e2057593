"""How it is found out what a server of the S3 protocol really does: small objects, tried on, and removed again. Pure."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from controlroom.errors import (
    ChecksumMismatchError,
    FileOperationError,
    ObjectChangedError,
    StorageAccessError,
    StorageUnavailableError,
)
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.object_calls import Call, may_have_happened

__all__ = ["Capability", "probing"]

_BODY: Final = b"controlroom"
_OTHER_ETAG: Final = '"00000000000000000000000000000000"'
_CRC32: Final = b64encode(zlib.crc32(_BODY).to_bytes(4, "big")).decode()
_WRONG_CRC32: Final = b64encode(bytes(4)).decode()
# Says nothing about what the server can do: it may say something else next time, or to somebody else.
_NO_ANSWER: Final = (StorageUnavailableError, StorageAccessError)


class Capability(StrEnum):
    """A promise of S3 that some servers break."""

    PUT_IF_ABSENT = "PutObject with If-None-Match"
    PUT_IF_MATCH = "PutObject with If-Match"
    COMPLETE_IF_ABSENT = "CompleteMultipartUpload with If-None-Match"
    COMPLETE_IF_MATCH = "CompleteMultipartUpload with If-Match"
    COPY_IF_ABSENT = "CopyObject with If-None-Match"
    COPY_SOURCE_IF_MATCH = "CopyObject with x-amz-copy-source-if-match"
    DELETE_IF_MATCH = "DeleteObject with If-Match"
    CHECKSUMS = "checksums that are kept and verified"
    FULL_OBJECT = "checksums over a whole object that came in parts"
    TAGS = "tags of objects"
    VERSIONS = "versions of objects"


Trial = Flow[Call, bool]


def probing(capability: Capability, bucket: str, key: str) -> Trial:
    """Try *capability* on objects named *key* and the like, remove them, and tell whether the server has it.

    Args:
        capability: What is tried.
        bucket: Where.
        key: A name in the bucket that nobody has.

    Raises:
        StorageUnavailableError: The server did not say.
        StorageAccessError: These credentials may not try.
    """
    put, left = Call("PutObject", {"Key": key, "Body": _BODY}), _Left()
    try:
        outcome = yield from _noting(_tried(put, capability, bucket, key), left)
    except StepFailed as failed:
        yield from _removed(key, left)
        if (
            isinstance(failed.error, FileOperationError)
            and not isinstance(failed.error, _NO_ANSWER)
            and failed.step != put
        ):
            return False
        raise
    yield from _removed(key, left)
    return outcome


@dataclass(slots=True)
class _Left:
    """What a trial has made, and has not removed itself; without the objects, which are known by name."""

    uploads: dict[str, str] = field(default_factory=dict)
    versions: dict[tuple[str, str], None] = field(default_factory=dict)
    is_doubtful: bool = False  # there may be more

    def note(self, call: Call, answer: Mapping[str, Any]) -> None:
        """In a bucket that keeps versions, deleting hides, and leaves one more."""
        if (version := answer.get("VersionId")) not in (None, "null"):
            self.versions[call.params["Key"], version] = None
        if call.operation == "CreateMultipartUpload":
            self.uploads[answer["UploadId"]] = call.params["Key"]
        elif call.operation == "CompleteMultipartUpload":
            del self.uploads[call.params["UploadId"]]


def _tried(put: Call, capability: Capability, bucket: str, key: str) -> Trial:
    yield put
    return (yield from _TRIALS[capability](bucket, key))


def _noting(trial: Trial, left: _Left) -> Trial:
    """Perform *trial*; note what it leaves, however it ends."""
    resume: Callable[[Any], Call] = trial.send
    outcome: Any = None
    while True:
        try:
            step = resume(outcome)
        except StopIteration as end:
            return bool(end.value)
        try:
            resume, outcome = trial.send, (yield step)
        except StepFailed as failed:
            resume, outcome = trial.throw, failed
            left.is_doubtful |= may_have_happened(failed.error)
        else:
            left.note(step, outcome or {})


def _removed(key: str, left: _Left) -> Flow[Call, None]:
    """Remove everything; what cannot be removed now is found by its age, see `s3_sweeping`."""
    for upload_id, name in left.uploads.items():
        yield from _attempted(Call("AbortMultipartUpload", {"Key": name, "UploadId": upload_id}))
    if not left.versions:
        for name in (key, f"{key}-2"):
            delete = Call("DeleteObject", {"Key": name})
            left.note(delete, (yield from _attempted(delete)))
        left.is_doubtful = True  # where these left markers, others had versions
    if left.versions and left.is_doubtful:
        page = yield from _attempted(Call("ListObjectVersions", {"Prefix": key}))
        for thing in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            left.versions[thing["Key"], thing["VersionId"]] = None
    for name, version in left.versions:
        yield from _attempted(Call("DeleteObject", {"Key": name, "VersionId": version}))


def _attempted(undo: Call) -> Flow[Call, Mapping[str, Any]]:
    try:
        return (yield undo) or {}
    except StepFailed as failed:
        if not isinstance(failed.error, FileOperationError):
            raise
        return {}


def _refuses(call: Call, *kinds: type[Exception]) -> Trial:
    """Tell whether the server refuses *call*, whose condition does not hold."""
    try:
        yield call
    except StepFailed as failed:
        if isinstance(failed.error, kinds) and not isinstance(failed.error, _NO_ANSWER):
            return True
        raise
    return False


def _put(**condition: str) -> Callable[[str, str], Trial]:
    return lambda _, key: _refuses(Call("PutObject", {"Key": key, "Body": _BODY, **condition}), ObjectChangedError)


def _complete(**condition: str) -> Callable[[str, str], Trial]:
    def trial(_: str, key: str) -> Trial:
        upload, parts = yield from _in_one_part(key)
        complete = Call("CompleteMultipartUpload", {**upload, "MultipartUpload": {"Parts": parts}, **condition})
        refused = yield from _refuses(complete, ObjectChangedError)
        head = yield Call("HeadObject", {"Key": key})
        return refused and not _looks_first(head)

    return trial


def _looks_first(answer: Mapping[str, Any]) -> bool:
    """Tell whether the server is one that looks whether a condition holds and completes in a second step.

    No single trial shows it: of several that complete at once, several win (SeaweedFS 4.48).
    """
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    return str(headers.get("server", "")).startswith("SeaweedFS")


def _copy(condition: dict[str, str], *, taken: bool) -> Callable[[str, str], Trial]:
    def trial(bucket: str, key: str) -> Trial:
        if taken:
            yield Call("PutObject", {"Key": f"{key}-2", "Body": _BODY})
        unmet = {"Key": f"{key}-2", "CopySource": {"Bucket": bucket, "Key": key}, **condition}
        return (yield from _refuses(Call("CopyObject", unmet), ObjectChangedError))

    return trial


def _delete(_: str, key: str) -> Trial:
    return (yield from _refuses(Call("DeleteObject", {"Key": key, "IfMatch": _OTHER_ETAG}), ObjectChangedError))


def _checksums(_: str, key: str) -> Trial:
    wrong = Call("PutObject", {"Key": key, "Body": _BODY, "ChecksumCRC32": _WRONG_CRC32})
    refused = yield from _refuses(wrong, ChecksumMismatchError, FileOperationError)
    yield Call("PutObject", {"Key": key, "Body": _BODY, "ChecksumCRC32": _CRC32})
    head = yield Call("HeadObject", {"Key": key, "ChecksumMode": "ENABLED"})
    return refused and bool(head.get("ChecksumCRC32") == _CRC32)


def _full_object(_: str, key: str) -> Trial:
    kind = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
    upload, parts = yield from _in_one_part(key, kind, {"ChecksumCRC32": _CRC32})
    whole = {"ChecksumCRC32": _CRC32, "ChecksumType": "FULL_OBJECT"}
    yield Call("CompleteMultipartUpload", {**upload, "MultipartUpload": {"Parts": parts}, **whole})
    head = yield Call("HeadObject", {"Key": key, "ChecksumMode": "ENABLED"})
    return bool(head.get("ChecksumCRC32") == _CRC32 and head.get("ChecksumType") == "FULL_OBJECT")


def _tags(_: str, key: str) -> Trial:
    yield Call("PutObject", {"Key": key, "Body": _BODY, "Tagging": "controlroom=probe"})
    answer = yield Call("GetObjectTagging", {"Key": key})
    return bool(answer.get("TagSet") == [{"Key": "controlroom", "Value": "probe"}])


def _versions(_: str, key: str) -> Trial:
    answer = yield Call("PutObject", {"Key": key, "Body": _BODY})
    return answer.get("VersionId") not in (None, "null")


def _in_one_part(
    key: str, kind: dict[str, str] | None = None, checksum: dict[str, str] | None = None
) -> Flow[Call, tuple[dict[str, Any], list[dict[str, Any]]]]:
    created = yield Call("CreateMultipartUpload", {"Key": key, **(kind or {})})
    upload = {"Key": key, "UploadId": created["UploadId"]}
    part = yield Call("UploadPart", {**upload, "PartNumber": 1, "Body": _BODY, **(checksum or {})})
    return upload, [{"PartNumber": 1, "ETag": part["ETag"], **(checksum or {})}]


_TRIALS: Final[dict[Capability, Callable[[str, str], Trial]]] = {
    Capability.PUT_IF_ABSENT: _put(IfNoneMatch="*"),
    Capability.PUT_IF_MATCH: _put(IfMatch=_OTHER_ETAG),
    Capability.COMPLETE_IF_ABSENT: _complete(IfNoneMatch="*"),
    Capability.COMPLETE_IF_MATCH: _complete(IfMatch=_OTHER_ETAG),
    Capability.COPY_IF_ABSENT: _copy({"IfNoneMatch": "*"}, taken=True),
    Capability.COPY_SOURCE_IF_MATCH: _copy({"CopySourceIfMatch": _OTHER_ETAG}, taken=False),
    Capability.DELETE_IF_MATCH: _delete,
    Capability.CHECKSUMS: _checksums,
    Capability.FULL_OBJECT: _full_object,
    Capability.TAGS: _tags,
    Capability.VERSIONS: _versions,
}
