"""Objects of real servers are copied, moved and deleted, in both colours: verified, once, and again after a crash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from controlroom.errors import (
    ControlRoomError,
    FileOperationError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsafePathError,
)
from controlroom.policy.flow import Crash
from controlroom.storage.s3.moving import S3Moving
from controlroom.storage.s3.moving_async import AsyncS3Moving
from controlroom.testing import FaultPlan
from tests.contract.stores import AllInOneLoop, Blocking, open_s3
from tests.integration.s3_pairs import PAIRS, call
from tests.servers.s3 import S3Server

MIB = 1024**2
PART = 5 * MIB
LARGE = os.urandom(MIB) * 5 + b"the end"
SMALL = b"a few bytes"
EITHER = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])

pytestmark = pytest.mark.integration


@pytest.fixture
def server(pair: tuple[str, str], request: pytest.FixtureRequest) -> S3Server:
    found = request.getfixturevalue(pair[1])
    assert isinstance(found, S3Server)
    return found


@pytest.fixture
def prefix(server: S3Server) -> str:
    return server.new_prefix()


@pytest.fixture
def store(pair: tuple[str, str], server: S3Server, prefix: str, one_loop: AllInOneLoop) -> Iterator[Any]:
    with open_s3(pair[0], server, prefix, one_loop, part_size_bytes=PART) as store:
        in_parts(store)
        yield store
        assert server.uploads(server.bucket, prefix) == []


def in_parts(store: Any, part_bytes: int = PART) -> None:
    """Copy by parts what is longer than 5 MiB, as S3 does above 5 GB."""
    if isinstance(store, Blocking):
        store.store._moving = AsyncS3Moving(store.store._performer, single_bytes=PART, part_bytes=part_bytes)
    else:
        store._moving = S3Moving(store._performer, single_bytes=PART, part_bytes=part_bytes)


def contents(store: Any) -> dict[str, bytes]:
    return {info.key: store.read_bytes(info.key) for info in store.list()}


@EITHER
@pytest.mark.parametrize("key", ["z", "a b+c%2B?#&=é\u0301 日本"])
def test_a_copy_keeps_everything(server: S3Server, prefix: str, store: Any, content: bytes, key: str) -> None:
    source = store.publish(key, content, metadata={"who": "Zoë"}, content_type="text/csv")
    tags = {"TagSet": [{"Key": "t 1", "Value": "a+b=c"}]}
    server.s3.put_object_tagging(Bucket=server.bucket, Key=f"{prefix}/{key}", Tagging=tags)

    receipt = store.copy(key, f"copy of {key}")
    info = store.stat(f"copy of {key}")
    assert (dict(info.metadata), info.content_type, info.size_bytes) == ({"who": "Zoë"}, "text/csv", len(content))
    assert info.etag == receipt.etag
    assert receipt.sha256 in {source.sha256, ""}
    assert server.s3.get_object_tagging(Bucket=server.bucket, Key=f"{prefix}/copy of {key}")["TagSet"] == tags["TagSet"]
    assert contents(store) == {key: content, f"copy of {key}": content}


def test_headers_are_kept(server: S3Server, prefix: str, store: Any) -> None:
    for content in (SMALL, LARGE):
        server.s3.put_object(
            Bucket=server.bucket,
            Key=f"{prefix}/a",
            Body=content,
            CacheControl="no-store",
            ContentDisposition="attachment",
            ContentEncoding="gzip",
        )
        store.copy("a", "b")
        found = server.s3.head_object(Bucket=server.bucket, Key=f"{prefix}/b")
        assert (found["CacheControl"], found["ContentDisposition"], found["ContentEncoding"]) == (
            "no-store",
            "attachment",
            "gzip",
        )


@pytest.mark.parametrize("colour", ["S3Store", "AsyncS3Store"])
def test_the_parts_of_the_source_are_those_of_the_copy(
    seaweedfs_server: S3Server, one_loop: AllInOneLoop, colour: str
) -> None:
    """An ETag over ETags of parts is the same then, and so is a checksum over checksums. (ministack tells no parts.)"""
    prefix = seaweedfs_server.new_prefix()
    with (
        open_s3(colour, seaweedfs_server, prefix, one_loop, part_size_bytes=PART) as writer,
        open_s3(colour, seaweedfs_server, prefix, one_loop) as store,
    ):
        in_parts(store, part_bytes=6 * MIB)
        source = writer.publish("a", LARGE)
        assert source.etag.endswith("-2")
        assert store.copy("a", "b").etag == source.etag


@EITHER
def test_only_what_is_absent_is_copied(store: Any, server: S3Server, content: bytes) -> None:
    store.publish("a", content)
    if server.name == "seaweedfs" and content == LARGE:  # it completes uploads on a condition in two steps
        with pytest.raises(FileOperationError, match="If-None-Match"):
            store.copy("a", "b", if_absent=True)
        return
    store.copy("a", "b", if_absent=True)
    with pytest.raises(ObjectExistsError):
        store.copy("a", "b", if_absent=True)
    store.publish("c", b"theirs")
    with pytest.raises(ObjectExistsError):
        store.move("a", "c", if_absent=True)

    assert contents(store) == {"a": content, "b": content, "c": b"theirs"}


def test_nothing_is_something(store: Any) -> None:
    store.publish("a", b"", metadata={"x": "y"})
    store.copy("a", "b", if_absent=True)
    store.move("b", "c", if_absent=True)

    assert contents(store) == {"a": b"", "c": b""}
    assert dict(store.stat("c").metadata) == {"x": "y"}


@pytest.mark.parametrize("tags", ["drop", "fail"])
def test_tags_are_treated_as_the_store_was_told(
    server: S3Server, prefix: str, one_loop: AllInOneLoop, pair: tuple[str, str], tags: str
) -> None:
    with open_s3(pair[0], server, prefix, one_loop, part_size_bytes=PART, tags=tags) as store:
        in_parts(store)
        for key, content in (("small", SMALL), ("large", LARGE)):
            server.s3.put_object(Bucket=server.bucket, Key=f"{prefix}/{key}", Body=content, Tagging="t=1")
            if tags == "fail":
                with pytest.raises(FileOperationError, match="has tags"):
                    store.move(key, f"{key}2")
                assert not store.exists(f"{key}2")
            else:
                store.copy(key, f"{key}2")
                found = server.s3.get_object_tagging(Bucket=server.bucket, Key=f"{prefix}/{key}2")
                assert found["TagSet"] == []


@pytest.mark.parametrize(
    ("pair", "content", "if_absent"),
    [
        *((pair, SMALL, if_absent) for pair in PAIRS for if_absent in (False, True)),
        (PAIRS[0], LARGE, True),
        (PAIRS[1], LARGE, False),
    ],
    ids=lambda given: (
        " on ".join(given) if isinstance(given, tuple) else {SMALL: "small", LARGE: "large"}.get(given, str(given))
    ),
)
def test_a_move_that_was_killed_anywhere_is_ended_by_the_next(
    request: pytest.FixtureRequest, one_loop: AllInOneLoop, pair: tuple[str, str], content: bytes, if_absent: bool
) -> None:
    colour, where = pair
    # SeaweedFS completes uploads on a condition in two steps: that is refused there.
    server = request.getfixturevalue("ministack_server" if content == LARGE else where)
    with open_s3(colour, server, server.new_prefix(), one_loop, part_size_bytes=PART) as store:
        in_parts(store)
        store.publish("warm", content)
        store.move("warm", "warmer", if_absent=True)  # what the server can do has been found out
        store.delete("warmer")
        steps = 1
        while killed_at(steps, store, content, if_absent=if_absent):
            steps += 1
        assert steps > 4


def killed_at(step: int, store: Any, content: bytes, *, if_absent: bool) -> bool:
    store.publish("a", content)
    store.delete("b")
    try:
        with FaultPlan.crash(step):
            store.move("a", "b", if_absent=if_absent)
    except Crash:
        found = [info.size_bytes for info in store.list()]
        assert set(found) == {len(content)}
        if "a" in [info.key for info in store.list()]:
            store.move("a", "b", if_absent=if_absent)
    else:
        step = 0
    assert contents(store) == {"b": content}
    return step > 0


def test_of_many_who_move_one_object_one_succeeds(store: Any) -> None:
    def move(_: int) -> bool:
        try:
            store.move("a", "b", if_absent=True)
        except (ObjectExistsError, ObjectChangedError, ObjectNotFoundError):
            return False
        return True

    for _ in range(3):
        store.publish("a", SMALL)
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(move, range(8)))
        assert won.count(True) == 1
        assert contents(store) == {"b": SMALL}
        store.delete("b")


def test_where_there_are_versions_the_source_is_hidden_and_kept(server: S3Server, one_loop: AllInOneLoop) -> None:
    bucket = server.new_bucket(versioning=True)
    for colour in ("S3Store", "AsyncS3Store"):
        with open_s3(colour, server, colour, one_loop, bucket=bucket) as store:
            store.publish("a", b"1")
            store.publish("a", b"2")
            receipt = store.move("a", "b")
            assert contents(store) == {"b": b"2"}
            assert receipt.version == store.stat("b").version
            versions = server.s3.list_object_versions(Bucket=bucket, Prefix=f"{colour}/a")
            assert len(versions["Versions"]) == 2
            assert len(versions["DeleteMarkers"]) == 1


def test_a_copy_of_something_that_is_replaced_right_then_is_of_one_version(store: Any) -> None:
    store.publish("a", LARGE)
    writer = store.store if isinstance(store, Blocking) else store
    other = bytes(len(LARGE))
    for step in range(2, 6):
        store.publish("a", LARGE)
        with FaultPlan.stall(step, lambda: writer.publish("a", other)):
            try:
                store.copy("a", "b")
            except ObjectChangedError:
                continue
        assert store.read_bytes("b") in {LARGE, other}


def test_deleting_many_refuses_before_it_begins(store: Any) -> None:
    store.publish("a", b"")
    with pytest.raises(UnsafePathError):
        call(store, "delete_many", ["a", "../b"])
    with pytest.raises(ControlRoomError, match="not one text"):
        call(store, "delete_many", "a")
    assert store.exists("a")
    call(store, "delete_many", [])
    call(store, "delete_many", iter(["a", "a", "q?x#y&<>\u00fc"]))
    assert not store.exists("a")


def test_the_receipt_of_a_copy_proves_the_content_where_its_writer_recorded_it(store: Any) -> None:
    store.publish("a", SMALL)

    assert store.copy("a", "b").sha256 == hashlib.sha256(SMALL).hexdigest()
    assert store.move("b", "c").sha256 == hashlib.sha256(SMALL).hexdigest()
