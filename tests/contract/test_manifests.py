"""Many objects published as one, in every store and both colours: readers see the whole batch before or the whole one after."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import (
    ChecksumMismatchError,
    ConfigError,
    DataError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    UnsafePathError,
)
from controlroom.storage import (
    Manifest,
    publish_manifest,
    publish_manifest_async,
    read_manifest,
    read_manifest_async,
    sweep_manifest,
    sweep_manifest_async,
)
from controlroom.testing import FaultPlan, ManualClock, SimulatedCrash
from tests.contract.stores import STORES, Blocking, in_pieces

TWINS: dict[Callable[..., Any], Callable[..., Any]] = {
    publish_manifest: publish_manifest_async,
    read_manifest: read_manifest_async,
    sweep_manifest: sweep_manifest_async,
}
BATCH = {"a.csv": b"a", "sub/b.csv": b"bb"}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return STORES[request.param](tmp_path / "store")


def do(fn: Callable[..., Any], store: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(store, Blocking):
        return store.run(TWINS[fn](store.store, *args, **kwargs))
    return fn(store, *args, **kwargs)


def keys(store: Any) -> list[str]:
    return [info.key for info in store.list()]


def content_of(store: Any, manifest: Manifest) -> dict[str, bytes]:
    return {entry.name: entry.verified(store.read_bytes(entry.key)) for entry in manifest.entries}


def test_a_batch_is_read_by_its_manifest(store: Any) -> None:
    published = do(publish_manifest, store, "day/m.json", BATCH)

    assert do(read_manifest, store, "day/m.json") == published
    assert content_of(store, published) == BATCH
    assert published["sub/b.csv"].size_bytes == 2
    assert published.published_at.tzinfo is UTC
    assert store.stat("day/m.json").etag == published.etag
    with pytest.raises(ObjectNotFoundError, match=r"has no 'c\.csv'"):
        published["c.csv"]


def test_sources_are_taken_one_by_one(store: Any) -> None:
    def pairs() -> Iterator[tuple[str, Any]]:
        yield "a", b"a"
        assert isinstance(store, Blocking) or keys(store)[0].endswith("/a")
        yield "b", [b"b", b"b"]

    assert content_of(store, do(publish_manifest, store, "m", pairs())) == {"a": b"a", "b": b"bb"}


def test_an_async_store_takes_sources_as_they_arrive(tmp_path: Path) -> None:
    store = STORES["AsyncLocalStore"](tmp_path / "store")
    pairs: list[Any] = [("a", in_pieces([b"a"])), ("b", b"bb")]

    assert content_of(store, do(publish_manifest, store, "m", in_pieces(pairs))) == {"a": b"a", "b": b"bb"}


def test_an_empty_batch_is_one_too(store: Any) -> None:
    do(publish_manifest, store, "m", {})

    assert do(read_manifest, store, "m").entries == ()


def test_a_batch_that_is_replaced_is_still_whole_for_those_who_read_it(store: Any) -> None:
    first = do(publish_manifest, store, "m", BATCH)
    second = do(publish_manifest, store, "m", {"a.csv": b"other"}, if_match=first.etag)

    assert content_of(store, first) == BATCH
    assert content_of(store, do(read_manifest, store, "m")) == {"a.csv": b"other"}
    assert second.etag != first.etag


@pytest.mark.parametrize("conditions", [{"if_absent": True}, {"if_match": "another"}])
def test_a_batch_that_loses_leaves_nothing(store: Any, conditions: dict[str, Any]) -> None:
    do(publish_manifest, store, "m", BATCH)
    before = keys(store)

    with pytest.raises((ObjectExistsError, ObjectChangedError)):
        do(publish_manifest, store, "m", {"a.csv": b"other"}, **conditions)
    assert keys(store) == before


def test_a_source_that_fails_leaves_nothing(store: Any) -> None:
    def pairs() -> Iterator[tuple[str, Any]]:
        yield "a", b"a"
        raise KeyError

    for sources in (pairs(), [("a", b"1"), ("a", b"2")], [("a", b"1"), ("../b", b"2")], {"a": 7}):
        with pytest.raises((KeyError, ConfigError, UnsafePathError)):
            do(publish_manifest, store, "m", sources)
        assert keys(store) == []


def test_data_that_cannot_be_removed_either_is_said_and_the_first_error_goes_up(store: Any) -> None:
    inner = store.store if isinstance(store, Blocking) else store
    delete, tried = inner.delete, []

    def refuse(key: str) -> None:
        tried.append(key)
        message = "no"
        raise ObjectChangedError(message)

    async def refuse_async(key: str) -> None:
        refuse(key)

    inner.delete = refuse_async if inspect.iscoroutinefunction(delete) else refuse
    with pytest.raises(KeyError) as failed:
        do(publish_manifest, store, "m", _two_and_a_failure())
    assert len(tried) == len(failed.value.__notes__) == 2


def _two_and_a_failure() -> Iterator[tuple[str, Any]]:
    yield "a", b"a"
    yield "b", b"b"
    raise KeyError


def test_a_manifest_in_doubt_keeps_its_data(store: Any) -> None:
    inner = store.store if isinstance(store, Blocking) else store
    publish = inner.publish

    def doubtful(key: str) -> None:
        if key == "m":
            message = "no answer"
            raise PublicationInDoubtError(message)

    def in_doubt(key: str, *args: Any, **kwargs: Any) -> Any:
        doubtful(key)
        return publish(key, *args, **kwargs)

    async def in_doubt_async(key: str, *args: Any, **kwargs: Any) -> Any:
        doubtful(key)
        return await publish(key, *args, **kwargs)

    inner.publish = in_doubt_async if inspect.iscoroutinefunction(publish) else in_doubt
    with pytest.raises(PublicationInDoubtError):
        do(publish_manifest, store, "m", BATCH)
    assert len(keys(store)) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"7", b"\xff", b'{"format": "other", "entries": []}'], ids=repr)
def test_what_is_no_manifest_is_refused_and_nothing_is_swept_by_it(store: Any, content: bytes) -> None:
    store.publish("m", content)
    store.publish("m.data/1/a", b"a")

    for look in (read_manifest, sweep_manifest):
        with pytest.raises(DataError, match="no manifest"):
            do(look, store, "m")
    assert store.exists("m.data/1/a")


def test_what_no_manifest_names_is_swept_once_it_is_old(store: Any) -> None:
    first = do(publish_manifest, store, "m", BATCH)
    do(publish_manifest, store, "m", {"c": b"c"})
    do(publish_manifest, store, "m2", BATCH)
    old = sorted(entry.key for entry in first.entries)

    assert do(sweep_manifest, store, "m") == ()
    with ManualClock(start=store.stat("m").modified_at + timedelta(days=2)):
        assert sorted(do(sweep_manifest, store, "m", dry_run=True)) == old
        assert sorted(do(sweep_manifest, store, "m")) == old
        assert do(sweep_manifest, store, "m") == ()
    assert content_of(store, do(read_manifest, store, "m")) == {"c": b"c"}
    assert content_of(store, do(read_manifest, store, "m2")) == BATCH
    with pytest.raises(ObjectNotFoundError):
        do(read_manifest, store, "none")
    assert do(sweep_manifest, store, "none") == ()


def test_content_that_was_changed_is_no_content_of_the_batch(store: Any) -> None:
    manifest = do(publish_manifest, store, "m", BATCH)
    store.publish(manifest["a.csv"].key, b"x")

    with pytest.raises(ChecksumMismatchError):
        content_of(store, manifest)


@pytest.mark.parametrize("kind", ["LocalStore", "AsyncLocalStore"])
def test_a_crash_at_any_step_shows_the_batch_before_or_the_whole_one_after(kind: str, tmp_path: Path) -> None:
    def set_up(name: str) -> Any:
        store = STORES[kind](tmp_path / name)
        do(publish_manifest, store, "m", {"old": b"old"})
        return store

    new = {"a": b"a", "b": b"b"}
    store = set_up("counting")
    with FaultPlan() as counting:
        do(publish_manifest, store, "m", new)
    seen = []
    for step, when in counting.points:
        store = set_up(f"{step}{when}")
        with FaultPlan.crash(step, when=when), pytest.raises(SimulatedCrash):
            do(publish_manifest, store, "m", new)
        seen.append(content_of(store, do(read_manifest, store, "m")))

    assert seen[0] == {"old": b"old"}
    assert seen[-1] == new
    assert all(batch in ({"old": b"old"}, new) for batch in seen)
