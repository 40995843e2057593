"""Objects of real servers are described, listed, read and downloaded, in both colours."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import FileOperationError, ObjectExistsError, ObjectNotFoundError
from controlroom.storage import S3Store
from tests.contract.stores import AllInOneLoop, Blocking, open_s3
from tests.integration.s3_pairs import call
from tests.servers.s3 import S3Server

MIB = 1024**2
PART = 5 * MIB
LARGE = os.urandom(MIB) * 12 + b"the end"

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
        yield store


def listed(store: Any, **kwargs: Any) -> list[str]:
    if isinstance(store, Blocking):

        async def collected() -> list[str]:
            return [info.key async for info in store.store.list(**kwargs)]

        return store.run(collected())
    return [info.key for info in store.list(**kwargs)]


def test_an_object_that_somebody_else_published_is_described(server: S3Server, prefix: str, store: Any) -> None:
    answer = server.s3.put_object(
        Bucket=server.bucket, Key=f"{prefix}/a", Body=b"123", ContentType="text/csv", Metadata={"Rows": "3"}
    )

    info = store.stat("a")
    assert (info.key, info.size_bytes, info.content_type, dict(info.metadata)) == ("a", 3, "text/csv", {"rows": "3"})
    assert info.etag == answer["ETag"].strip('"')
    assert info.modified_at.tzinfo is UTC
    assert store.read_bytes("a") == b"123"


def test_what_is_kept_compressed_is_read_as_it_is_kept(
    server: S3Server, prefix: str, store: Any, tmp_path: Path
) -> None:
    content = gzip.compress(b"text" * 1000)
    server.s3.put_object(Bucket=server.bucket, Key=f"{prefix}/a", Body=content, ContentEncoding="gzip")

    assert store.read_bytes("a") == content
    with store.open("a") as file:
        assert file.read() == content
    call(store, "download", "a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content


def test_any_metadata_comes_back(store: Any) -> None:
    metadata = {
        "who": "Zoë",
        "Case": "Kept",
        "with blank": " round ",
        "empty": "",
        "ünï": "日本",
        "lines": "a\r\nb",
        "p": "100%41",
    }
    store.publish("a", b"", metadata=metadata)

    assert dict(store.stat("a").metadata) == metadata
    with store.open("a") as file:
        assert dict(file.info.metadata) == metadata


def test_what_is_small_takes_one_request(store: Any) -> None:
    content = bytes(range(256))
    receipt = store.publish("a", content)

    with store.open("a") as file:
        assert file.info.etag == receipt.etag
        assert file.read() == content


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, len(LARGE)])
def test_a_download_is_whole_and_proved(store: Any, tmp_path: Path, size: int) -> None:
    content = LARGE[:size]
    published = store.publish("a", content)
    target = tmp_path / "file"
    target.write_bytes(b"old")

    receipt = call(store, "download", "a", target)
    assert target.read_bytes() == content
    assert (receipt.sha256, receipt.size_bytes, receipt.etag) == (
        hashlib.sha256(content).hexdigest(),
        size,
        published.etag,
    )
    assert receipt.ref == published.ref
    assert store.read_bytes("a") == content
    assert os.listdir(tmp_path) == ["file"]


def test_a_download_that_cannot_be_leaves_what_was_there(store: Any, tmp_path: Path) -> None:
    store.publish("a", LARGE)
    target = tmp_path / "file"
    target.write_bytes(b"old")

    with pytest.raises(ObjectNotFoundError, match="none"):
        call(store, "download", "none", target)
    with pytest.raises(ObjectExistsError):
        call(store, "download", "a", target, overwrite=False)
    with pytest.raises(ObjectNotFoundError):
        call(store, "download", "a", tmp_path / "no" / "folder")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_keys_are_listed_as_they_are(server: S3Server, prefix: str, store: Any) -> None:
    keys = {"a b", "a+b", "a%2Bb", "ü/é", "e\u0301", "<&>", "q?x#y", "*"}
    for key in keys:
        store.publish(key, b"")
    server.s3.put_object(Bucket=server.bucket, Key=f"{prefix}/folder/", Body=b"")  # what consoles make of a folder

    assert set(listed(store)) == keys
    assert set(listed(store, prefix="a")) == {"a b", "a+b", "a%2Bb"}
    assert set(listed(store, prefix="a+")) == {"a+b"}


def test_a_listing_of_many_pages_is_whole_and_resumes(server: S3Server, prefix: str, store: Any) -> None:
    keys = [f"n/{number:04}" for number in range(1_050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: server.s3.put_object(Bucket=server.bucket, Key=f"{prefix}/{key}", Body=b""), keys))

    assert listed(store) == keys
    assert listed(store, start_after="n/0999") == keys[1_000:]
    assert listed(store, prefix="n/0", start_after="n/0998") == ["n/0999"]
    call(store, "delete_many", [*keys, "never/was"])
    assert listed(store) == []


def test_versions_are_named_and_read_on(server: S3Server, one_loop: AllInOneLoop) -> None:
    bucket = server.new_bucket(versioning=True)
    for colour in ("S3Store", "AsyncS3Store"):
        with open_s3(colour, server, "", one_loop, bucket=bucket) as store:
            first = store.publish(colour, b"1")
            with store.open(colour) as file:
                second = store.publish(colour, b"2")
                assert file.info.version == first.version
                assert file.read() == b"1"
                assert file.seek(0) == 0
                assert file.read() == b"1"
            assert first.version not in {None, second.version}
            assert store.stat(colour).version == second.version


def test_a_deleted_version_is_not_found(server: S3Server, one_loop: AllInOneLoop) -> None:
    bucket = server.new_bucket(versioning=True)
    with open_s3("S3Store", server, "", one_loop, bucket=bucket) as store:
        store.publish("a", b"1")
        store.delete("a")
        assert not store.exists("a")
        for ask in (store.stat, store.read_bytes):
            with pytest.raises(ObjectNotFoundError):
                ask("a")
        assert listed(store) == []


def test_a_bucket_that_is_not_there_is_no_missing_object(server: S3Server, one_loop: AllInOneLoop) -> None:
    with open_s3("S3Store", server, "", one_loop, bucket="never-was") as store:
        with pytest.raises(Exception) as failed:
            store.read_bytes("a")
        assert not isinstance(failed.value, ObjectNotFoundError)
        with pytest.raises(Exception) as failed:
            listed(store)
        assert not isinstance(failed.value, FileOperationError)


STREAM = """
import asyncio, json, resource, sys
from controlroom.storage import AsyncS3Store, S3Store

