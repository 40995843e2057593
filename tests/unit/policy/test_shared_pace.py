"""The text of a shared rate limit: what it says after a reboot, a clock set back, or a disk that lied."""

from __future__ import annotations

import math
import zlib

import pytest

from controlroom.policy.rate_limit import LONGEST_HOLD_S, RateLimit
from controlroom.policy.shared_pace import hold, read_state, take

LIMIT = RateLimit(10)
EPOCH = "this run of the machine"


def after(text: str | None, now_s: float, limit: RateLimit = LIMIT, epoch: str = EPOCH) -> tuple[str, float]:
    found, wait_s = take(limit, text, now_s, epoch, math.inf)
    assert found is not None
    return found, round(wait_s, 6)


def test_one_text_carries_the_count_from_process_to_process() -> None:
    text, waits = None, []
    for _ in range(4):
        text, wait_s = after(text, 100.0)
        waits.append(wait_s)

    assert waits == [0.0, 0.1, 0.2, 0.3]


def test_a_wait_that_does_not_fit_changes_nothing() -> None:
    text, _ = after(None, 100.0)

    assert take(LIMIT, text, 100.0, EPOCH, 0.05) == (None, pytest.approx(0.1))


@pytest.mark.parametrize("text", [None, "", "   \n"])
def test_an_empty_place_is_a_new_count(text: str | None) -> None:
    assert after(text, 100.0)[1] == 0.0


def test_instants_of_before_a_reboot_mean_nothing() -> None:
    text = hold(LIMIT, None, 1_000_000.0, "the run before", 3600.0)

    assert after(text, 5.0)[1] == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "controlroom-rate-limit-1 00000000 {}",
        "controlroom-rate-limit-1",
        after(None, 100.0)[0][:-3],
        after(None, 100.0)[0].replace("100.1", "900.1"),
        after(None, 100.0)[0].replace("100.0", "NaN"),
        "\x00" * 256,
        "[" * 100_000,
    ],
)
def test_a_text_that_cannot_be_read_counts_as_if_the_burst_had_just_left(text: str) -> None:
    limit = RateLimit(10, burst=3)

    assert [round(read_state(limit, text, 50.0, EPOCH), 6), after(text, 50.0, limit)[1]] == [50.3, 0.1]


@pytest.mark.parametrize(
    "facts", ['{"free_at_s": Infinity, "written_at_s": 1, "epoch": "e"}', "[]", '{"epoch": 1}', "{"]
)
def test_facts_that_are_none_do_not_get_by_with_a_right_checksum(facts: str) -> None:
    text = f"controlroom-rate-limit-1 {zlib.crc32(facts.encode()):08x} {facts}"

    assert after(text, 50.0, epoch="e")[1] == pytest.approx(0.1)


def test_a_clock_that_was_set_back_delays_nobody_by_more_than_was_left() -> None:
    text, _ = after(None, 10_000.0)
    text, _ = after(text, 10_000.0)  # the next place is 0.2 s away

    assert after(text, 6_400.0)[1] == 0.2  # an hour earlier


def test_a_hold_reaches_everybody_and_is_asked_about_again_after_a_day() -> None:
    assert after(hold(LIMIT, None, 100.0, EPOCH, 30.0), 100.0)[1] == 30.0
    assert after(hold(LIMIT, None, 100.0, EPOCH, 1e9), 100.0)[1] == LONGEST_HOLD_S


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    text = hold(LIMIT, hold(LIMIT, None, 100.0, EPOCH, 30.0), 100.0, EPOCH, 5.0)

    assert after(text, 100.0)[1] == 30.0


def test_a_text_fits_a_block_that_is_written_at_once() -> None:
    text = hold(RateLimit(3, per_s=math.pi), None, 1234567890.1234567, "0" * 36, math.pi * 1e4)

    assert len(text.encode()) < 256
