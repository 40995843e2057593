"""Operations of a store in S3: what is there before them, what they do, and which claims about them are true."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controlroom.errors import ControlRoomError, PublicationInDoubtError, StorageUnavailableError
from controlroom.policy.backoff import Backoff
from controlroom.retrying import RetryPolicy
from tests.servers.s3 import S3Server

__all__ = ["LARGE", "OPERATIONS", "PART", "Operation", "World", "quick"]

PART: Final = 5 * 1024 * 1024
OLD: Final = b"old"
NEW: Final = b"new, of another length"
LARGE: Final = b"l" * PART + b"and a part more"
State = Mapping[str, bytes]


def quick(**more: Any) -> dict[str, Any]:
    """Options of a store that waits for nothing."""
    return {
        "retry": RetryPolicy(attempts=2, backoff=Backoff(initial_s=0.001, jitter="none")),
        "part_size_bytes": PART,
        **more,
    }


@dataclass(frozen=True)
class Operation:
    """One call on a store.

    Attributes:
        name: What it is called in the tests' names.
        before: The objects there are before it.
        run: Does it, and returns what it claims.
        after: The objects there are after it, if what it claims is that it was done.
        between: Further states that a failure may leave, all of them whole.
    """

    name: str
    before: State
    run: Callable[[Any], Any]
    after: State
    between: tuple[State, ...] = ()


def _written(store: Any, key: str, content: bytes, **options: Any) -> Any:
    with store.writer(key, **options) as file:
        file.write(content[: PART // 2])
        file.write(content[PART // 2 :])
    return file.receipt


OPERATIONS: Final = (
    Operation("publish", {"a": OLD}, lambda store: store.publish("a", NEW), {"a": NEW}),
    Operation("publish if absent", {}, lambda store: store.publish("a", NEW, if_absent=True), {"a": NEW}),
    Operation(
        "publish if match",
        {"a": OLD},
        lambda store: store.publish("a", NEW, if_match=hashlib.md5(OLD, usedforsecurity=False).hexdigest()),
        {"a": NEW},
    ),
    Operation("publish large", {"a": OLD}, lambda store: store.publish("a", LARGE), {"a": LARGE}),
    Operation("publish large if absent", {}, lambda store: store.publish("a", LARGE, if_absent=True), {"a": LARGE}),
    Operation("write", {"a": OLD}, lambda store: _written(store, "a", LARGE), {"a": LARGE}),
    Operation("copy", {"a": OLD}, lambda store: store.copy("a", "b"), {"a": OLD, "b": OLD}),
    Operation("copy if absent", {"a": OLD}, lambda store: store.copy("a", "b", if_absent=True), {"a": OLD, "b": OLD}),
    Operation("move", {"a": OLD, "b": NEW}, lambda store: store.move("a", "b"), {"b": OLD}, ({"a": OLD, "b": OLD},)),
    Operation(
        "move if absent",
        {"a": OLD},
        lambda store: store.move("a", "b", if_absent=True),
        {"b": OLD},
        ({"a": OLD, "b": OLD},),
    ),
    Operation("delete", {"a": OLD}, lambda store: store.delete("a"), {}),
    Operation(
        "delete if match",
        {"a": OLD},
        lambda store: store.delete("a", if_match=hashlib.md5(OLD, usedforsecurity=False).hexdigest()),
        {},
    ),
    Operation("read", {"a": LARGE}, lambda store: store.read_bytes("a"), {"a": LARGE}),
    Operation("stat", {"a": OLD}, lambda store: store.stat("a"), {"a": OLD}),
    Operation("list", {"a": OLD, "b": NEW}, lambda store: [info.key for info in store.list()], {"a": OLD, "b": NEW}),
)


class World:
    """A prefix of a server, seen without the store."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.prefix = server.new_prefix()

    def set_up(self, state: State, *, sweeps: bool = True) -> None:
        listed = self.server.s3.list_multipart_uploads(Bucket=self.server.bucket, Prefix=f"{self.prefix}/")
        for upload in listed.get("Uploads", []) if sweeps else []:
            about = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
            self.server.s3.abort_multipart_upload(Bucket=self.server.bucket, **about)
        for key in self.server.keys(prefix=f"{self.prefix}/"):
            self.server.s3.delete_object(Bucket=self.server.bucket, Key=key)
        for key, content in state.items():
            self.server.s3.put_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}", Body=content)

    def state(self) -> dict[str, bytes]:
        return {
            key.removeprefix(f"{self.prefix}/"): self.server.s3.get_object(Bucket=self.server.bucket, Key=key)[
                "Body"
            ].read()
            for key in self.server.keys(prefix=f"{self.prefix}/")
        }

    def uploads(self) -> list[str]:
        return self.server.uploads(prefix=f"{self.prefix}/")

    def judge(self, operation: Operation, claim: Any) -> None:
        """Compare what was claimed, a result or an error, with what there is."""
        found = self.state()
        whole = (operation.before, *operation.between, operation.after)
        assert found in whole, f"torn: {sorted(found)}"
        if isinstance(claim, ControlRoomError):
            may_be_done = isinstance(claim, PublicationInDoubtError) or (
                isinstance(claim, StorageUnavailableError) and claim.sent != "no"
            )
            assert may_be_done or found in (operation.before, *operation.between), f"{claim!r}, but it was done"
            return
        assert not isinstance(claim, BaseException), f"{claim!r} is none of ours"
        assert found == operation.after, f"claimed, and not done: {sorted(found)}"
        if operation.name == "read":
            assert claim == LARGE
        if operation.name == "list":
            assert claim == sorted(operation.after)
        if hasattr(claim, "sha256") and claim.sha256:
            key = claim.ref.rpartition("/")[2]
            assert (claim.sha256, claim.size_bytes) == (hashlib.sha256(found[key]).hexdigest(), len(found[key]))
            head = self.server.s3.head_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{key}")
            assert claim.etag == head["ETag"].strip('"')
