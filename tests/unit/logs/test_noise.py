"""What is left out is counted: lines and counts add up, whatever came."""

from __future__ import annotations

import logging
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from controlroom.logs.noise import LEFT_OUT, WINDOW_S, Noise, Seen


def seen(
    event: str = "page_fetched", *, logger: str = "app", level: int = logging.INFO, run: str | None = None
) -> Seen:
    return Seen(logger, event, level, run, "2026-01-01T00:00:00.000000Z")


def test_the_first_of_every_hundred_is_kept_and_says_so() -> None:
    noise = Noise({"page_fetched": 100}, None)
    verdicts = [noise.judge(seen(), 0.0) for _ in range(250)]

    assert [turn for turn, verdict in enumerate(verdicts) if verdict] == [0, 100, 200]
    assert {verdict for verdict in verdicts if verdict} == {100}
    assert [left.count for left in noise.all()] == [247]


def test_each_logger_and_name_is_sampled_by_itself() -> None:
    noise = Noise({"page_fetched": 2, "file_seen": 3}, None)
    events = [seen(), seen(logger="other"), seen("file_seen"), seen("not_named")]

    assert [[noise.judge(event, 0.0) for event in events] for _ in range(3)] == [
        [2, 2, 3, 1],
        [LEFT_OUT, LEFT_OUT, LEFT_OUT, 1],
        [2, 2, LEFT_OUT, 1],
    ]


def test_a_warning_is_never_sampled_and_an_error_never_summarised() -> None:
    noise = Noise({"page_fetched": 100}, 1)

    assert [noise.judge(seen(level=logging.WARNING), 0.0) for _ in range(2)] == [1, LEFT_OUT]
    assert [noise.judge(seen(level=logging.ERROR), 0.0) for _ in range(5)] == [1] * 5


def test_repeats_beyond_the_number_are_counted_until_the_window_ends() -> None:
    noise = Noise({}, 2)
    verdicts = [noise.judge(seen(), second) for second in (0.0, 1.0, 2.0, 59.9)]
    assert verdicts == [1, 1, LEFT_OUT, LEFT_OUT]
    assert noise.due(WINDOW_S - 0.1) == []
    (left,) = noise.due(WINDOW_S)

    assert (left.count, left.reason) == (2, "repeated")
    assert noise.due(WINDOW_S) == []
    assert noise.judge(seen(), WINDOW_S) == 1


def test_a_window_in_which_nothing_was_left_out_has_nothing_to_tell() -> None:
    noise = Noise({}, 2)
    noise.judge(seen(), 0.0)

    assert noise.due(WINDOW_S) == []
    assert noise.all() == []
    noise.judge(seen(), WINDOW_S)
    assert noise.due(2 * WINDOW_S) == []
    assert not noise._windows


def test_what_was_left_out_of_a_run_is_told_with_the_run() -> None:
    noise = Noise({"file_seen": 2}, 1)
    for run in ("a", "b", "a", "b", "b"):
        noise.judge(seen(run=run), 0.0)
        noise.judge(seen("file_seen", run=run), 0.0)

    assert {(left.key.run_id, left.key.event, left.reason): left.count for left in noise.of_run("a")} == {
        ("a", "page_fetched", "repeated"): 1,
        ("a", "file_seen", "repeated"): 1,
    }
    assert all(left.key.run_id == "b" for left in noise.all())


def test_messages_without_end_do_not_fill_the_memory() -> None:
    noise = Noise({}, 1)
    verdicts = [noise.judge(seen(f"message {number}"), 0.0) for number in range(5_000) for _ in range(2)]
    told = noise.due(0.0) + noise.all()

    assert len(noise._windows) <= 1_000
    assert sum(verdict == 1 for verdict in verdicts) + sum(left.count for left in told) == 10_000


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["x", "y"]),
            st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR]),
            st.sampled_from([None, "r1", "r2"]),
            st.floats(0, 50),
            st.sampled_from(["nothing", "due", "all", "of_run"]),
        ),
        max_size=120,
    ),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 4)),
    st.none() | st.integers(1, 4),
)
def test_written_and_left_out_add_up_to_what_was_logged(
    events: list[tuple[str, str, int, str | None, float, str]], sample: dict[str, int], after: int | None
) -> None:
    noise, now_s = Noise(sample, after), 0.0
    logged: Counter[tuple[str, str, int, str | None]] = Counter()
    accounted: Counter[tuple[str, str, int, str | None]] = Counter()
    told = []
    for event, logger, level, run, elapsed_s, look in events:
        now_s += elapsed_s
        told += {"due": noise.due, "nothing": lambda _: [], "all": lambda _: noise.all()}.get(
            look, lambda _: noise.of_run("r1")
        )(now_s)
        logged[logger, event, level, run] += 1
        if noise.judge(Seen(logger, event, level, run, ""), now_s):
            accounted[logger, event, level, run] += 1
    for left in told + noise.all():
        accounted[left.key.logger, left.key.event, left.key.level, left.key.run_id] += left.count

    assert accounted == logged
    assert noise.all() == []
