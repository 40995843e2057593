# ruff: noqa: N802, N803 - operations and parameters are named as S3 names them
"""A bucket of S3 as its documentation has it, in memory: performs the steps of flows, honest or with a flaw."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from controlroom.errors import ControlRoomError, ObjectChangedError, ObjectNotFoundError, StorageUnavailableError
from controlroom.policy.object_calls import Call, Calls, note_code
from controlroom.policy.s3_copying import Look, described
from controlroom.policy.s3_pieces import AbortUpload, Ask, ForgetUpload, NoteUpload
from controlroom.policy.s3_probing import Capability

KEPT = (
    "Metadata",
    "ContentType",
    "CacheControl",
    "ContentEncoding",
    "StorageClass",
    "ServerSideEncryption",
    "SSEKMSKeyId",
)


@dataclass
class Thing:
    body: bytes
    about: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)


def refused(kind: type[ControlRoomError], code: str) -> ControlRoomError:
    error = kind(code)
    note_code(error, code)
    return error


class S3Model:
    """One bucket.

    Attributes:
        things: What is there.
        uploads: What is unfinished.
        lacks: What it ignores.
        before: Called with each call before it is performed; may change the world, or raise.
        after: Called with each call once it was performed; may raise: the answer is lost.
    """

    def __init__(self, *lacks: Capability) -> None:
        self.things: dict[str, Thing] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.noted: set[str] = set()
        self.lacks = set(lacks)
        self.calls: list[Call] = []
        self.before: Callable[[Call], object] = lambda _: None
        self.after: Callable[[Call], object] = lambda _: None
        self.forgets_tags = False
        self._writes = 0

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    def put(self, key: str, body: bytes, tags: dict[str, str] | None = None, **about: Any) -> str:
        self._writes += 1
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._writes)
        known = {"ETag": etag, "LastModified": when, "ContentLength": len(body), "Metadata": {}}
        self.things[key] = Thing(body, known | about, tags or {})
        return etag.strip('"')

    def perform(self, step: Any) -> Any:  # noqa: PLR0911 - a case for each kind of step
        match step:
            case Ask():
                return step.capability not in self.lacks
            case Look():
                try:
                    return self.perform(described(step.key))
                except ObjectNotFoundError:
                    return None
            case Calls():
                return [self.perform(call) for call in step.calls]
            case AbortUpload():
                return self.perform(step.call)
            case NoteUpload():
                return self.noted.add(step.upload_id)
            case ForgetUpload():
                return self.noted.discard(step.upload_id)
            case _:
                self.calls.append(step)
                self.before(step)
                answer = getattr(self, f"_{step.operation}")(**step.params)
                self.after(step)
                return answer

    def _found(self, key: str) -> Thing:
        if key not in self.things:
            raise refused(ObjectNotFoundError, "NoSuchKey")
        return self.things[key]

    def _require(
        self, thing: Thing | None, if_match: str | None, if_none_match: str | None, capability: Capability
    ) -> None:
        if capability in self.lacks:
            return
        if if_match is not None and thing is None:
            raise refused(ObjectNotFoundError, "NoSuchKey")
        if thing is not None and (if_none_match == "*" or if_match not in {None, thing.about["ETag"]}):
            raise refused(ObjectChangedError, "PreconditionFailed")

    def _HeadObject(self, Key: str, IfMatch: str | None = None, PartNumber: int | None = None, **_: Any) -> Any:
        thing = self._found(Key)
        if PartNumber is not None:
            return {**thing.about, "ContentLength": thing.about["parts"][PartNumber - 1]}
        return {name: value for name, value in thing.about.items() if name != "parts"}

    def _GetObjectTagging(self, Key: str) -> Any:
        return {"TagSet": [{"Key": key, "Value": value} for key, value in self._found(Key).tags.items()]}

    def _PutObjectTagging(self, Key: str, Tagging: Any) -> None:
        self._found(Key).tags = {tag["Key"]: tag["Value"] for tag in Tagging["TagSet"]}

    def _source(self, params: dict[str, Any]) -> Thing:
        thing = self._found(params["CopySource"]["Key"])
        self._require(thing, params["CopySourceIfMatch"], None, Capability.COPY_SOURCE_IF_MATCH)
        return thing

    def _CopyObject(self, Key: str, IfNoneMatch: str | None = None, **params: Any) -> Any:
        source = self._source(params)
        self._require(self.things.get(Key), None, IfNoneMatch, Capability.COPY_IF_ABSENT)
        tags = dict(source.tags) if params["TaggingDirective"] == "COPY" else {}
        self._store(Key, source.body, params, tags)
        self.things[Key].about |= {name: value for name, value in source.about.items() if name.startswith("Checksum")}
        return {"CopyObjectResult": {"ETag": self.things[Key].about["ETag"]}}

    def _PutObject(self, Key: str, Body: bytes, IfNoneMatch: str | None = None, **params: Any) -> Any:
        self._require(self.things.get(Key), None, IfNoneMatch, Capability.PUT_IF_ABSENT)
        self._store(Key, Body, params, {})
        return {"ETag": self.things[Key].about["ETag"]}

    def _store(self, key: str, body: bytes, params: dict[str, Any], tags: dict[str, str]) -> None:
        self.put(key, body, tags, **{name: params[name] for name in KEPT if name in params})

    def _CreateMultipartUpload(self, **params: Any) -> Any:
        upload_id = f"upload {len(self.calls)}"
        self.uploads[upload_id] = {"params": params, "parts": {}}
        return {"UploadId": upload_id}

    def _UploadPartCopy(self, UploadId: str, PartNumber: int, CopySourceRange: str, **params: Any) -> Any:
        start, end = map(int, CopySourceRange.removeprefix("bytes=").split("-"))
        body = self._source(params).body[start : end + 1]
        self.uploads[UploadId]["parts"][PartNumber] = body
        return {"CopyPartResult": {"ETag": f'"{hashlib.md5(body).hexdigest()}"', "ChecksumCRC32": "c"}}

    def _CompleteMultipartUpload(
        self, Key: str, UploadId: str, MultipartUpload: Any, IfNoneMatch: str | None = None
    ) -> Any:
        if UploadId not in self.uploads:
            raise refused(ObjectNotFoundError, "NoSuchUpload")
        self._require(self.things.get(Key), None, IfNoneMatch, Capability.COMPLETE_IF_ABSENT)
        upload = self.uploads.pop(UploadId)
        parts = [upload["parts"][part["PartNumber"]] for part in MultipartUpload["Parts"]]
        self._store(Key, b"".join(parts), upload["params"], {})
        thing = self.things[Key]
        thing.about |= {"ETag": f'"{"0" * 32}-{len(parts)}"', "parts": [len(part) for part in parts]}
        tagging = "" if self.forgets_tags else upload["params"].get("Tagging", "")
        thing.tags = dict(pair.split("=") for pair in tagging.split("&") if pair)
        return {"ETag": thing.about["ETag"]}

    def _AbortMultipartUpload(self, Key: str, UploadId: str) -> None:
        if self.uploads.pop(UploadId, None) is None:
            raise refused(ObjectNotFoundError, "NoSuchUpload")

    def _DeleteObject(self, Key: str, IfMatch: str | None = None) -> None:
        self._require(self.things.get(Key), IfMatch, None, Capability.DELETE_IF_MATCH)
        self.things.pop(Key, None)

    def _DeleteObjects(self, Delete: Any) -> Any:
        for entry in Delete["Objects"]:
            self.things.pop(entry["Key"], None)
        return {}


def lost() -> StorageUnavailableError:
    """What comes out where an answer did not come, in any attempt."""
    return StorageUnavailableError("no answer", sent="unknown")
