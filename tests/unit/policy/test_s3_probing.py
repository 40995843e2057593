# ruff: noqa: N802, N803 - operations and parameters are named as S3 names them
from __future__ import annotations

import asyncio
import hashlib
import zlib
from base64 import b64encode
from itertools import count
from typing import Any

import pytest

from controlroom.errors import (
    ChecksumMismatchError,
    FileOperationError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageUnavailableError,
)
from controlroom.policy.flow import drive
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_probing import Capability, probing

KEY = "p/.controlroom-probe/1"
LEARNT = [capability for capability in Capability if capability is not Capability.VERSIONS]


class Server:
    """A bucket that keeps every promise but those that it *lacks*; `things` are the versions of each key, the newest last."""

    def __init__(self, *lacks: Capability, versioned: bool = False, name: str = "AmazonS3") -> None:
        self.things: dict[str, list[dict[str, Any]]] = {}
        self.uploads: dict[str, list[str]] = {}
        self.calls: list[Call] = []
        self.fails_at: tuple[int, BaseException] | None = None
        self.loses_at: tuple[int, BaseException] | None = None
        self.keeps = False
        self._lacks = lacks
        self._versioned = versioned
        self._name = name
        self._numbers = count(1)

    def finds_out(self, capability: Capability) -> bool:
        return drive(probing(capability, "bucket", KEY), self.perform)

    @property
    def left(self) -> tuple[list[str], list[str]]:
        return sorted(self.things), sorted(self.uploads)

    def perform(self, call: Call) -> Any:
        self.calls.append(call)
        if self.fails_at is not None and len(self.calls) == self.fails_at[0]:
            raise self.fails_at[1]
        try:
            return getattr(self, f"_{call.operation}")(**call.params)
        finally:
            if self.loses_at is not None and len(self.calls) == self.loses_at[0]:
                raise self.loses_at[1]

    def _now(self, key: str) -> dict[str, Any] | None:
        newest = self.things.get(key, [{}])[-1]
        return newest if "ETag" in newest else None

    def _keep(self, key: str, thing: dict[str, Any]) -> dict[str, Any]:
        version = f"v{next(self._numbers)}" if self._versioned else "null"
        older = self.things.get(key, []) if self._versioned else []
        self.things[key] = [*older, {**thing, "VersionId": version}]
        return {"ETag": thing.get("ETag"), "VersionId": version} if self._versioned else {"ETag": thing.get("ETag")}

    def _require(
        self, key: str, absent: Capability, same: Capability, IfNoneMatch: str | None, IfMatch: str | None
    ) -> None:
        now = self._now(key)
        if IfNoneMatch is not None and now is not None and absent not in self._lacks:
            raise ObjectChangedError("it is there")
        if IfMatch is not None and (now is None or now["ETag"] != IfMatch) and same not in self._lacks:
            raise ObjectChangedError("another")

    def _PutObject(  # noqa: PLR0917 - called by name
        self,
        Key: str,
        Body: bytes,
        IfNoneMatch: str | None = None,
        IfMatch: str | None = None,
        ChecksumCRC32: str | None = None,
        Tagging: str = "",
    ) -> Any:
        self._require(Key, Capability.PUT_IF_ABSENT, Capability.PUT_IF_MATCH, IfNoneMatch, IfMatch)
        checks = Capability.CHECKSUMS not in self._lacks
        if checks and ChecksumCRC32 not in (None, crc32(Body)):
            raise ChecksumMismatchError("not what was sent")
        tags = Tagging if Capability.TAGS not in self._lacks else ""
        return self._keep(
            Key, {"ETag": etag(Body), "Body": Body, "Tags": tags, "ChecksumCRC32": ChecksumCRC32 if checks else None}
        )

    def _CreateMultipartUpload(self, Key: str, ChecksumAlgorithm: str = "", ChecksumType: str = "") -> Any:
        if ChecksumType and Capability.FULL_OBJECT in self._lacks:
            raise FileOperationError("InvalidRequest")
        self.uploads[f"u{next(self._numbers)}"] = [Key]
        return {"UploadId": list(self.uploads)[-1]}

    def _UploadPart(self, Key: str, UploadId: str, PartNumber: int, Body: bytes, ChecksumCRC32: str = "") -> Any:
        assert self.uploads[UploadId] == [Key]
        return {"ETag": etag(Body)}

    def _CompleteMultipartUpload(
        self,
        Key: str,
        UploadId: str,
        MultipartUpload: Any,
        IfNoneMatch: str | None = None,
        IfMatch: str | None = None,
        **checksum: str,
    ) -> Any:
        self._require(Key, Capability.COMPLETE_IF_ABSENT, Capability.COMPLETE_IF_MATCH, IfNoneMatch, IfMatch)
        del self.uploads[UploadId]
        return self._keep(Key, {"ETag": '"parts-1"', **checksum})

    def _AbortMultipartUpload(self, Key: str, UploadId: str) -> Any:
        if self.keeps or self.uploads.pop(UploadId, None) is None:
            raise ObjectNotFoundError("NoSuchUpload")

    def _CopyObject(
        self, Key: str, CopySource: Any, IfNoneMatch: str | None = None, CopySourceIfMatch: str | None = None
    ) -> Any:
        self._require(Key, Capability.COPY_IF_ABSENT, Capability.COPY_IF_ABSENT, IfNoneMatch, None)
        source = CopySource["Key"]
        self._require(source, Capability.COPY_SOURCE_IF_MATCH, Capability.COPY_SOURCE_IF_MATCH, None, CopySourceIfMatch)
        found = self._now(source)
        assert found is not None
        return self._keep(Key, found)

    def _DeleteObject(self, Key: str, IfMatch: str | None = None, VersionId: str | None = None) -> Any:
        if self.keeps:
            raise StorageAccessError("denied")
        self._require(Key, Capability.DELETE_IF_MATCH, Capability.DELETE_IF_MATCH, None, IfMatch)
        if VersionId is None and self._versioned:
            return self._keep(Key, {"DeleteMarker": True})
        kept = [thing for thing in self.things.pop(Key, []) if VersionId not in (None, thing["VersionId"])]
        if kept:
            self.things[Key] = kept
        return {"VersionId": VersionId} if VersionId else {}

    def _ListObjectVersions(self, Prefix: str) -> Any:
        all_ = [
            {"Key": key, **thing} for key, things in self.things.items() for thing in things if key.startswith(Prefix)
        ]
        return {
            "Versions": [thing for thing in all_ if "ETag" in thing],
            "DeleteMarkers": [thing for thing in all_ if "ETag" not in thing],
        }

    def _HeadObject(self, Key: str, ChecksumMode: str = "") -> Any:
        found = self._now(Key)
        if found is None:
            raise ObjectNotFoundError("NoSuchKey")
        version = {"VersionId": found["VersionId"]} if self._versioned else {}
        shown = {name: found.get(name) for name in ("ETag", "ChecksumCRC32", "ChecksumType")}
        return {**shown, **version, "ResponseMetadata": {"HTTPHeaders": {"server": self._name}}}

    def _GetObjectTagging(self, Key: str) -> Any:
        found = self._now(Key)
        assert found is not None
        pairs = [pair.split("=") for pair in found["Tags"].split("&") if pair]
        return {"TagSet": [{"Key": name, "Value": value} for name, value in pairs]}


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def crc32(body: bytes) -> str:
    return b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("capability", LEARNT)
