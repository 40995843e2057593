"""Which promises of S3 the servers of the tests keep: a quirk of theirs is known by name here, and becomes none of ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ResponseStreamingError

from controlroom.storage import AsyncS3Store, S3Store
from controlroom.storage.s3 import capabilities
from controlroom.storage.s3.capabilities import Capability
from tests.integration.s3_promises import PROMISES, Asked

# What a server does otherwise than AWS. A quirk that went away fails here too, and can then be struck off.
QUIRKS: dict[str, dict[str, str]] = {
    "seaweedfs_server": {
        "put_if_match_of_nothing_is_404": "it answers 412, as for an object that has changed",
        "listed_in_utf_8_order": "it lists the folders of a tree: a/b before a!b",
        "keys_are_no_paths": "p//q is p/q to it, and p/q/ a folder",
        "multipart_over_a_prefix": "it answers InternalError where p is the beginning of p/q",
        "backslashes_are_kept": "a\\b is a/b to it",
        "keys_of_1024_bytes": "a segment has 255 bytes at most",
        "complete_if_none_match_is_one_step": "it looks, and completes in a second step: several win",
        "complete_if_match_is_one_step": "as above",
    },
    "ministack_server": {
        "complete_of_small_parts": "it joins parts of any size",
        "copy_if_none_match": "it copies regardless",
        "copy_if_match": "it copies regardless",
        "copy_if_none_match_is_one_step": "it copies regardless",
        "full_object_crc32": "it refuses FULL_OBJECT at CreateMultipartUpload",
        "keys_of_1025_bytes_are_refused": "it takes keys of any length",
        "wrong_signatures_are_refused": "it checks none",
    },
}


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.parametrize("server", QUIRKS)
def test_a_server_keeps_a_promise_or_is_known_not_to(server: str, promise: str, request: Any) -> None:
    asked = Asked(request.getfixturevalue(server))

    try:
        kept = PROMISES[promise](asked)
    except (KeyError, TypeError, ResponseStreamingError):  # an answer that lacks what AWS answers, or a refusal
        kept = False
    assert kept is (promise not in QUIRKS[server])


def test_every_quirk_is_one_of_a_promise() -> None:
    assert {quirk for quirks in QUIRKS.values() for quirk in quirks} <= PROMISES.keys()


# Which promise a capability of our stores stands on.
STANDS_ON = {
    Capability.PUT_IF_ABSENT: "put_if_none_match",
    Capability.PUT_IF_MATCH: "put_if_match",
    Capability.COMPLETE_IF_ABSENT: "complete_if_none_match_is_one_step",
    Capability.COMPLETE_IF_MATCH: "complete_if_match_is_one_step",
    Capability.COPY_IF_ABSENT: "copy_if_none_match",
    Capability.COPY_SOURCE_IF_MATCH: "copy_source_if_match",
    Capability.DELETE_IF_MATCH: "delete_if_match",
    Capability.CHECKSUMS: "wrong_crc32_is_refused",
    Capability.FULL_OBJECT: "full_object_crc32",
    Capability.TAGS: "copy_keeps_or_replaces_tags",
}


@pytest.mark.parametrize("capability", STANDS_ON)
@pytest.mark.parametrize("server", QUIRKS)
def test_what_a_store_finds_out_about_a_server_is_the_truth(server: str, capability: Capability, request: Any) -> None:
    here = request.getfixturevalue(server)
    bucket, truth = here.new_bucket(), STANDS_ON[capability] not in QUIRKS[server]

    async def found_out() -> bool:
        async with AsyncS3Store(bucket, "b", **here.login()) as store:
            return await store._performer.capabilities.has(capability)

    with S3Store(bucket, "a", **here.login()) as store:
        assert store._performer.capabilities.has(capability) is truth
    capabilities._found.clear()
    assert asyncio.run(found_out()) is truth
    assert (here.keys(bucket), here.uploads(bucket)) == ([], [])


def test_every_capability_stands_on_a_promise() -> None:
    """Whether a bucket has versions is its owner's choice, and no quirk."""
    assert {*Capability} - STANDS_ON.keys() == {Capability.VERSIONS}
    assert set(STANDS_ON.values()) <= PROMISES.keys()


@pytest.mark.parametrize("versioning", [False, True])
@pytest.mark.parametrize("server", QUIRKS)
def test_a_bucket_with_versions_is_told_from_one_without(server: str, versioning: bool, request: Any) -> None:
    here = request.getfixturevalue(server)
    with S3Store(here.new_bucket(versioning), **here.login()) as store:
        assert store._performer.capabilities.has(Capability.VERSIONS) is versioning
        receipts = [store.publish("a", body) for body in (b"1", b"2")]
        assert store.stat("a").version == receipts[1].version
        assert (receipts[0].version != receipts[1].version) is versioning
        assert (receipts[0].version is None) is not versioning


@pytest.mark.parametrize("server", QUIRKS)
def test_finding_out_leaves_no_versions_either(server: str, request: Any) -> None:
    here = request.getfixturevalue(server)
    bucket = here.new_bucket(versioning=True)
    with S3Store(bucket, **here.login()) as store:
        for capability in Capability:
            store._performer.capabilities.has(capability)

    left = here.s3.list_object_versions(Bucket=bucket)
    assert (left.get("Versions", []), left.get("DeleteMarkers", []), here.uploads(bucket)) == ([], [], [])
