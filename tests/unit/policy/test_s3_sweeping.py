from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlroom.errors import FileOperationError, ObjectNotFoundError, StorageAccessError, StorageUnavailableError
from controlroom.policy.flow import drive
from controlroom.policy.object_calls import Call, note_code
from controlroom.policy.s3_sweeping import Found, has_expiry, sweep, sweep_probes

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def upload(key: str, age: timedelta, upload_id: str = "u") -> dict[str, Any]:
    return {"Key": key, "UploadId": upload_id, "Initiated": NOON - age}


def page(*uploads: dict[str, Any], date: str | None = "Sun, 22 Nov 2026 12:00:00 GMT", **more: Any) -> dict[str, Any]:
    headers = {} if date is None else {"date": date}
    return {"Uploads": list(uploads), "ResponseMetadata": {"HTTPHeaders": headers}, **more}


class Server:
    def __init__(self, *pages: dict[str, Any], failing: dict[str, BaseException] | None = None) -> None:
        self._pages = iter(pages)
        self._failing = failing or {}
        self.asked: list[dict[str, Any]] = []
        self.aborted: list[str] = []

    def perform(self, call: Call) -> Any:
        if call.operation == "ListMultipartUploads":
            self.asked.append(dict(call.params))
            return next(self._pages)
        self.aborted.append(call.params["Key"])
        if call.params["Key"] in self._failing:
            raise self._failing[call.params["Key"]]
        return {}

    def sweep(self, **changes: Any) -> list[Found]:
        given: dict[str, Any] = {
            "older_than_s": 3600,
            "dry_run": False,
            "living": (),
            "dead": (),
            "now": NOON,
            "ref": "s3://b",
        }
        return drive(sweep("p/", **{**given, **changes}), self.perform)


def test_what_is_old_by_the_clock_of_the_server_is_aborted() -> None:
    server = Server(page(upload("p/old", HOUR), upload("p/new", HOUR - timedelta(seconds=1))))

    found = server.sweep(now=NOON + 1000 * HOUR)

    assert server.aborted == ["p/old"]
    assert [(stale.key, stale.upload_id, stale.initiated_at) for stale in found] == [("p/old", "u", NOON - HOUR)]


@pytest.mark.parametrize("date", [None, "yesterday", "Sun, 22 Nov 2026 13:00:00 -0000"])
def test_a_server_that_does_not_tell_the_time_is_judged_by_ours(date: str | None) -> None:
    server = Server(page(upload("p/old", HOUR), date=date))
    server.sweep(now=NOON)

    assert server.aborted == ["p/old"]


def test_a_dry_run_aborts_nothing_and_tells_the_same() -> None:
    server = Server(page(upload("p/old", HOUR)))

    assert [stale.key for stale in server.sweep(dry_run=True)] == ["p/old"]
    assert server.aborted == []


def test_what_is_under_way_is_spared_however_old_and_what_died_is_not_however_young() -> None:
    server = Server(
        page(upload("p/alive", 99 * HOUR), upload("p/dead", 0 * HOUR), upload("p/alive", 99 * HOUR, "other"))
    )
    server.sweep(living={("p/alive", "u")}, dead={("p/dead", "u")})

    assert server.aborted == ["p/dead", "p/alive"]


def test_every_page_is_asked_for_and_keys_are_as_they_are() -> None:
    server = Server(
        page(upload("p/a%2Bb+c", HOUR), IsTruncated=True, NextKeyMarker="p/a%2Bb+c", NextUploadIdMarker="u"),
        page(upload("p/ü &", HOUR), IsTruncated=False),
    )
    server.sweep()

    assert server.aborted == ["p/a%2Bb+c", "p/ü &"]
    assert server.asked == [{"Prefix": "p/"}, {"Prefix": "p/", "KeyMarker": "p/a%2Bb+c", "UploadIdMarker": "u"}]


def test_a_fraction_of_a_second_that_only_one_of_two_clocks_tells_makes_nothing_young() -> None:
    server = Server(page(upload("p/now", timedelta(milliseconds=-400))))
    server.sweep(older_than_s=0)

    assert server.aborted == ["p/now"]


@pytest.mark.parametrize("markers", [{}, {"NextKeyMarker": "p/a", "NextUploadIdMarker": "u"}])
def test_a_server_that_lists_without_end_is_found_out(markers: dict[str, str]) -> None:
    server = Server(*[page(IsTruncated=True, **markers)] * 3)

    with pytest.raises(FileOperationError, match="again and again"):
        server.sweep()


