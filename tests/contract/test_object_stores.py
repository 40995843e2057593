"""What every object store promises, whatever is below it and in both colours. A new store joins `STORES`."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlroom.clock import deadline, utcnow
from controlroom.errors import (
    ConfigError,
    ControlRoomError,
    DataError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsafePathError,
)
from controlroom.policy import s3_listing
from controlroom.policy.object_calls import Call
from controlroom.testing import FaultPlan
from tests.contract.stores import Blocking, transfer

MIB = 1024 * 1024


def keys(store: Any, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def sources(tmp_path: Path, content: bytes) -> dict[str, Callable[[], Any]]:
    path = tmp_path / "source"
    path.write_bytes(content)
    return {
        "bytes": lambda: content,
        "bytearray": lambda: bytearray(content),
        "memoryview": lambda: memoryview(content),
        "path": lambda: path,
        "file": lambda: io.BytesIO(content),
        "iterable": lambda: [content[:3], b"", content[3:]],
        "generator": lambda: (content[i : i + MIB] for i in range(0, len(content), MIB)),
    }


@pytest.mark.parametrize("source", ["bytes", "bytearray", "memoryview", "path", "file", "iterable", "generator"])
@pytest.mark.parametrize("size_bytes", [0, 1, 3 * MIB + 1])
def test_what_was_published_is_read_back_and_proved(store: Any, tmp_path: Path, source: str, size_bytes: int) -> None:
    content = (bytes(range(256)) * (size_bytes // 256 + 1))[:size_bytes]

    receipt = store.publish("a/b.bin", sources(tmp_path, content)[source]())

    assert store.read_bytes("a/b.bin") == content
    assert (receipt.size_bytes, receipt.sha256) == (size_bytes, hashlib.sha256(content).hexdigest())
    assert receipt.ref.endswith("a/b.bin")
    assert receipt.etag == store.stat("a/b.bin").etag
    assert pickle.loads(pickle.dumps(receipt)) == receipt


def test_a_store_has_a_url_and_its_objects_lie_below_it(store: Any, kind: str, tmp_path: Path) -> None:
    assert store.publish("a/b", b"").ref == f"{store.url}/a/b"
    assert "Local" not in kind or store.url == (tmp_path / "store").as_uri()
    assert "S3" not in kind or (store.url.startswith("s3://shared/t") and store.url.endswith("/store"))


def test_an_object_is_described(store: Any) -> None:
    before = utcnow()
    store.publish("a", b"123", metadata={"rows": "3", "who": "ü"}, content_type="text/csv")
    store.publish("plain", b"")

    info = store.stat("a")
    assert (info.key, info.size_bytes, info.version) == ("a", 3, None)
    assert info.modified_at.tzinfo is UTC
    assert before - timedelta(seconds=1) <= info.modified_at <= utcnow() + timedelta(seconds=1)
    assert (dict(info.metadata), info.content_type) == ({"rows": "3", "who": "ü"}, "text/csv")
    assert (dict(store.stat("plain").metadata), store.stat("plain").content_type) == ({}, None)
    assert pickle.loads(pickle.dumps(info)) == info


def test_publishing_again_replaces_content_and_metadata(store: Any) -> None:
    first = store.publish("a", b"1", metadata={"x": "y"}, content_type="text/csv")
    second = store.publish("a", b"2")

    assert store.read_bytes("a") == b"2"
    assert first.etag != second.etag
    assert (dict(store.stat("a").metadata), store.stat("a").content_type) == ({}, None)


def test_every_publication_has_an_etag_of_its_own_also_of_the_same_bytes(store: Any) -> None:
    """Inodes are reused, and many publications fit into one tick of a filesystem's clock."""
    etags = [store.publish("a", b"same size").etag for _ in range(100)]

    assert len(set(etags)) == 100