colour, login, bucket, key, target = sys.argv[1], json.loads(sys.argv[2]), *sys.argv[3:]
options = dict(login, part_size_bytes=5 * 1024**2, parallel=4)

def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def sync():
    with S3Store(bucket, **options) as store:
        store.stat(key)
        before = peak_kib()
        with store.open(key) as file:
            while file.read(1024**2):
                pass
        store.download(key, target, durable=False)
        return peak_kib() - before

async def asynchronous():
    async with AsyncS3Store(bucket, **options) as store:
        await store.stat(key)
        before = peak_kib()
        async with store.open(key) as file:
            while await file.read(1024**2):
                pass
        await store.download(key, target, durable=False)
        return peak_kib() - before

print(sync() if colour == "S3Store" else asyncio.run(asynchronous()))
"""


@pytest.mark.slow
def test_memory_stays_flat_however_long_the_object_is(seaweedfs_server: S3Server, tmp_path: Path) -> None:
    import json

    server, prefix = seaweedfs_server, seaweedfs_server.new_prefix()
    with S3Store(server.bucket, prefix, **server.login()) as store:
        store.publish("big", (bytes(MIB) for _ in range(64)))
    for colour in ("S3Store", "AsyncS3Store"):
        ran = subprocess.run(
            [
                sys.executable,
                "-c",
                STREAM,
                colour,
                json.dumps(server.login()),
                server.bucket,
                f"{prefix}/big",
                str(tmp_path / "big"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

        assert ran.returncode == 0, ran.stderr
        assert (tmp_path / "big").stat().st_size == 64 * MIB
        assert int(ran.stdout) < 48 * 1024, "KiB more at the peak than before"
