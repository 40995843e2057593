"""Long histories of a store against a dict: whatever is done, and whatever fails, both hold the same objects."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from controlroom.errors import (
    ControlRoomError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageFullError,
    UnsafePathError,
)
from controlroom.storage import LocalStore
from controlroom.testing import FaultPlan
from controlroom.testing.faults import SimulatedCrash
from tests.contract.stores import STORES, AllInOneLoop, open_s3
from tests.servers.s3 import S3Server
from tests.unit.storage.folders import staged_in

# Few and entangled: names collide, some are folders of others, and "!" sorts before "/".
KEYS = st.sampled_from(["a", "b", "a!", "d/a", "d/b", "d/e/a", "d!", "é"])
CONTENTS = st.sampled_from([b"", b"1", b"2", b"12", b"x" * 5000])


class StoreMachine(RuleBasedStateMachine):
    """`held` is the truth: key → (content, etag)."""

    open_store: Callable[[Path], Any] = LocalStore
    sweepers = ("sweep", "d/sweep", "d/e/sweep")  # whoever writes into a folder removes what a crash left there
    etags = Bundle("etags")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="controlroom-"))
        self.store = self.opened()
        self.held: dict[str, tuple[bytes, str]] = {}

    def opened(self) -> Any:
        return type(self).open_store(self.folder)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def left_over(self) -> list[str]:
        """What is neither an object nor gone."""
        return staged_in(self.folder)

    def expect(self, call: Callable[[], Any], *refusals: type[ControlRoomError]) -> Any:
        """Call; it must be refused with the first of *refusals*, if there is one."""
        if not refusals:
            return call()
        with pytest.raises(refusals[0]):
            call()
        return None

    def taken(self, key: str, *, if_absent: bool) -> list[type[ControlRoomError]]:
        return [ObjectExistsError] if if_absent and key in self.held else []

    def missing(self, key: str) -> list[type[ControlRoomError]]:
        return [] if key in self.held else [ObjectNotFoundError]

    @initialize(target=etags)
    def begin(self) -> str:
        return "never-was"

    @rule(target=etags, key=KEYS, content=CONTENTS, if_absent=st.booleans())
    def publish(self, key: str, content: bytes, if_absent: bool) -> Any:
        receipt = self.expect(
            lambda: self.store.publish(key, content, if_absent=if_absent), *self.taken(key, if_absent=if_absent)
        )
        if receipt is None:
            return multiple()
        assert receipt.sha256 == hashlib.sha256(content).hexdigest()
        self.held[key] = content, receipt.etag
        return receipt.etag

    @rule(target=etags, key=KEYS, content=CONTENTS, etag=etags)
    def publish_if_match(self, key: str, content: bytes, etag: str) -> Any:
        matches = key in self.held and self.held[key][1] == etag
        refusals = [] if matches else [ObjectChangedError]
        receipt = self.expect(lambda: self.store.publish(key, content, if_match=etag), *refusals)
        if receipt is None:
            return multiple()
        self.held[key] = content, receipt.etag
        return receipt.etag

    @rule(key=KEYS, content=CONTENTS, fails=st.booleans(), discards=st.booleans())
    def write(self, key: str, content: bytes, fails: bool, discards: bool) -> None:
        def block() -> Any:
            with self.store.writer(key) as file:
                file.write(content)
                if discards:
                    file.discard()
                if fails:
                    raise StorageFullError("in the block")
            return file

        written = self.expect(block, *([StorageFullError] if fails else []))
        if not fails and not discards:
            self.held[key] = content, written.receipt.etag

    @rule(src=KEYS, dst=KEYS, if_absent=st.booleans())
    def copy(self, src: str, dst: str, if_absent: bool) -> None:
        refusals = self.missing(src) or self.taken(dst, if_absent=if_absent)
        receipt = self.expect(lambda: self.store.copy(src, dst, if_absent=if_absent), *refusals)
        if receipt is not None:
            self.held[dst] = self.held[src][0], receipt.etag

    @rule(src=KEYS, dst=KEYS, if_absent=st.booleans())
    def move(self, src: str, dst: str, if_absent: bool) -> None:
        refusals = self.missing(src) or self.taken(dst, if_absent=if_absent)
        receipt = self.expect(lambda: self.store.move(src, dst, if_absent=if_absent), *refusals)
        if receipt is not None:
            content, _ = self.held.pop(src)
            self.held[dst] = content, receipt.etag

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.store.delete(key)
        self.held.pop(key, None)

    @rule(key=KEYS, etag=consumes(etags))
    def delete_if_match(self, key: str, etag: str) -> None:
        matches = key in self.held and self.held[key][1] == etag
        self.expect(lambda: self.store.delete(key, if_match=etag), *([] if matches else [ObjectChangedError]))
        if matches:
            del self.held[key]

    @rule(key=KEYS, content=CONTENTS, step=st.integers(1, 6), when=st.sampled_from(["before", "after"]))
    def crash_while_publishing(self, key: str, content: bytes, step: int, when: Any) -> None:
        with FaultPlan.crash(step, when=when), suppress(SimulatedCrash):
            self.store.publish(key, content)
        if self.store.exists(key):
            seen = self.store.read_bytes(key), self.store.stat(key).etag
            assert seen == self.held.get(key) or seen[0] == content
            self.held[key] = seen

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        assert self.store.exists(key) == (key in self.held)
        content = self.expect(lambda: self.store.read_bytes(key), *self.missing(key))
        if content is not None:
            assert content == self.held[key][0]
            assert self.store.stat(key).etag == self.held[key][1]

    @rule(prefix=st.sampled_from(["", "a", "d", "d/", "d/e", "d/e/", "z"]))
    def list(self, prefix: str) -> None:
        expected = sorted((key for key in self.held if key.startswith(prefix)), key=str.encode)
        listed = list(self.store.list(prefix))
        assert [info.key for info in listed] == expected
        assert [(info.size_bytes, info.etag) for info in listed] == [
            (len(self.held[key][0]), self.held[key][1]) for key in expected
        ]

    @rule(key=st.sampled_from(["", "/a", "../a", "d//a", "d/../a", "a\0"]), content=CONTENTS)
    def use_an_unsafe_key(self, key: str, content: bytes) -> None:
        for call in (
            lambda: self.store.publish(key, content),
            lambda: self.store.delete(key),
            lambda: self.store.stat(key),
        ):
            self.expect(call, UnsafePathError)

    @invariant()
    def nothing_is_staged_but_what_a_crash_left(self) -> None:
        for key in self.sweepers:
            self.store.publish(key, b"")
        for key in self.sweepers:
            self.store.delete(key)
        assert self.left_over() == []


def machine_for(kind: str) -> type[StoreMachine]:
    opening = staticmethod(STORES[kind] if kind != "LocalStore" else lambda folder: LocalStore(folder, durable=False))
    return type(f"{kind}Machine", (StoreMachine,), {"open_store": opening})


class S3Machine(StoreMachine):
    sweepers = ()
    colour: str
    server: S3Server
    loop: AllInOneLoop

    def __init__(self) -> None:
        self.prefix = self.server.new_prefix()
        super().__init__()
        # What the server can do is found out before anything crashes.
        self.store.publish("a", b"", if_absent=True)
        self.store.publish("a", b"", if_match=self.store.stat("a").etag)
        self.store.copy("a", "b", if_absent=True)
        self.store.move("a", "d/a", if_absent=True)
        for key in ("b", "d/a"):
            self.store.delete(key, if_match=self.store.stat(key).etag)

    def opened(self) -> Any:
        return open_s3(self.colour, self.server, self.prefix, self.loop)

    def teardown(self) -> None:
        self.store.close()
        super().teardown()

    def left_over(self) -> list[str]:
        return self.server.uploads(prefix=self.prefix)


LIMITS = settings(max_examples=15, stateful_step_count=30)


class TestLocalStore(machine_for("LocalStore").TestCase):  # type: ignore[name-defined,misc]  # hypothesis makes it at run time
    settings = LIMITS


class TestAsyncLocalStore(machine_for("AsyncLocalStore").TestCase):  # type: ignore[name-defined,misc]  # as above
    settings = settings(max_examples=4, stateful_step_count=15)


class TestMemoryStore(machine_for("MemoryStore").TestCase):  # type: ignore[name-defined,misc]  # as above
    settings = LIMITS


class TestAsyncMemoryStore(machine_for("AsyncMemoryStore").TestCase):  # type: ignore[name-defined,misc]  # as above
    settings = settings(max_examples=4, stateful_step_count=15)


@pytest.fixture(scope="module")
def one_loop() -> Iterator[AllInOneLoop]:
    loop = AllInOneLoop()
    yield loop
    loop.close()


class OnAServer:
    machine: type[S3Machine]

    @pytest.fixture(autouse=True)
    def on_a_server(self, ministack_server: S3Server, one_loop: AllInOneLoop) -> None:
        self.machine.server, self.machine.loop = ministack_server, one_loop


class S3StoreMachine(S3Machine):
    colour = "S3Store"


class AsyncS3StoreMachine(S3Machine):
    colour = "AsyncS3Store"


class TestS3Store(OnAServer, S3StoreMachine.TestCase):  # type: ignore[misc]  # hypothesis makes it at run time
    machine = S3StoreMachine
    settings = settings(max_examples=6, stateful_step_count=25)


class TestAsyncS3Store(OnAServer, AsyncS3StoreMachine.TestCase):  # type: ignore[misc]  # as above
    machine = AsyncS3StoreMachine
    settings = settings(max_examples=3, stateful_step_count=15)
