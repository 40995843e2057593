"""Objects are read over connections that break, from servers that lie, while somebody else replaces them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import hashlib
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlroom.clock import deadline
from controlroom.errors import (
    ChecksumMismatchError,
    ControlRoomError,
    DataError,
    DeadlineExceededError,
    FileOperationError,
    ObjectChangedError,
    StorageUnavailableError,
)
from controlroom.policy.backoff import Backoff
from controlroom.retrying import RetryPolicy
from controlroom.storage import AsyncS3Store, S3Store, S3Timeouts
from tests.contract.stores import AllInOneLoop
from tests.faults.s3_liar import Answer, Liar

MIB = 1024**2
PART = 5 * MIB
CONTENT = random.Random(7).randbytes(300_000)
LARGE = random.Random(8).randbytes(2 * PART + 12_345)
OTHER = random.Random(9).randbytes(300_000)
LOGIN = {"region": "us-east-1", "access_key_id": "AKIDTESTS", "secret_access_key": "secret-of-these-tests"}


class Reader:
    """Both colours, read by one set of tests. A store is opened once for all tests that open it so."""

    def __init__(self, colour: str, url: str) -> None:
        self.colour = colour
        self.target = Path()
        self._url = url
        self._loop = AllInOneLoop()
        self._stores: dict[str, Any] = {}

    def run(self, work: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
        async def run() -> Any:
            return await work(self._store(options))

        context = contextvars.copy_context()  # the deadline comes along
        return context.run(self._loop.run, run()) if self.colour == "async" else asyncio.run(run())

    def _store(self, options: dict[str, Any]) -> Any:
        name = repr(options)
        if name not in self._stores:
            quick = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.001, jitter="none"))
            given = {"endpoint_url": self._url, "retry": quick, "part_size_bytes": PART, **LOGIN, **options}
            store = AsyncS3Store("bucket", **given) if self.colour == "async" else S3Store("bucket", **given)
            self._stores[name] = store
        store = self._stores[name]
        return store if self.colour == "async" else _Awaited(store)

    def close(self) -> None:
        for store in self._stores.values():
            self._loop.run(store.aclose()) if self.colour == "async" else store.close()
        self._loop.close()

    def read(self, how: str, liar: Liar, **options: Any) -> bytes:
        async def work(store: Any) -> bytes:
            if how == "open":
                async with store.open("k") as file:
                    pieces = []
                    while piece := await file.read(70_000):
                        pieces.append(piece)
                    return b"".join(pieces)
            if how == "download":
                receipt = await store.download("k", self.target)
                content = self.target.read_bytes()
                assert receipt.sha256 == hashlib.sha256(content).hexdigest()
                return content
            return await store.read_bytes("k")

        return self.run(work, **options)


class _Awaited:
    """A sync store, awaited: what it does, it has done."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name == "open":
            return lambda key: _AwaitedFile(method(key))

        async def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return call


class _AwaitedFile:
    def __init__(self, file: Any) -> None:
        self._file = file
        self.info = file.info

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._file.close()

    async def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    async def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)


@pytest.fixture(scope="module")
def server() -> Iterator[Liar]:
    with Liar() as liar:
        yield liar


@pytest.fixture
def liar(server: Liar) -> Liar:
    server.begin(CONTENT)
    return server


@pytest.fixture(scope="module", params=["sync", "async"])
def colour(request: pytest.FixtureRequest, server: Liar) -> Iterator[Reader]:
    reader = Reader(request.param, server.url)
    yield reader
    reader.close()


@pytest.fixture
def reader(colour: Reader, tmp_path: Path) -> Reader:
    colour.target = tmp_path / "file"
    return colour


HOW = pytest.mark.parametrize("how", ["open", "read_bytes", "download"])
SIZE = pytest.mark.parametrize(
    "content", [CONTENT, LARGE, b"x", b""], ids=["one request", "in parallel", "a byte", "empty"]
)


@HOW
@SIZE
def test_an_honest_server_is_read_as_it_is(reader: Reader, liar: Liar, how: str, content: bytes) -> None:
    liar.content = content
    assert reader.read(how, liar) == content


@HOW
@SIZE
def test_a_connection_that_breaks_is_replaced_at_the_byte_reached(
    reader: Reader, liar: Liar, how: str, content: bytes
) -> None:
    liar.content = content

    def cut(answer: Answer) -> None:
        if answer.number <= 2:
            answer.cut_at = len(answer.body) // 3

    liar.tell = cut
    assert reader.read(how, liar) == content


