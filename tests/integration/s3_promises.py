"""What AWS promises of S3 and our stores rely on, each asked of a server by plain botocore: True where it keeps to it.

The questions are those of ceph's s3-tests (test_s3.py), put anew; what AWS does is in the API reference of each operation.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Final

from botocore.exceptions import ClientError

from controlroom.testing import HttpProxy
from tests.servers.s3 import S3Server

__all__ = ["PROMISES", "Asked"]

PART: Final = 5 * 1024 * 1024
ABSENT: Final = '"0123456789abcdef0123456789abcdef"'


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class Asked:
    """A server, and a prefix in it that holds nothing yet."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.bucket = server.bucket
        self.prefix = server.new_prefix()

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def do(self, operation: str, name: str = "a", **params: Any) -> Any:
        """Perform *operation* on the key *name*; return its answer, or the code of its refusal."""
        try:
            return getattr(self.server.s3, operation)(Bucket=self.bucket, Key=self.key(name), **params)
        except ClientError as error:
            return error.response["Error"]["Code"]

    def put(self, name: str = "a", body: bytes = b"old", **params: Any) -> Any:
        return self.do("put_object", name, Body=body, **params)

    def content(self, name: str = "a") -> Any:
        got = self.do("get_object", name)
        return got if isinstance(got, str) else got["Body"].read()

    def upload(self, *parts: bytes, name: str = "a", **params: Any) -> dict[str, Any]:
        """Begin an upload and send its parts; return what completes it."""
        upload_id = self.do("create_multipart_upload", name, **params)["UploadId"]
        sent = [
            self.do("upload_part", name, UploadId=upload_id, PartNumber=number, Body=part)
            for number, part in enumerate(parts, 1)
        ]
        listed = [{"PartNumber": number, "ETag": each["ETag"]} for number, each in enumerate(sent, 1)]
        return {"name": name, "UploadId": upload_id, "MultipartUpload": {"Parts": listed}}

    def complete(self, upload: dict[str, Any], **params: Any) -> Any:
        return self.do("complete_multipart_upload", **{**upload, **params})

    def copy(self, source: str, name: str, **params: Any) -> Any:
        return self.do("copy_object", name, CopySource={"Bucket": self.bucket, "Key": self.key(source)}, **params)


def refused(answer: Any, *codes: str) -> bool:
    return answer in (codes or ("PreconditionFailed", "412"))


def put_if_none_match(s3: Asked) -> bool:
    first, second = (s3.put(body=body, IfNoneMatch="*") for body in (b"1", b"2"))
    return not isinstance(first, str) and refused(second) and s3.content() == b"1"


def put_if_match(s3: Asked) -> bool:
    first = s3.put()
    second = s3.put(body=b"2", IfMatch=first["ETag"])
    return not isinstance(second, str) and refused(s3.put(body=b"3", IfMatch=first["ETag"])) and s3.content() == b"2"


def put_if_match_of_nothing_is_404(s3: Asked) -> bool:
    return refused(s3.put(IfMatch=ABSENT), "NoSuchKey", "404")


def complete_if_none_match(s3: Asked) -> bool:
    upload = s3.upload(b"new")
    s3.put()
    return refused(s3.complete(upload, IfNoneMatch="*")) and s3.content() == b"old"


def complete_if_none_match_of_nothing(s3: Asked) -> bool:
    return not isinstance(s3.complete(s3.upload(b"new"), IfNoneMatch="*"), str) and s3.content() == b"new"


def complete_if_match(s3: Asked) -> bool:
    upload, etag = s3.upload(b"new"), s3.put()["ETag"]
    s3.put(body=b"theirs")
    return refused(s3.complete(upload, IfMatch=etag)) and s3.content() == b"theirs"


def refused_complete_keeps_the_upload(s3: Asked) -> bool:
    upload = s3.upload(b"new")
    s3.put()
    s3.complete(upload, IfNoneMatch="*")
    return s3.server.uploads(prefix=s3.prefix) == [s3.key("a")]


def complete_twice_is_one(s3: Asked) -> bool:
    upload = s3.upload(b"new")
    first, second = s3.complete(upload), s3.complete(upload)
    return not isinstance(first, str) and not isinstance(second, str) and first["ETag"] == second["ETag"]


def complete_of_small_parts(s3: Asked) -> bool:
    return refused(s3.complete(s3.upload(b"1", b"2")), "EntityTooSmall")