def test_what_is_not_there_is_not_found(store: Any) -> None:
    assert not store.exists("none/such")
    for ask in (store.stat, store.read_bytes, lambda key: store.copy(key, "b"), lambda key: store.move(key, "b")):
        with pytest.raises(ObjectNotFoundError, match="none/such"):
            ask("none/such")
    with pytest.raises(ObjectNotFoundError), store.open("none/such"):
        pass
    assert keys(store) == []


UNSAFE = ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\0b", "\udcff"]


@pytest.mark.parametrize("key", UNSAFE, ids=ascii)
def test_a_key_that_could_leave_its_root_is_refused_by_everything(store: Any, key: str) -> None:
    store.publish("safe", b"x")
    attempts: list[Callable[[], Any]] = [
        lambda: store.publish(key, b"x"),
        lambda: store.read_bytes(key),
        lambda: store.stat(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
        lambda: store.delete(key, if_match="x"),
        lambda: store.copy("safe", key),
        lambda: store.copy(key, "b"),
        lambda: store.move("safe", key),
        lambda: store.move(key, "b"),
        lambda: store.open(key).__enter__(),
        lambda: store.writer(key).__enter__(),
    ]
    for attempt in attempts:
        with pytest.raises(UnsafePathError):
            attempt()
    assert keys(store) == ["safe"]


@pytest.mark.parametrize("key", ["a b", "ü/日本", "a?b=c&d#e", "*[x]", "%2e%2e", "a\\b", "-", "...", "a\nb"])
def test_a_key_means_itself_whatever_it_contains(store: Any, key: str) -> None:
    store.publish(key, b"x")

    assert keys(store) == [key]
    assert store.read_bytes(key) == b"x"
    store.move(key, "moved")
    assert keys(store) == ["moved"]


def test_listing_is_in_the_order_of_utf_8_and_a_prefix_is_a_text(store: Any) -> None:
    for key in ("a/b", "a!b", "a0", "Z", "é", "\uffee", "\U0001f600", "raw/flights/1", "raw/flights-old/1"):
        store.publish(key, b"")

    assert keys(store, "") == [
        "Z",
        "a!b",
        "a/b",
        "a0",
        "raw/flights-old/1",
        "raw/flights/1",
        "é",
        "\uffee",
        "\U0001f600",
    ]
    assert keys(store, "raw/flights") == ["raw/flights-old/1", "raw/flights/1"]
    assert keys(store, "raw/flights/") == ["raw/flights/1"]
    assert keys(store, "nothing") == []
    for prefix in ("/", "../", "a//"):
        with pytest.raises(UnsafePathError):
            keys(store, prefix)


def test_more_objects_than_one_page_are_all_listed(store: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 130 if "S3" in kind else 600
    monkeypatch.setattr(s3_listing, "Call", lambda operation, params: Call(operation, {**params, "MaxKeys": 50}))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.publish(f"n/{number:03}", b""), range(count)))

    assert keys(store) == [f"n/{number:03}" for number in range(count)]


def test_reading_more_than_the_limit_is_refused(store: Any) -> None:
    store.publish("a", b"12345")

    assert store.read_bytes("a", max_bytes=5) == b"12345"
    with pytest.raises(DataError, match="over the limit max_bytes=4"):
        store.read_bytes("a", max_bytes=4)
    with pytest.raises(ConfigError):
        store.read_bytes("a", max_bytes=-1)


def test_an_object_is_read_piece_by_piece(store: Any) -> None:
    store.publish("a", b"0123456789")

    with store.open("a") as file:
        assert file.read(3) == b"012"
        assert file.read() == b"3456789"
        assert file.read(1) == b""
        assert file.seek(-2, 2) == 8
        assert file.read() == b"89"
        assert file.info.etag == store.stat("a").etag


def test_what_is_being_read_stays_whole_while_it_is_replaced_or_deleted(store: Any) -> None:
    content = bytes(range(256)) * 4096
    for change in (lambda: store.publish("a", b"new"), lambda: store.delete("a")):
        store.publish("a", content)
        with store.open("a") as file:
            begin = file.read(10)
            change()
            assert begin + file.read() == content