@HOW
def test_a_server_that_always_cuts_is_asked_as_often_as_the_policy_says(reader: Reader, liar: Liar, how: str) -> None:
    def cut(answer: Answer) -> None:
        answer.cut_at = 1

    liar.tell = cut
    with pytest.raises(StorageUnavailableError, match=r"after 3 of 300000 bytes|lost its connection"):
        reader.read(how, liar)
    assert len(liar.ranges) == 3
    assert not reader.target.exists()


@HOW
def test_what_was_replaced_meanwhile_is_not_mixed(reader: Reader, liar: Liar, how: str) -> None:
    def cut(answer: Answer) -> None:
        answer.cut_at = 100_000
        liar.replace(OTHER)

    liar.tell = cut
    with pytest.raises(ObjectChangedError, match="replaced or removed while it was read"):
        reader.read(how, liar)
    assert not reader.target.exists()


@HOW
def test_where_there_are_versions_the_one_that_was_begun_is_read_to_its_end(
    reader: Reader, liar: Liar, how: str
) -> None:
    liar.version = "v"

    def cut(answer: Answer) -> None:
        if answer.number == 1:
            answer.cut_at = 100_000
            liar.replace(OTHER)

    liar.tell = cut
    assert reader.read(how, liar) == CONTENT


@HOW
def test_a_large_object_that_is_replaced_between_two_stretches_is_not_torn(
    reader: Reader, liar: Liar, how: str
) -> None:
    liar.content = LARGE
    liar.tell = lambda answer: liar.replace(OTHER) if answer.number == 2 else None
    if how == "open":  # one answer: it is read to its end
        assert reader.read(how, liar) == LARGE
        return
    with pytest.raises(ObjectChangedError):
        reader.read(how, liar, parallel=1)
    assert not reader.target.exists()


def lie_about_etag(answer: Answer) -> None:
    answer.headers["ETag"] = '"other"'


def lie_about_range(answer: Answer) -> None:
    answer.headers["Content-Range"] = f"bytes 0-{len(answer.body) - 1}/{len(CONTENT)}"


def lie_about_total(answer: Answer) -> None:
    answer.headers["Content-Range"] = answer.headers["Content-Range"].replace("/300000", "/300001")


@HOW
@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        (lie_about_etag, ObjectChangedError),
        (lie_about_range, FileOperationError),
        (lie_about_total, FileOperationError),
    ],
)
def test_an_answer_about_something_else_is_never_used(
    reader: Reader, liar: Liar, how: str, lie: Callable[[Answer], None], kind: type[ControlRoomError]
) -> None:
    def tell(answer: Answer) -> None:
        if answer.number == 1:
            answer.cut_at = 100_000
        else:
            lie(answer)

    liar.tell = tell
    with pytest.raises(kind) as failed:
        reader.read(how, liar)
    assert type(failed.value) is kind


@HOW
@SIZE
def test_damage_on_the_way_is_found(reader: Reader, liar: Liar, how: str, content: bytes) -> None:
    liar.content = content or b"never empty"

    def damage(answer: Answer) -> None:
        answer.body = answer.body[:-1] + bytes([answer.body[-1] ^ 1])

    liar.tell = damage
    with pytest.raises(ChecksumMismatchError, match="crc32"):
        reader.read(how, liar)
    assert not reader.target.exists()


@HOW
@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["one request", "in parallel"])
def test_a_server_that_sends_everything_when_asked_for_a_stretch_is_read_all_the_same(
    reader: Reader, liar: Liar, how: str, content: bytes
) -> None:
    liar.content = content

    def everything(answer: Answer) -> None:
        if answer.number == 1:
            answer.cut_at = 100_000
        else:
            answer.status, answer.body = 200, content
            answer.headers["Content-Length"] = str(len(content))
            del answer.headers["Content-Range"]

    liar.tell = everything
    assert reader.read(how, liar) == content


def test_what_follows_the_promised_length_is_not_content(reader: Reader, liar: Liar) -> None:
    def more(answer: Answer) -> None:
        answer.body += b"more"

    liar.tell = more
    assert reader.read("read_bytes", liar) == CONTENT


@HOW
def test_a_server_that_only_drips_is_given_up(reader: Reader, liar: Liar, how: str) -> None:
    def drip(answer: Answer) -> None:
        answer.drip = True

    liar.tell = drip
    with pytest.raises(StorageUnavailableError, match=r"bytes a second|lost its connection"):
        reader.read(how, liar, timeouts=S3Timeouts(read_s=0.2))
    assert not reader.target.exists()


@HOW
def test_a_server_that_only_drips_does_not_outlast_the_deadline(reader: Reader, liar: Liar, how: str) -> None:
    def drip(answer: Answer) -> None:
        answer.drip = True

    liar.tell = drip
    with deadline(0.5), pytest.raises((DeadlineExceededError, StorageUnavailableError)):
        reader.read(how, liar)
    if how != "open":  # the time of an open file is its reader's
        with pytest.raises((DeadlineExceededError, StorageUnavailableError)):
            reader.read(how, liar, timeouts=S3Timeouts(total_s=0.5))


