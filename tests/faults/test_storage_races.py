"""Many writers and readers at once, in threads and in processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

from controlroom.errors import ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from controlroom.storage import LocalStore, write_bytes
from tests.faults.storage_worlds import published, staged

ROOT = Path(__file__).parents[2]

CLAIM = """
import sys
from controlroom.errors import ControlRoomError
from controlroom.storage import LocalStore, write_bytes
folder, who = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
won = 0
for number in range(40):
    try:
        write_bytes(f"{folder}/{number}", who.encode(), overwrite=False, durable=False)
        won += 1
    except ControlRoomError:
        pass
print(won)
"""


def test_of_32_threads_that_create_exactly_one_wins(tmp_path: Path) -> None:
    def create(number: int) -> bool:
        try:
            write_bytes(tmp_path / "t", str(number).encode(), overwrite=False)
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        won = [number for number, first in enumerate(pool.map(create, range(32))) if first]

    assert len(won) == 1
    assert published(tmp_path) == {"t": str(won[0]).encode()}
    assert staged(tmp_path) == []


def test_of_many_processes_that_create_exactly_one_wins_each_name(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIM, str(tmp_path)]
    racers = [
        subprocess.Popen(
            [*command, f"racer {number}"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    won = [int(racer.communicate("go\n", timeout=60)[0]) for racer in racers]

    assert sum(won) == 40
    assert len(published(tmp_path)) == 40
    assert staged(tmp_path) == []


def same_byte_throughout(content: bytes) -> bool:
    return len(content) == 300_000 and len(set(content)) == 1


@pytest.mark.parametrize("durable", [True, False])
def test_a_reader_never_sees_a_mixture(tmp_path: Path, durable: bool) -> None:
    store = LocalStore(tmp_path, durable=durable)
    store.publish("t", b"\0" * 300_000)
    stop, torn = Event(), []

    def read() -> None:
        while not stop.is_set():
            if not same_byte_throughout((tmp_path / "t").read_bytes()) or not same_byte_throughout(
                store.read_bytes("t")
            ):
                torn.append(True)

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(100):
        store.publish("t", bytes([number]) * 300_000)
    stop.set()
    for reader in readers:
        reader.join()

    assert torn == []


def claimed(claim: Callable[[int], object]) -> int:
    """How many of 16 threads got it."""

    def attempt(number: int) -> bool:
        try:
            claim(number)
        except (ObjectNotFoundError, ObjectChangedError, ObjectExistsError):
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(attempt, range(16)))


@pytest.mark.parametrize("if_absent", [False, True])
def test_of_many_who_move_one_object_exactly_one_gets_it(tmp_path: Path, if_absent: bool) -> None:
    store = LocalStore(tmp_path, durable=False)
    for round_number in range(20):
        store.publish("landing/a", b"x")
        won = claimed(
            lambda number, to=round_number: store.move("landing/a", f"claimed/{to}/{number}", if_absent=if_absent)
        )
        assert not store.exists("landing/a")
        assert won == len(list(store.list(f"claimed/{round_number}/"))) == 1


def test_two_moves_in_opposite_directions_do_not_wait_for_each_other(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    for number in range(50):
        store.publish(f"x/{number}", b"")
        store.publish(f"y/{number}", b"")

    with ThreadPoolExecutor(2) as pool:
        there = pool.submit(lambda: [store.move(f"x/{number}", f"y/from-x-{number}") for number in range(50)])
        back = pool.submit(lambda: [store.move(f"y/{number}", f"x/from-y-{number}") for number in range(50)])
        assert len(there.result(60)) == len(back.result(60)) == 50


def test_of_many_who_delete_one_version_exactly_one_does(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    for _ in range(20):
        etag = store.publish("a", b"x").etag
        assert claimed(lambda _, etag=etag: store.delete("a", if_match=etag)) == 1


def test_many_writers_in_one_folder_sweep_nothing_that_lives(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for turn in range(20):
            write_bytes(tmp_path / f"{number}-{turn}", b"x" * 1000, durable=False)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    assert len(published(tmp_path)) == 160
    assert staged(tmp_path) == []