def test_only_the_first_creates(store: Any) -> None:
    store.publish("a", b"1", if_absent=True)

    with pytest.raises(ObjectExistsError):
        store.publish("a", b"2", if_absent=True)
    with pytest.raises(ObjectExistsError), store.writer("a", if_absent=True) as file:
        file.write(b"3")
    store.publish("b", b"4")
    with pytest.raises(ObjectExistsError):
        store.copy("b", "a", if_absent=True)
    with pytest.raises(ObjectExistsError):
        store.move("b", "a", if_absent=True)

    assert (store.read_bytes("a"), keys(store)) == (b"1", ["a", "b"])


def test_of_many_who_create_exactly_one_wins(store: Any) -> None:
    def create(number: int) -> bool:
        try:
            store.publish("a", str(number).encode(), if_absent=True)
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        won = [number for number, first in enumerate(pool.map(create, range(32))) if first]

    assert len(won) == 1
    assert store.read_bytes("a") == str(won[0]).encode()


def test_a_condition_on_the_present_object_is_kept(store: Any) -> None:
    first = store.publish("a", b"1")
    second = store.publish("a", b"2", if_match=first.etag)

    for change in (
        lambda: store.publish("a", b"3", if_match=first.etag),
        lambda: store.delete("a", if_match=first.etag),
        lambda: store.publish("none", b"3", if_match=first.etag),
        lambda: store.delete("none", if_match=first.etag),
        lambda: store.delete("no/such/folder", if_match=first.etag),
    ):
        with pytest.raises(ObjectChangedError):
            change()
    assert store.read_bytes("a") == b"2"
    store.delete("a", if_match=second.etag)
    assert keys(store) == []


def test_conditions_that_exclude_each_other_are_refused(store: Any) -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        store.publish("a", b"1", if_absent=True, if_match="x")
    with pytest.raises(ConfigError), store.writer("a", if_absent=True, if_match="x"):
        pass
    assert keys(store) == []


@pytest.mark.parametrize("content_type", ["text/csv\r\nx-amz-acl: public-read", "text/ü", " text/csv", 7])
def test_a_content_type_that_no_header_carries_is_refused_by_every_store(store: Any, content_type: Any) -> None:
    with pytest.raises(ConfigError, match="content_type"):
        store.publish("a", b"1", content_type=content_type)
    assert keys(store) == []


def test_an_empty_content_type_is_none(store: Any) -> None:
    store.publish("a", b"1", content_type="")
    assert store.stat("a").content_type is None


@pytest.mark.parametrize("etag", ["", "x\r\nx-amz-acl: public-read", "é", 7])
def test_what_no_object_can_have_as_its_etag_is_no_condition(store: Any, etag: Any) -> None:
    store.publish("a", b"1")
    with pytest.raises(ConfigError, match="is no etag"):
        store.publish("a", b"2", if_match=etag)
    assert store.read_bytes("a") == b"1"


@pytest.mark.parametrize("key", [None, 5, b"a"])
def test_a_key_or_prefix_that_is_no_text_is_refused_by_everything(store: Any, key: Any) -> None:
    store.publish("a", b"1")
    for call in (
        lambda: store.publish(key, b"1"),
        lambda: store.read_bytes(key),
        lambda: store.stat(key),
        lambda: store.exists(key),
        lambda: store.copy("a", key),
        lambda: store.move(key, "a"),
        lambda: store.delete(key),
        lambda: keys(store, key),
    ):
        with pytest.raises(ConfigError, match="is a str"):
            call()


def test_a_counter_under_contention_loses_no_increment(store: Any, kind: str) -> None:
    increments = 24 if "S3" in kind else 64
    store.publish("n", b"000")

    def increment(_: int) -> None:
        while True:
            etag, count = store.stat("n").etag, int(store.read_bytes("n"))
            try:
                store.publish("n", f"{count + 1:03}".encode(), if_match=etag)
            except ObjectChangedError:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(increments)))

    assert store.read_bytes("n") == b"%03d" % increments