def test_too_much_is_refused_before_it_is_read(reader: Reader, liar: Liar) -> None:
    liar.content = LARGE

    with pytest.raises(DataError):
        reader.run(lambda store: store.read_bytes("k", 100))
    assert liar.ranges == [None]


def test_a_reader_may_jump_and_every_stretch_is_of_the_same_version(reader: Reader, liar: Liar) -> None:
    liar.content = LARGE

    async def work(store: Any) -> None:
        async with store.open("k") as file:
            for start in (5_000_000, 10, len(LARGE) - 7, 0, 9_999_999):
                assert await file.seek(start) == start
                assert await file.read(100) == LARGE[start : start + 100]
            assert await file.seek(-5, 2) == len(LARGE) - 5
            assert await file.read() == LARGE[-5:]
            assert await file.read() == b""
            assert await file.seek(1_000_000_000) == 1_000_000_000
            assert await file.read(10) == b""
            await file.seek(3)
            liar.replace(OTHER)
            with pytest.raises(ObjectChangedError):
                await file.seek(2_000_000)
                await file.read(1)
            for offset, whence in ((-1, 0), (0, 9)):
                with pytest.raises((ControlRoomError, ValueError)):
                    await file.seek(offset, whence)
        with pytest.raises(ValueError, match="closed"):
            await file.read(1)

    reader.run(work)


def test_who_leaves_early_waits_for_nothing(reader: Reader, liar: Liar) -> None:
    """A reader that wanted the first line of a gigabyte does not read the rest of it to give the connection back."""
    liar.content = bytes(64 * MIB)

    async def work(store: Any) -> None:
        async with store.open("k") as file:
            assert await file.read(10) == bytes(10)

    reader.run(work)
    assert liar.sent_bytes < 32 * MIB


@HOW
def test_connections_are_given_back(reader: Reader, liar: Liar, how: str) -> None:
    before = liar.connections

    async def work(store: Any) -> None:
        for _ in range(5):
            if how == "open":
                async with store.open("k") as file:
                    assert await file.read() == CONTENT
            elif how == "download":
                await store.download("k", reader.target)
            else:
                await store.read_bytes("k")

    reader.run(work)
    assert liar.connections - before <= 1


def test_a_file_that_was_there_stays_what_it_was(reader: Reader, liar: Liar) -> None:
    reader.target.write_bytes(b"old")
    liar.content = LARGE

    def cut(answer: Answer) -> None:
        answer.cut_at = 1

    liar.tell = cut
    with pytest.raises(StorageUnavailableError):
        reader.read("download", liar)
    assert reader.target.read_bytes() == b"old"
    assert [path.name for path in reader.target.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("how", ["open", "read_bytes", "download"])
def test_a_task_that_is_cancelled_at_any_answer_leaves_nothing(reader: Reader, liar: Liar, how: str) -> None:
    if reader.colour == "sync":
        return
    liar.content = LARGE
    folder = reader.target.parent

    async def cancelled_at(store: Any, number: int) -> bool:
        loop, reached = asyncio.get_running_loop(), asyncio.Event()
        begun = len(liar.ranges)

        def hold(answer: Answer) -> None:
            if answer.number == begun + number:
                answer.cut_at = 10
                loop.call_soon_threadsafe(reached.set)

        liar.tell = hold
        if how == "open":

            async def read() -> None:
                async with store.open("k") as file:
                    await file.read()

            task = asyncio.ensure_future(read())
        elif how == "download":
            task = asyncio.ensure_future(store.download("k", reader.target))
        else:
            task = asyncio.ensure_future(store.read_bytes("k"))
        waiting = asyncio.ensure_future(reached.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        task.cancel()
        outcome = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome[0], asyncio.CancelledError) or not isinstance(outcome[0], BaseException)
        assert asyncio.all_tasks() - {asyncio.current_task()} - {waiting} == set()
        return isinstance(outcome[0], asyncio.CancelledError)

    async def work(store: Any) -> None:
        for number in range(1, 4):
            await cancelled_at(store, number)
            assert os.listdir(folder) in ([], ["file"])
            assert not os.listdir(folder) or os.stat(reader.target).st_size == len(LARGE)  # noqa: PTH116 - in a loop
            reader.target.unlink(missing_ok=True)
        liar.tell = lambda _: None
        assert await store.read_bytes("k") == LARGE

    reader.run(work)
    gc.collect()
