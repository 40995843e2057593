"""The last lines of each place, and no more memory than was said."""

from __future__ import annotations

from contextvars import copy_context

from controlroom.logs.buffered import Buffer, place_of


def test_the_last_lines_of_a_place_come_back_once_in_order() -> None:
    buffer = Buffer(2)
    for line in (b"one", b"two", b"three"):
        buffer.keep("run", line)
    buffer.keep("other", b"four")

    assert buffer.take("run") == [b"two", b"three"]
    assert buffer.take("run") == []
    assert buffer.take("other") == [b"four"]


def test_memory_is_bounded_in_bytes_and_the_place_used_longest_ago_loses_first() -> None:
    buffer, line = Buffer(1_000), b"x" * 100_000
    buffer.keep("idle", b"idle")
    for number in range(200):
        buffer.keep(f"run {number % 2}", line)
    kept = buffer.take("run 0") + buffer.take("run 1")

    assert buffer.take("idle") == []
    assert 3 << 20 < sum(len(one) for one in kept) <= 4 << 20


def test_a_place_that_was_used_again_loses_last() -> None:
    buffer, line = Buffer(1_000), b"x" * (1 << 20)
    for place in ("first", "second", "first", "third", "first"):
        buffer.keep(place, line)

    assert [len(buffer.take(place)) for place in ("first", "second", "third")] == [3, 0, 0]


def test_a_line_larger_than_all_memory_is_not_kept_and_harms_nothing() -> None:
    buffer = Buffer(10)
    buffer.keep("run", b"x" * (5 << 20))
    assert buffer.take("run") == []
    buffer.keep("run", b"small")

    assert buffer.take("run") == [b"small"]


def test_places_without_end_do_not_fill_the_memory() -> None:
    buffer = Buffer(10)
    for number in range(100_000):
        buffer.keep(f"run {number}", b"")

    assert len(buffer._lines) <= (4 << 20) / 200


def test_without_a_run_the_place_is_the_context_and_what_came_out_of_it() -> None:
    def place() -> object:
        return place_of(None)

    def with_a_child() -> tuple[object, object]:
        return place(), copy_context().run(place)

    one, of_its_child = copy_context().run(with_a_child)
    another, _ = copy_context().run(with_a_child)

    assert one is of_its_child
    assert one is not another
    assert place_of("run") == "run"


def test_forgetting_all_forgets_the_size_too() -> None:
    buffer = Buffer(10)
    buffer.keep("run", b"x" * 1_000)
    buffer.clear()

    assert buffer.take("run") == []
    assert buffer._bytes == 0
