from __future__ import annotations

from typing import Any

import pytest

from controlroom.clock import deadline
from controlroom.errors import DeadlineExceededError, StorageUnavailableError
from controlroom.policy.s3_reading import SLOWEST_BYTES_PER_S, Pin
from controlroom.storage.s3.bodies import Body, Pace
from controlroom.testing import ManualClock

PIN = Pin("k", "s3://b/k", "e", 100)


def test_only_waiting_is_slow() -> None:
    pace = Pace(30.0)
    assert not pace.is_too_slow(29.0, 1)
    assert pace.is_too_slow(1.0, 1)
    assert not pace.is_too_slow(29.0, 0), "each stretch of time is judged by itself"
    assert not pace.is_too_slow(1.0, 30 * SLOWEST_BYTES_PER_S)


class Raw:
    """What urllib3 gives, of either major version."""

    def __init__(self, *chunks: bytes | BaseException, clock: ManualClock | None = None) -> None:
        self.chunks = list(chunks)
        self.asked: list[int] = []
        self.done: list[str] = []
        self._clock = clock

    def read(self, size: int) -> bytes:
        self.asked.append(size)
        if self._clock is not None:
            self._clock.advance(20)
        chunk = self.chunks.pop(0)
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    def release_conn(self) -> None:
        self.done.append("released")

    def close(self) -> None:
        self.done.append("closed")


class Modern(Raw):
    read1 = Raw.read


def body(raw: Any) -> Body:
    return Body(raw, PIN, 30.0)


@pytest.mark.parametrize("kind", [Raw, Modern])
def test_what_arrives_is_put_where_it_belongs(kind: type[Raw]) -> None:
    room = bytearray(8)
    assert body(kind(b"abc")).read_into(memoryview(room)[2:], 0) == 3
    assert room == b"\0\0abc\0\0\0"


def test_an_old_urllib3_is_asked_for_little_at_a_time() -> None:
    old, new = Raw(b"x"), Modern(b"x")
    for raw in (old, new):
        body(raw).read_into(memoryview(bytearray(1_000_000)), 0)
    assert (old.asked, new.asked) == ([65536], [1_000_000])


@pytest.mark.parametrize("end", [b"", OSError("reset"), TimeoutError()])
def test_an_end_that_comes_too_early_is_worth_another_try(end: bytes | BaseException) -> None:
    with pytest.raises(StorageUnavailableError):
        body(Modern(end)).read_into(memoryview(bytearray(8)), 7)


def test_a_trickle_is_noticed() -> None:
    with ManualClock() as clock:
        slow = body(Modern(b"a", b"b", clock=clock))
        slow.read_into(memoryview(bytearray(8)), 0)
        with pytest.raises(StorageUnavailableError, match="bytes a second"):
            slow.read_into(memoryview(bytearray(8)), 1)


def test_nothing_is_read_after_the_deadline() -> None:
    raw = Modern(b"a")
    with deadline(0), pytest.raises(DeadlineExceededError):
        body(raw).read_into(memoryview(bytearray(8)), 0)
    assert raw.asked == []


def test_a_connection_is_given_back_or_closed_whatever_happens() -> None:
    raw = Raw(b"")
    body(raw).finish()
    assert raw.done == ["released"]
    raw = Raw(OSError())
    body(raw).finish()
    body(raw).close()
    assert raw.done == ["closed"]
