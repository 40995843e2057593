from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import ChecksumMismatchError, ObjectChangedError
from controlroom.storage import AsyncLocalStore, LocalStore, transfer, transfer_async
from controlroom.testing.stores import MemoryStore
from controlroom.testing.stores_async import AsyncMemoryStore

MIB = 1024 * 1024


class LyingAboutWhatItHolds(MemoryStore):
    """Flips a bit on the way, as bad memory does, and proves what it wrote."""

    def publish(self, key: str, source: Any, **kwargs: Any) -> Any:
        content = bytearray(b"".join(source))
        content[0] ^= 1
        return super().publish(key, bytes(content), **kwargs)


class LyingAsync(AsyncMemoryStore):
    async def publish(self, key: str, source: Any, **kwargs: Any) -> Any:
        content = bytearray(b"".join([chunk async for chunk in source]))
        content[0] ^= 1
        return await super().publish(key, bytes(content), **kwargs)


class CutShort(MemoryStore):
    """States a length that its content does not have."""

    @contextmanager
    def open(self, key: str) -> Iterator[Any]:  # type: ignore[override]  # a double
        with super().open(key) as file:
            file.info = replace(file.info, size_bytes=file.info.size_bytes + 1)
            yield file


class CutShortAsync(AsyncMemoryStore):
    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[Any]:
        async with super().open(key) as file:
            file.info = replace(file.info, size_bytes=file.info.size_bytes + 1)  # type: ignore[misc]  # a double
            yield file


def test_other_bytes_at_the_target_than_were_read_are_not_reported_as_success() -> None:
    source = MemoryStore()
    source.publish("a", b"content")
    with pytest.raises(ChecksumMismatchError, match="visible there") as failed:
        transfer(source, "a", LyingAboutWhatItHolds())
    assert failed.value.expected != failed.value.actual

    async def main() -> None:
        source = AsyncMemoryStore()
        await source.publish("a", b"content")
        with pytest.raises(ChecksumMismatchError):
            await transfer_async(source, "a", LyingAsync())

    asyncio.run(main())


def test_a_source_that_ends_early_publishes_nothing() -> None:
    source, target = CutShort(), MemoryStore()
    source.publish("a", b"content")
    target.publish("a", b"old")
    with pytest.raises(ObjectChangedError, match="7 bytes were read of an object of 8"):
        transfer(source, "a", target)
    assert target.read_bytes("a") == b"old"

    async def main() -> bytes:
        source, target = CutShortAsync(), AsyncMemoryStore()
        await source.publish("a", b"content")
        await target.publish("a", b"old")
        with pytest.raises(ObjectChangedError):
            await transfer_async(source, "a", target)
        return await target.read_bytes("a")

    assert asyncio.run(main()) == b"old"


def test_a_source_that_changes_meanwhile_publishes_nothing(tmp_path: Path) -> None:
    source, target = LocalStore(tmp_path / "from"), LocalStore(tmp_path / "to")
    source.publish("a", b"x" * 3 * MIB)
    opened = source.open

    def changing(key: str) -> Any:
        file = opened(key)
        with (tmp_path / "from" / "a").open("ab") as other:
            other.write(b"more")
        return file

    source.open = changing  # type: ignore[method-assign]  # something else writes at that moment
    with pytest.raises(ObjectChangedError):
        transfer(source, "a", target)
    assert list(target.list()) == []


def test_one_chunk_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = [0]

    class Measuring(MemoryStore):
        def publish(self, key: str, source: Any, **kwargs: Any) -> Any:
            chunks = []
            for chunk in source:
                largest[0] = max(largest[0], len(chunk))
                chunks.append(chunk[:1])
            return super().publish(key, b"".join(chunks), **kwargs)

    source = LocalStore(tmp_path)
    source.publish("a", b"x" * 5 * MIB)
    with pytest.raises(ChecksumMismatchError):
        transfer(source, "a", Measuring())

    assert largest == [MIB]


def test_an_object_is_transferred_onto_itself(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.publish("a", b"1")
    transfer(store, "a", store)
    asyncio.run(transfer_async(AsyncLocalStore(tmp_path), "a", AsyncLocalStore(tmp_path), "b"))

    assert (store.read_bytes("a"), store.read_bytes("b")) == (b"1", b"1")