def complete_of_other_parts(s3: Asked) -> bool:
    upload = s3.upload(b"1")
    upload["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": ABSENT}]}
    return refused(s3.complete(upload), "InvalidPart")


def uploads_are_invisible_until_complete(s3: Asked) -> bool:
    upload = s3.upload(b"new")
    return refused(s3.content(), "NoSuchKey") and bool(s3.complete(upload)) and s3.content() == b"new"


def abort_leaves_nothing(s3: Asked) -> bool:
    upload = s3.upload(b"new")
    s3.do("abort_multipart_upload", UploadId=upload["UploadId"])
    return refused(s3.complete(upload), "NoSuchUpload") and s3.server.uploads(prefix=s3.prefix) == []


def copy_if_none_match(s3: Asked) -> bool:
    s3.put("src", b"new")
    s3.put("dst")
    return refused(s3.copy("src", "dst", IfNoneMatch="*")) and s3.content("dst") == b"old"


def copy_if_match(s3: Asked) -> bool:
    s3.put("src", b"new")
    s3.put("dst")
    return refused(s3.copy("src", "dst", IfMatch=ABSENT)) and s3.content("dst") == b"old"


def copy_source_if_match(s3: Asked) -> bool:
    etag = s3.put("src")["ETag"]
    s3.put("src", b"changed")
    return refused(s3.copy("src", "dst", CopySourceIfMatch=etag)) and refused(s3.content("dst"), "NoSuchKey")


def copy_keeps_metadata(s3: Asked) -> bool:
    s3.put("src", b"x", Metadata={"a": "b"}, ContentType="text/csv")
    s3.copy("src", "dst")
    copied = s3.do("head_object", "dst")
    return (copied["Metadata"], copied["ContentType"]) == ({"a": "b"}, "text/csv")


def copy_keeps_or_replaces_tags(s3: Asked) -> bool:
    s3.put("src", b"x", Tagging="a=b")
    s3.copy("src", "kept")
    s3.copy("src", "without", TaggingDirective="REPLACE", Tagging="")
    tags = [s3.do("get_object_tagging", name)["TagSet"] for name in ("kept", "without")]
    return tags == [[{"Key": "a", "Value": "b"}], []]


def part_copy_source_if_match(s3: Asked) -> bool:
    etag = s3.put("src")["ETag"]
    s3.put("src", b"changed")
    upload = s3.upload(name="dst")
    copied = s3.do(
        "upload_part_copy",
        "dst",
        UploadId=upload["UploadId"],
        PartNumber=1,
        CopySource={"Bucket": s3.bucket, "Key": s3.key("src")},
        CopySourceIfMatch=etag,
    )
    s3.do("abort_multipart_upload", "dst", UploadId=upload["UploadId"])
    return refused(copied)


