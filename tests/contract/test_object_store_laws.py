"""Laws of every object store: any key, any metadata, any prefix; races, and content that changes under a reader."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from controlroom.errors import ObjectChangedError, ObjectExistsError, ObjectNotFoundError, UnsafePathError
from controlroom.testing import FaultPlan
from tests.contract.stores import Blocking
from tests.servers.s3 import S3Server

MIB = 1024 * 1024
ONCE = [HealthCheck.function_scoped_fixture]  # one store for all examples: each leaves it empty
SPECIAL = "?#%*+&= ~'\"<>:;,@!$()[]{}|^`\\\t\n\r\x01\x7f\x85é日本\u0301\u2028\ufffe\U0001f600ab.-_"
SEGMENTS = st.text(st.sampled_from(SPECIAL), min_size=1, max_size=12).filter(lambda text: text not in (".", ".."))
KEYS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


def few(kind: str, examples: int) -> int:
    return examples if "S3" not in kind else max(6, examples // 4)


def held(store: Any, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def differs(kind: str, key: str) -> bool:
    """SeaweedFS takes a backslash for a slash."""
    return "seaweedfs" in kind and "\\" in key


def test_any_key_is_kept_exactly_or_refused_by_name(store: Any, kind: str) -> None:
    numbers = count()

    @settings(max_examples=few(kind, 60), suppress_health_check=ONCE, deadline=None)
    @given(KEYS)
    @example("e\u0301")
    @example("a?versionId=x&b=c#d")
    @example("%2e%2e/%00/a+b c")
    @example("*/[a]/?")
    @example("é/日本/\U0001f600")
    def law(key: str) -> None:
        assume(not differs(kind, key))
        number = next(numbers)  # a folder that an example left empty is no place for another's file
        one, two, three = (f"{number}.{name}/{key}" for name in "123")
        content = key.encode()
        try:
            receipt = store.publish(one, content)
        except UnsafePathError as error:
            named = error.ref == one
            assert named
            assert held(store) == []
            return
        assert receipt.size_bytes == len(content)
        assert held(store) == held(store, f"{number}.1/") == held(store, one) == [one]
        assert (store.stat(one).key, store.stat(one).size_bytes) == (one, len(content))
        store.copy(one, two)
        store.move(one, three)
        with store.open(three) as file:
            assert file.read() == content
        assert sorted(held(store)) == [two, three]
        assert (store.exists(one), store.exists(two)) == (False, True)
        store.delete(two, if_match=store.stat(two).etag)
        store.delete(three)
        assert held(store) == []

    law()


def test_keys_that_look_alike_are_different_objects(store: Any, kind: str) -> None:
    alike = ["é", "e\u0301", "A", "a", "a ", " a", "a+b", "a b", "a%20b", "a%2Bb", "1", "\uff11"]
    for key in alike:
        store.publish(key, key.encode())

    assert sorted(held(store)) == sorted(alike)
    assert [store.read_bytes(key) for key in alike] == [key.encode() for key in alike]


def test_a_prefix_finds_the_keys_that_begin_with_it_and_no_others(store: Any, kind: str) -> None:
    keys = ["a", "a!", "a/b", "a/b c", "a/b/c", "a0", "ab/c", "b%", "b%2F", "é", "e\u0301/x", "日/本"]
    if "S3" not in kind:
        keys = [key for key in keys if key not in ("a", "a/b")]  # a file is no folder
    for key in keys:
        store.publish(key, b"")
    prefixes = {key[:length] for key in keys for length in range(len(key) + 1)} | {"z", "a/c", "É"}

    for prefix in prefixes:
        expected = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
        listed = held(store, prefix)
        assert (sorted(listed, key=str.encode) if "seaweedfs" in kind else listed) == expected, prefix


def test_any_metadata_comes_back_as_it_was_given(store: Any, kind: str) -> None:
    texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
    names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)

    @settings(max_examples=few(kind, 40), suppress_health_check=ONCE, deadline=None)
    @given(st.dictionaries(names, texts, max_size=4))
    @example({"who": "ü", "Who": "x", "x-amz-meta-a": "b"})
    @example({"a_b": " two  spaces ", "a-b": "=?UTF-8?B?dGV4dA==?=", "c": ""})
    @example({"name with spaces": "line\nline\r\n", "ключ": "значение"})
    def law(metadata: dict[str, str]) -> None:
        store.publish("a", b"1", metadata=metadata)
        assert dict(store.stat("a").metadata) == metadata
        store.copy("a", "b")
        store.move("a", "c")
        assert dict(store.stat("b").metadata) == dict(store.stat("c").metadata) == metadata
        with store.open("c") as file:
            assert dict(file.info.metadata) == metadata
        for key in ("b", "c"):
            store.delete(key)

    law()


def test_conditions_of_a_copy_and_a_move_are_kept(store: Any) -> None:
    store.publish("a", b"1")
    store.publish("b", b"2")
    for change in (store.copy, store.move):
        with pytest.raises(ObjectExistsError):
            change("a", "b", if_absent=True)
        with pytest.raises(ObjectNotFoundError):
            change("none", "b", if_absent=True)

    assert (store.read_bytes("a"), store.read_bytes("b"), held(store)) == (b"1", b"2", ["a", "b"])
    store.copy("a", "c", if_absent=True)
    store.move("a", "d", if_absent=True)
    assert held(store) == ["b", "c", "d"]


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_move_never_removes_what_it_did_not_copy(store: Any, if_absent: bool) -> None:
    writer = store.store if isinstance(store, Blocking) else store
    for _ in range(2):  # what a server can do is found out the first time
        store.publish("a", b"1")
        with FaultPlan() as counted:
            store.move("a", "b", if_absent=if_absent)
        store.delete("b")

    for step, when in counted.points:
        store.publish("a", b"1")
        with FaultPlan.stall(step, lambda: writer.publish("a", b"other"), when=when) as plan:
            try:
                store.move("a", "b", if_absent=if_absent)
            except ObjectChangedError:
                assert store.read_bytes("a") == b"other"
        assert plan.struck
        assert b"other" in [store.read_bytes(key) for key in held(store)], (step, when)
        for key in ("a", "b"):
            store.delete(key)


def test_of_few_who_create_large_objects_exactly_one_wins(store: Any) -> None:
    def create(number: int) -> bool:
        try:
            with store.writer("a", if_absent=True) as file:
                for _ in range(9):
                    file.write(bytes([number]) * MIB)
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = [number for number, first in enumerate(pool.map(create, range(4))) if first]

    assert len(won) == 1
    assert store.read_bytes("a") == bytes(won) * (9 * MIB)
    assert held(store) == ["a"]


def test_what_is_large_is_published_whole_and_proved(store: Any, kind: str) -> None:
    content = bytes(range(251)) * 80_000
    receipt = store.publish("a", (content[at : at + MIB] for at in range(0, len(content), MIB)), metadata={"x": "ü"})

    assert (receipt.size_bytes, receipt.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert store.read_bytes("a") == content
    assert receipt.etag == store.stat("a").etag
    with store.open("a") as file:
        file.seek(-1_000, 2)
        assert file.read() == content[-1_000:]
        file.seek(9 * MIB)
        assert file.read(10) == content[9 * MIB : 9 * MIB + 10]
    moved = store.move("a", "b")
    assert (moved.size_bytes, dict(store.stat("b").metadata)) == (len(content), {"x": "ü"})
    # S3 keeps no SHA-256 of what came in parts, and metadata are sent before the content: the copy was proved by CRC-32.
    assert moved.sha256 == ("" if "S3" in kind else receipt.sha256)
    assert hashlib.sha256(store.read_bytes("b")).hexdigest() == receipt.sha256


def test_what_is_large_and_fails_leaves_what_was_there(store: Any) -> None:
    class Failure(Exception):
        pass

    store.publish("a", b"old")
    for key in ("a", "new"):
        with pytest.raises(Failure), store.writer(key) as file:
            for _ in range(17):
                file.write(b"x" * MIB)
            raise Failure
        with store.writer(key) as file:
            for _ in range(17):
                file.write(b"x" * MIB)
            file.discard()

    assert (store.read_bytes("a"), held(store)) == (b"old", ["a"])


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_no_reader_sees_two_versions_as_one(store: Any, change: str) -> None:
    old, new = b"o" * (3 * MIB), b"n" * (3 * MIB)
    store.publish("a", old)

    with store.open("a") as file:
        read = file.read(10)
        if change == "replaced":
            store.publish("a", new)
        else:
            store.delete("a")
        try:
            read += file.read()
            file.seek(MIB)
            assert file.read(10) == b"o" * 10
        except ObjectChangedError:
            assert set(read) == {ord("o")}
        else:
            assert read == old


def test_a_key_is_as_long_as_it_may_be(new_store: Callable[..., Any], kind: str, server: S3Server | None) -> None:
    store = new_store()
    longest = ("é" * 100 + "/") * 6
    room = 1024 - (0 if server is None else len(store.url.removeprefix(f"s3://{server.bucket}/")) + 1)
    key = longest.encode()[: room - 1].decode(errors="ignore").rstrip("/")
    key += "x" * (room - len(key.encode()))
    store.publish(key, b"1")

    assert (held(store), store.read_bytes(key)) == ([key], b"1")
    if server is not None:
        for call in (store.stat, store.delete, lambda key: store.publish(key, b"")):
            with pytest.raises(UnsafePathError, match="1024"):
                call(f"{key}y")