def test_a_source_that_fails_leaves_what_was_there(store: Any) -> None:
    class Failure(Exception):
        pass

    def failing() -> Iterator[bytes]:
        yield b"x" * MIB
        raise Failure

    store.publish("a", b"old")
    for key in ("a", "new/b"):
        with pytest.raises(Failure):
            store.publish(key, failing())
        with pytest.raises(Failure), store.writer(key) as file:
            file.write(b"x" * MIB)
            raise Failure

    assert (store.read_bytes("a"), keys(store)) == (b"old", ["a"])


@pytest.mark.parametrize(
    "source",
    ["text", 7, None, io.StringIO("text"), ["text"], [1]],
    ids=["text", "int", "None", "text file", "texts", "ints"],
)
def test_a_source_without_bytes_is_refused_and_leaves_what_was_there(store: Any, source: Any) -> None:
    store.publish("a", b"old")

    with pytest.raises(ConfigError):
        store.publish("a", source)
    assert store.read_bytes("a") == b"old"


def test_a_source_path_that_is_missing_leaves_what_was_there(store: Any, tmp_path: Path) -> None:
    store.publish("a", b"old")

    with pytest.raises(ObjectNotFoundError, match="missing"):
        store.publish("a", tmp_path / "missing")
    assert store.read_bytes("a") == b"old"


def test_what_is_written_piece_by_piece_is_published_at_the_end_of_the_block(store: Any) -> None:
    content = bytes(range(256)) * 4096
    with store.writer("a", metadata={"x": "y"}, content_type="text/csv") as file:
        for start in range(0, len(content), 100_000):
            assert file.write(content[start : start + 100_000]) == len(content[start : start + 100_000])
        assert not store.exists("a")
        assert file.receipt is None

    assert store.read_bytes("a") == content
    assert file.receipt.sha256 == hashlib.sha256(content).hexdigest()
    assert file.receipt.etag == store.stat("a").etag
    assert store.stat("a").content_type == "text/csv"


def test_what_is_discarded_is_not_published(store: Any) -> None:
    with store.writer("a") as file:
        file.write(b"x" * MIB)
        file.discard()
        file.write(b"x" * MIB)

    assert file.receipt is None
    assert keys(store) == []


def test_a_writer_keeps_its_condition_at_the_end_of_the_block(store: Any) -> None:
    with pytest.raises(ObjectExistsError), store.writer("a", if_absent=True) as file:
        file.write(b"mine")
        store.publish("a", b"theirs")
    with pytest.raises(ObjectChangedError), store.writer("a", if_match=store.stat("a").etag) as file:
        file.write(b"mine")
        store.publish("a", b"theirs again")

    assert store.read_bytes("a") == b"theirs again"


def test_a_copy_has_content_metadata_and_an_etag_of_its_own(store: Any) -> None:
    first = store.publish("a", b"1", metadata={"x": "y"}, content_type="text/csv")
    receipt = store.copy("a", "b/c")

    assert (receipt.sha256, receipt.size_bytes) == (first.sha256, 1)
    assert receipt.etag == store.stat("b/c").etag
    assert (dict(store.stat("b/c").metadata), store.stat("b/c").content_type) == ({"x": "y"}, "text/csv")
    store.publish("a", b"2")
    assert store.read_bytes("b/c") == b"1"


def test_a_copy_onto_itself_changes_nothing_that_is_read(store: Any) -> None:
    store.publish("a", b"1")
    store.copy("a", "a")

    assert store.read_bytes("a") == b"1"


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_moved_object_is_under_its_new_name_only(store: Any, if_absent: bool) -> None:
    first = store.publish("in/a", b"1", metadata={"x": "y"}, content_type="text/csv")
    receipt = store.move("in/a", "out/b", if_absent=if_absent)

    assert keys(store) == ["out/b"]
    assert (store.read_bytes("out/b"), receipt.sha256, receipt.size_bytes) == (b"1", first.sha256, 1)
    assert receipt.ref.endswith("out/b")
    assert receipt.etag == store.stat("out/b").etag
    assert (dict(store.stat("out/b").metadata), store.stat("out/b").content_type) == ({"x": "y"}, "text/csv")