def part_copy_of_a_range(s3: Asked) -> bool:
    etag = s3.put("src", b"0123456789")["ETag"]
    upload = s3.upload(name="dst")
    source = {"CopySource": {"Bucket": s3.bucket, "Key": s3.key("src")}, "CopySourceIfMatch": etag}
    copied = s3.do(
        "upload_part_copy",
        "dst",
        UploadId=upload["UploadId"],
        PartNumber=1,
        CopySourceRange="bytes=2-5",
        **source,
    )
    upload["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]}
    return not isinstance(s3.complete(upload), str) and s3.content("dst") == b"2345"


def delete_if_match(s3: Asked) -> bool:
    etag = s3.put()["ETag"]
    s3.put(body=b"new")
    kept = refused(s3.do("delete_object", IfMatch=etag)) and s3.content() == b"new"
    s3.do("delete_object", IfMatch=s3.do("head_object")["ETag"])
    return kept and refused(s3.content(), "NoSuchKey")


def delete_of_nothing_is_no_error(s3: Asked) -> bool:
    return not isinstance(s3.do("delete_object"), str)


def batch_delete_if_match(s3: Asked) -> bool:
    s3.put()
    objects = [{"Key": s3.key("a"), "ETag": ABSENT}, {"Key": s3.key("none")}]
    answer = s3.server.s3.delete_objects(Bucket=s3.bucket, Delete={"Objects": objects})
    return [each["Key"] for each in answer.get("Errors", [])] == [s3.key("a")] and s3.content() == b"old"


def get_if_match(s3: Asked) -> bool:
    etag = s3.put()["ETag"]
    ranged = s3.do("get_object", IfMatch=etag, Range="bytes=1-1")["Body"].read()
    s3.put(body=b"new")
    return ranged == b"l" and refused(s3.do("get_object", IfMatch=etag, Range="bytes=1-1"))


def range_beyond_the_end_is_416(s3: Asked) -> bool:
    s3.put()
    return refused(s3.do("get_object", Range="bytes=3-5"), "InvalidRange", "416")


def wrong_crc32_is_refused(s3: Asked) -> bool:
    return refused(s3.put(ChecksumCRC32=crc32(b"other")), "BadDigest", "InvalidDigest") and not s3.server.keys(
        prefix=s3.prefix
    )


def wrong_sha256_is_refused(s3: Asked) -> bool:
    return refused(s3.put(ChecksumSHA256=sha256(b"other")), "BadDigest", "InvalidDigest")


def wrong_md5_is_refused(s3: Asked) -> bool:
    md5 = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    return refused(s3.put(ContentMD5=md5), "BadDigest", "InvalidDigest")


def wrong_crc32_of_a_part_is_refused(s3: Asked) -> bool:
    upload = s3.upload(ChecksumAlgorithm="CRC32")
    sent = s3.do("upload_part", UploadId=upload["UploadId"], PartNumber=1, Body=b"x", ChecksumCRC32=crc32(b"other"))
    s3.do("abort_multipart_upload", UploadId=upload["UploadId"])
    return refused(sent, "BadDigest", "InvalidDigest")


def stored_crc32_is_told(s3: Asked) -> bool:
    s3.put(ChecksumCRC32=crc32(b"old"))
    return s3.do("head_object", ChecksumMode="ENABLED").get("ChecksumCRC32") == crc32(b"old")


def _full_object(s3: Asked, claimed: bytes) -> Any:
    parts = (b"x" * PART, b"y")
    begun = s3.do("create_multipart_upload", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    if isinstance(begun, str):
        return begun
    listed = []
    for number, part in enumerate(parts, 1):
        sent = s3.do("upload_part", UploadId=begun["UploadId"], PartNumber=number, Body=part, ChecksumCRC32=crc32(part))
        listed.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumCRC32": crc32(part)})
    upload = {"name": "a", "UploadId": begun["UploadId"], "MultipartUpload": {"Parts": listed}}
    answer = s3.complete(upload, ChecksumCRC32=crc32(claimed), ChecksumType="FULL_OBJECT")
    if isinstance(answer, str):
        s3.do("abort_multipart_upload", UploadId=begun["UploadId"])
    return answer


def full_object_crc32(s3: Asked) -> bool:
    whole = b"x" * PART + b"y"
    if isinstance(_full_object(s3, whole), str):
        return False
    return s3.do("head_object", ChecksumMode="ENABLED").get("ChecksumCRC32") == crc32(whole)


def wrong_full_object_crc32_is_refused(s3: Asked) -> bool:
    return refused(_full_object(s3, b"other"), "BadDigest", "InvalidDigest", "InvalidRequest")


NAMES: Final = [
    "a!b",
    "a+b",
    "a/b",
    "a b",
    "a%2Fb",
    "a&b<c>'\"",
    "é",
    "e\u0301",
    "日本",
    "\U0001f600",
    "~",
    "a\tb",
    "a\nb",
]


def listed_keys_are_those_put(s3: Asked) -> bool:
    for name in NAMES:
        s3.put(name)
    listed = s3.server.s3.list_objects_v2(Bucket=s3.bucket, Prefix=f"{s3.prefix}/")
    return sorted(each["Key"] for each in listed["Contents"]) == sorted(map(s3.key, NAMES))


def _pages(s3: Asked, **params: Any) -> list[str]:
    pages = s3.server.s3.get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=s3.bucket, Prefix=f"{s3.prefix}/", PaginationConfig={"PageSize": 2}, **params)
    return [each["Key"].removeprefix(f"{s3.prefix}/") for page in found for each in page.get("Contents", [])]


def listed_in_utf_8_order(s3: Asked) -> bool:
    names = ["Z", "a!b", "a/b", "a0", "é", "\uffee", "\U0001f600"]
    for name in names:
        s3.put(name)
    return _pages(s3) == names


def pages_hold_everything_once(s3: Asked) -> bool:
    names = ["a!b", "a+", "a/b", "a/c", "a0", "b", "b/c", "c d", "é"]
    for name in names:
        s3.put(name)
    return sorted(_pages(s3)) == sorted(names)


def listing_starts_after_a_key(s3: Asked) -> bool:
    for name in ("a", "b", "c", "d"):
        s3.put(name)
    return _pages(s3, StartAfter=s3.key("b")) == ["c", "d"]


def keys_are_no_paths(s3: Asked) -> bool:
    names = ["p", "p/q", "p//q", "p/q/", "p/q/r"]
    for name in names:
        s3.put(name, name.encode())
    return [s3.content(name) for name in names] == [name.encode() for name in names]


def an_object_and_a_prefix_of_others(s3: Asked) -> bool:
    names = ["p", "p/q", "p/q/r"]
    for name in names:
        s3.put(name, name.encode())
    return [s3.content(name) for name in names] == [name.encode() for name in names]


def multipart_over_a_prefix(s3: Asked) -> bool:
    s3.put("p/q")
    return not isinstance(s3.complete(s3.upload(b"new", name="p")), str) and s3.content("p") == b"new"


def backslashes_are_kept(s3: Asked) -> bool:
    s3.put("a\\b")
    s3.put("a/b", b"new")
    return bool(s3.content("a\\b") == b"old")


def keys_of_1024_bytes(s3: Asked) -> bool:
    name = "é" * ((1024 - len(s3.prefix) - 1) // 2)
    return not isinstance(s3.put(name), str) and s3.content(name) == b"old"


def keys_of_1024_bytes_in_segments(s3: Asked) -> bool:
    name = ("é" * 100 + "/") * 5
    name = name[: (1024 - len(s3.prefix) - 6) // 2] + "x"
    return not isinstance(s3.put(name), str) and s3.content(name) == b"old"


def keys_of_1025_bytes_are_refused(s3: Asked) -> bool:
    return refused(s3.put("x" * (1025 - len(s3.prefix) - 1)), "KeyTooLongError")


def a_put_cut_short_is_invisible(s3: Asked) -> bool:
    with HttpProxy(s3.server.endpoint_url) as proxy:
        proxy.cut("mid_request", after_bytes=500_000)
        client = s3.server.client(proxy.url)
        try:
            client.put_object(Bucket=s3.bucket, Key=s3.key("a"), Body=b"x" * 1_000_000)
        except Exception:
            return not s3.server.keys(prefix=s3.prefix)
        finally:
            client.close()
    return False


def wrong_signatures_are_refused(s3: Asked) -> bool:
    client = s3.server.client(secret_key="wrong")
    try:
        client.head_bucket(Bucket=s3.bucket)
    except ClientError as error:
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == 403)
    return False


def no_such_bucket(s3: Asked) -> bool:
    s3.bucket = "never-created"
    return refused(s3.content(), "NoSuchBucket")


def versions_are_kept(s3: Asked) -> bool:
    s3.bucket = s3.server.new_bucket(versioning=True)
    first, second = s3.put()["VersionId"], s3.put(body=b"new")["VersionId"]
    old = s3.do("get_object", VersionId=first)["Body"].read()
    s3.do("delete_object", VersionId=second)
    return first != second and old == b"old" and s3.content() == b"old"


def deletes_leave_a_marker(s3: Asked) -> bool:
    s3.bucket = s3.server.new_bucket(versioning=True)
    version = s3.put()["VersionId"]
    deleted = s3.do("delete_object")
    gone = refused(s3.content(), "NoSuchKey")
    return (
        gone and deleted.get("DeleteMarker") is True and s3.do("get_object", VersionId=version)["Body"].read() == b"old"
    )


def put_if_none_match_after_a_marker(s3: Asked) -> bool:
    s3.bucket = s3.server.new_bucket(versioning=True)
    s3.put()
    s3.do("delete_object")
    return not isinstance(s3.put(body=b"new", IfNoneMatch="*"), str) and s3.content() == b"new"


def metadata_of_2_kb(s3: Asked) -> bool:
    kept = {f"key-{number}": "v" * 90 for number in range(20)}
    s3.put(Metadata=kept)
    return bool(s3.do("head_object")["Metadata"] == kept)


def _one_wins(s3: Asked, prepared: Callable[[str, int], Callable[[], Any]], rounds: int = 2, rivals: int = 6) -> bool:
    """Whether of *rivals* who do at once what was *prepared* exactly one succeeds, in each of several rounds."""
    for number in range(rounds):
        name, start = f"race{number}", Barrier(rivals)
        calls = [prepared(name, rival) for rival in range(rivals)]

        def rival(call: Callable[[], Any], start: Barrier = start) -> Any:
            start.wait()
            return call()

        with ThreadPoolExecutor(rivals) as pool:
            answers = list(pool.map(rival, calls))
        if sum(not isinstance(answer, str) for answer in answers) != 1:
            return False
    return True


def put_if_none_match_is_one_step(s3: Asked) -> bool:
    return _one_wins(s3, lambda name, rival: lambda: s3.put(name, b"%d" % rival, IfNoneMatch="*"))


def put_if_match_is_one_step(s3: Asked) -> bool:
    def prepared(name: str, rival: int) -> Callable[[], Any]:
        etag = (s3.put(name) if rival == 0 else s3.do("head_object", name))["ETag"]
        return lambda: s3.put(name, b"%d" % rival, IfMatch=etag)

    return _one_wins(s3, prepared)


def complete_if_none_match_is_one_step(s3: Asked) -> bool:
    def prepared(name: str, rival: int) -> Callable[[], Any]:
        upload = s3.upload(b"%d" % rival, name=name)
        return lambda: s3.complete(upload, IfNoneMatch="*")

    return _one_wins(s3, prepared, rounds=12)


def complete_if_match_is_one_step(s3: Asked) -> bool:
    def prepared(name: str, rival: int) -> Callable[[], Any]:
        upload = s3.upload(b"%d" % rival, name=name)
        etag = (s3.put(name) if rival == 0 else s3.do("head_object", name))["ETag"]
        return lambda: s3.complete(upload, IfMatch=etag)

    return _one_wins(s3, prepared, rounds=12)


def copy_if_none_match_is_one_step(s3: Asked) -> bool:
    def prepared(name: str, rival: int) -> Callable[[], Any]:
        s3.put(f"src{rival}", b"%d" % rival)
        return lambda: s3.copy(f"src{rival}", name, IfNoneMatch="*")

    return _one_wins(s3, prepared)


def delete_if_match_is_one_step(s3: Asked) -> bool:
    """Of one who deletes and many who replace what they saw, exactly one succeeds."""

    def prepared(name: str, rival: int) -> Callable[[], Any]:
        etag = (s3.put(name) if rival == 0 else s3.do("head_object", name))["ETag"]
        if rival == 0:
            return lambda: s3.do("delete_object", name, IfMatch=etag)
        return lambda: s3.put(name, b"%d" % rival, IfMatch=etag)

    return _one_wins(s3, prepared)


PROMISES: Final[dict[str, Callable[[Asked], bool]]] = {
    promise.__name__: promise
    for promise in (
        put_if_none_match,
        put_if_match,
        put_if_match_of_nothing_is_404,
        complete_if_none_match,
        complete_if_none_match_of_nothing,
        complete_if_match,
        refused_complete_keeps_the_upload,
        complete_twice_is_one,
        complete_of_small_parts,
        complete_of_other_parts,
        uploads_are_invisible_until_complete,
        abort_leaves_nothing,
        copy_if_none_match,
        copy_if_match,
        copy_source_if_match,
        copy_keeps_metadata,
        copy_keeps_or_replaces_tags,
        part_copy_source_if_match,
        part_copy_of_a_range,
        delete_if_match,
        delete_of_nothing_is_no_error,
        batch_delete_if_match,
        get_if_match,
        range_beyond_the_end_is_416,
        wrong_crc32_is_refused,
        wrong_sha256_is_refused,
        wrong_md5_is_refused,
        wrong_crc32_of_a_part_is_refused,
        stored_crc32_is_told,
        full_object_crc32,
        wrong_full_object_crc32_is_refused,
        listed_keys_are_those_put,
        listed_in_utf_8_order,
        pages_hold_everything_once,
        listing_starts_after_a_key,
        keys_are_no_paths,
        an_object_and_a_prefix_of_others,
        multipart_over_a_prefix,
        backslashes_are_kept,
        keys_of_1024_bytes,
        keys_of_1024_bytes_in_segments,
        keys_of_1025_bytes_are_refused,
        a_put_cut_short_is_invisible,
        wrong_signatures_are_refused,
        no_such_bucket,
        versions_are_kept,
        deletes_leave_a_marker,
        put_if_none_match_after_a_marker,
        metadata_of_2_kb,
        put_if_none_match_is_one_step,
        put_if_match_is_one_step,
        complete_if_none_match_is_one_step,
        complete_if_match_is_one_step,
        copy_if_none_match_is_one_step,
        delete_if_match_is_one_step,
    )
}
"""Every promise by name."""
