from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.errors import FileOperationError, ObjectNotFoundError
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_pieces import AbortUpload, Begin, Gather, Publication, StopParts
from controlroom.storage.s3 import writing
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.writing import Uploader
from controlroom.storage.s3_keys import S3Place

PART_BYTES = 5 * 1024 * 1024


def uploader(perform: Callable[[Call], Any], parallel: int = 2) -> Uploader:
    options = S3Options(parallel=parallel, part_size_bytes=PART_BYTES)
    performer: Any = SimpleNamespace(place=S3Place("b"), options=options, perform=perform)
    return Uploader(performer, Publication("k", "s3://b/k", "w", {"Metadata": {}}, PART_BYTES))


def part(number: int, size_bytes: int = PART_BYTES) -> Begin:
    return Begin(Call("UploadPart", {"PartNumber": number, "Body": bytes(size_bytes)}))


ABORT = AbortUpload("u", Call("AbortMultipartUpload"))


def test_answers_come_in_the_order_in_which_parts_were_begun() -> None:
    second_is_done = threading.Event()

    def perform(call: Call) -> int:
        number = int(call.params["PartNumber"])
        if number == 1:
            assert second_is_done.wait(60)
        second_is_done.set()
        return number

    with uploader(perform) as working:
        for number in (1, 2, 3):
            working.perform(part(number))
        assert working.perform(Gather()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("parallel", "size_bytes", "room"), [(2, PART_BYTES, 2), (4, PART_BYTES, 4), (4, 3 * PART_BYTES, 1), (2, 1, 2)]
)
def test_no_part_is_begun_before_there_is_room_for_it(
    parallel: int, size_bytes: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In number and in bytes: parts of a source nobody knows the length of grow."""
    release, waits = threading.Event(), []

    def wait(under_way: Any, **kwargs: Any) -> Any:
        waits.append(len(under_way))
        release.set()
        return futures.wait(under_way, **kwargs)

    monkeypatch.setattr(writing, "wait", wait)
    with uploader(lambda _: release.wait(60), parallel) as working:
        for number in range(1, room + 2):
            assert not waits
            working.perform(part(number, size_bytes))

    assert waits == [room]


def test_a_part_that_failed_is_known_when_the_next_one_is_begun_or_all_are_gathered() -> None:
    error = FileOperationError("no")

    def perform(_: Call) -> None:
        raise error

    with uploader(perform, parallel=1) as working:
        working.perform(part(1))
        with pytest.raises(FileOperationError) as failed:
            working.perform(part(2))
        assert failed.value is error
    with uploader(perform) as working:
        working.perform(part(1))
        with pytest.raises(FileOperationError):
            working.perform(Gather())


def test_nothing_is_under_way_once_it_was_stopped() -> None:
    done: list[int] = []
    release = threading.Event()

    def perform(call: Call) -> None:
        assert release.wait(60)
        done.append(call.params["PartNumber"])

    with uploader(perform, parallel=2) as working:
        working.perform(part(1))
        working.perform(part(2))
        threading.Timer(0, release.set).start()
        working.perform(StopParts())
        assert sorted(done) == [1, 2]
        working.perform(StopParts())
        assert working.perform(Gather()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("controlroom-s3")]


def test_an_upload_that_could_not_be_aborted_is_told_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    def perform(_: Call) -> None:
        message = "denied"
        raise FileOperationError(message)

    with uploader(perform) as working, pytest.raises(FileOperationError):
        working.perform(ABORT)
    assert "upload_left_behind" in caplog.text
    assert "upload_id=u" in caplog.text


def test_an_upload_that_is_gone_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    def perform(_: Call) -> None:
        message = "gone"
        raise ObjectNotFoundError(message)

    with uploader(perform) as working, pytest.raises(ObjectNotFoundError):
        working.perform(ABORT)
    assert "upload_left_behind" not in caplog.text