def test_a_move_replaces_what_is_there(store: Any) -> None:
    store.publish("a", b"1")
    store.publish("b", b"2")
    store.move("a", "b")

    assert (keys(store), store.read_bytes("b")) == (["b"], b"1")


def test_a_move_onto_itself_loses_nothing(store: Any) -> None:
    store.publish("a", b"1")
    store.move("a", "a")
    with pytest.raises(ObjectExistsError):
        store.move("a", "a", if_absent=True)

    assert (keys(store), store.read_bytes("a")) == (["a"], b"1")


@pytest.mark.parametrize("if_absent", [False, True])
def test_what_changed_since_it_was_read_is_not_moved(store: Any, if_absent: bool) -> None:
    store.publish("a", b"1")
    writer = store.store if isinstance(store, Blocking) else store
    before_the_names_change = 3  # the content is read in one chunk, and its end seen in another

    for change in (lambda: writer.publish("a", b"other"), lambda: writer.delete("a")):
        with FaultPlan.stall(before_the_names_change, change), pytest.raises(ObjectChangedError):
            store.move("a", "b", if_absent=if_absent)
        assert not store.exists("b")


def test_deleting_can_be_repeated(store: Any) -> None:
    store.publish("a/b/c", b"1")
    for _ in range(2):
        store.delete("a/b/c")
    store.delete("never/was")

    assert not store.exists("a/b/c")
    assert keys(store) == []


def test_a_store_is_closed_by_its_block(store: Any) -> None:
    with store as same:
        same.publish("a", b"1")

    assert store.exists("a")


def test_an_object_is_transferred_whole_with_its_metadata(store: Any, new_store: Callable[..., Any]) -> None:
    content = bytes(range(256)) * 16_384
    to_store = new_store("other")
    store.publish("a", content, metadata={"x": "y"}, content_type="text/csv")

    receipt = transfer(store, "a", to_store, "b/c")
    same_name = transfer(store, "a", to_store)

    assert receipt.sha256 == same_name.sha256 == hashlib.sha256(content).hexdigest()
    assert keys(to_store) == ["a", "b/c"]
    assert to_store.read_bytes("b/c") == content
    assert dict(to_store.stat("a").metadata) == {"x": "y"}
    assert to_store.stat("a").content_type == "text/csv"
    assert store.exists("a")
    with pytest.raises(ObjectExistsError):
        transfer(store, "a", to_store, if_absent=True)
    with pytest.raises(ObjectNotFoundError):
        transfer(store, "none", to_store)


def test_errors_name_their_object_and_survive_a_journey(store: Any) -> None:
    with pytest.raises(ObjectNotFoundError) as failed:
        store.stat("in/none")

    error: ControlRoomError = pickle.loads(pickle.dumps(failed.value))
    assert str(error.ref).endswith("in/none")  # type: ignore[attr-defined]  # an ObjectNotFoundError
    assert error.message == failed.value.message


@pytest.mark.parametrize("if_absent", [False, True])
def test_nothing_is_begun_after_the_deadline(store: Any, if_absent: bool) -> None:
    store.publish("a", b"1")
    with deadline(0):
        for change in (
            lambda: store.publish("b", b"1", if_absent=if_absent),
            lambda: store.copy("a", "b", if_absent=if_absent),
            lambda: store.move("a", "b", if_absent=if_absent),
            lambda: store.delete("a"),
        ):
            with pytest.raises(ControlRoomError, match="deadline"):
                change()

    assert keys(store) == ["a"]