def test_one_that_cannot_be_aborted_does_not_keep_the_others_from_it() -> None:
    error = StorageAccessError("denied")
    server = Server(page(upload("p/a", HOUR), upload("p/b", HOUR)), failing={"p/a": error})

    found = server.sweep()

    assert server.aborted == ["p/a", "p/b"]
    assert [stale.failure for stale in found] == [error, None]


def test_one_that_is_gone_meanwhile_is_no_failure() -> None:
    server = Server(page(upload("p/a", HOUR)), failing={"p/a": ObjectNotFoundError("gone")})

    assert [stale.failure for stale in server.sweep()] == [None]


def test_an_interrupt_ends_the_sweep() -> None:
    with pytest.raises(KeyboardInterrupt):
        Server(page(upload("p/a", HOUR)), failing={"p/a": KeyboardInterrupt()}).sweep()


def no_rules() -> FileOperationError:
    error = FileOperationError("there are none")
    note_code(error, "NoSuchLifecycleConfiguration")
    return error


RULE = {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"Rules": [RULE]}, True),
        ({"Rules": [{**RULE, "Status": "Disabled"}, {"Status": "Enabled"}]}, False),
        ({}, False),
        (no_rules(), False),
        (ObjectNotFoundError("none"), False),
        (StorageAccessError("denied"), None),
        (StorageUnavailableError("no answer"), None),
    ],
    ids=str,
)
def test_a_rule_that_ends_uploads_is_told_from_none_and_from_nobody_may_know(
    answer: Any, expected: bool | None
) -> None:
    def perform(call: Call) -> Any:
        assert call.operation == "GetBucketLifecycleConfiguration"
        if isinstance(answer, BaseException):
            raise answer
        return answer

    assert drive(has_expiry(), perform) is expected


def test_an_interrupt_is_no_answer() -> None:
    def perform(_: Call) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(has_expiry(), perform)


def thing(key: str, age: timedelta, version: str | None = None) -> dict[str, Any]:
    return {"Key": key, "LastModified": NOON - age, **({"VersionId": version} if version else {})}


class Probes:
    """A server with what was left of probes; *refusing* are the operations that it denies, or a key that stays."""

    def __init__(self, *things: dict[str, Any], refusing: tuple[str, ...] = ()) -> None:
        self._things = list(things)
        self._refusing = refusing
        self.deleted: list[dict[str, Any]] = []

    def perform(self, call: Call) -> Any:
        if call.operation in self._refusing or call.params.get("Key") in self._refusing:
            raise StorageAccessError("denied")
        if call.operation == "DeleteObject":
            self.deleted.append(dict(call.params))
            return None
        assert call.params == {"Prefix": "p/.controlroom-probe/"}
        headers = {"ResponseMetadata": {"HTTPHeaders": {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}}}
        if call.operation == "ListObjectsV2":
            return {**headers, "Contents": self._things}
        return {**headers, "Versions": self._things[:1], "DeleteMarkers": self._things[1:]}

    def sweep(self, *, dry_run: bool = False) -> tuple[int, int]:
        flow = sweep_probes("p/.controlroom-probe/", older_than_s=3600, dry_run=dry_run, now=NOON + 99 * HOUR)
        return drive(flow, self.perform)


def test_probes_that_nobody_will_remove_are_deleted_with_their_versions_and_the_young_are_spared() -> None:
    server = Probes(thing("a", HOUR, "1"), thing("a", HOUR, "2"), thing("b", HOUR - timedelta(seconds=1), "3"))

    assert server.sweep() == (2, 2)
    assert server.deleted == [{"Key": "a", "VersionId": "1"}, {"Key": "a", "VersionId": "2"}]
    assert Probes().sweep() == (0, 0)


def test_who_may_not_see_versions_deletes_what_is_to_be_seen() -> None:
    server = Probes(thing("a", HOUR), thing("b", HOUR), refusing=("ListObjectVersions", "b"))

    assert server.sweep() == (2, 1)
    assert server.deleted == [{"Key": "a"}]
    assert Probes(thing("a", HOUR), refusing=("ListObjectVersions", "ListObjectsV2")).sweep() == (0, 0)


def test_a_dry_run_deletes_no_probe() -> None:
    server = Probes(thing("a", HOUR, "1"))

    assert (server.sweep(dry_run=True), server.deleted) == ((1, 0), [])


@pytest.mark.parametrize("operation", ["ListObjectVersions", "DeleteObject"])
def test_an_interrupt_ends_the_sweep_of_probes(operation: str) -> None:
    def perform(call: Call) -> Any:
        if call.operation == operation:
            raise KeyboardInterrupt
        return {"Versions": [thing("a", HOUR)]}

    with pytest.raises(KeyboardInterrupt):
        drive(sweep_probes("p/", older_than_s=0, dry_run=False, now=NOON), perform)