def test_what_a_server_does_is_told_from_what_it_ignores_and_nothing_is_left(
    capability: Capability, versioned: bool
) -> None:
    for lacks in [(), (capability,)]:
        server = Server(*lacks, versioned=versioned)
        assert server.finds_out(capability) is (lacks == ())
        assert server.left == ([], [])


@pytest.mark.parametrize("versioned", [False, True])
def test_a_bucket_with_versions_is_told_from_one_without(versioned: bool) -> None:
    server = Server(versioned=versioned)

    assert server.finds_out(Capability.VERSIONS) is versioned
    assert server.left == ([], [])


@pytest.mark.parametrize("capability", [Capability.COMPLETE_IF_ABSENT, Capability.COMPLETE_IF_MATCH])
def test_a_server_that_looks_first_and_completes_later_is_known_by_its_name(capability: Capability) -> None:
    """It refuses one who comes late, as this trial does: that several who come at once win, no single trial shows."""
    server = Server(name="SeaweedFS 30GB 4.48")

    assert server.finds_out(capability) is False
    assert server.left == ([], [])
    assert Server(name="SeaweedFS 30GB 4.48").finds_out(Capability.PUT_IF_ABSENT) is True


def steps(capability: Capability, *, versioned: bool) -> list[str]:
    """The operations of a trial, without the removal of what it made."""
    server = Server(versioned=versioned)
    server.finds_out(capability)
    removal = next(at for at, call in enumerate(server.calls) if removes(call))
    return [call.operation for call in server.calls[:removal]]


def removes(call: Call) -> bool:
    return call.operation == "AbortMultipartUpload" or (
        call.operation == "DeleteObject" and "IfMatch" not in call.params
    )


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("capability", Capability)
def test_no_answer_and_an_interrupt_leave_nothing_wherever_they_come(capability: Capability, versioned: bool) -> None:
    """Whether the server has done its work or not. An upload whose id nobody learnt is found by its age."""
    for at, operation in enumerate(steps(capability, versioned=versioned), 1):
        for error in (StorageUnavailableError("lost", sent="unknown"), KeyboardInterrupt(), asyncio.CancelledError()):
            for way in ("fails_at", "loses_at"):
                server = Server(versioned=versioned)
                setattr(server, way, (at, error))
                with pytest.raises(type(error)):
                    server.finds_out(capability)
                unknown = operation == "CreateMultipartUpload" and way == "loses_at"
                assert (server.left[0], len(server.left[1])) == ([], int(unknown))


@pytest.mark.parametrize("capability", LEARNT)
def test_a_refusal_of_what_is_tried_is_an_answer_and_that_of_storing_at_all_is_none(capability: Capability) -> None:
    for at, _ in enumerate(steps(capability, versioned=False), 1):
        for error in (FileOperationError("NotImplemented"), StorageAccessError("denied")):
            server = Server()
            server.fails_at = at, error
            if at == 1 or type(error) is StorageAccessError:
                with pytest.raises(type(error)):
                    server.finds_out(capability)
            else:
                refused_what_is_wrong = capability is Capability.CHECKSUMS and at == 2
                assert server.finds_out(capability) is refused_what_is_wrong
            assert server.left == ([], [])


@pytest.mark.parametrize("capability", [Capability.PUT_IF_ABSENT, Capability.COMPLETE_IF_ABSENT])
def test_what_cannot_be_removed_does_not_change_what_was_learnt(capability: Capability) -> None:
    server = Server()
    server.keeps = True

    assert server.finds_out(capability) is True
    assert server.left[0] == [KEY]


def test_an_interrupt_while_removing_goes_up() -> None:
    server = Server()
    server.fails_at = 3, KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        server.finds_out(Capability.PUT_IF_ABSENT)
