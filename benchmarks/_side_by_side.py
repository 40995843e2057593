"""Time contenders in turn, A B A B …, so that a noisy machine is noisy for all of them; print ratios to the first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["compare"]

Contender = Callable[[], object]


def compare(
    title: str,
    contenders: Mapping[str, Contender],
    *,
    rounds: int = 9,
    clock: str = "cpu",
    before: Contender = lambda: None,
) -> None:
    """Run each contender once a round and print the median of its ratios to the first one, with the spread.

    Args:
        title: What work they all do.
        contenders: Name → the work; the first is the limit or the peer that the others are measured against.
        rounds: Rounds that count; one more is run first, to warm up.
        clock: "cpu" for processor time of this process, "wall" where waiting is the work; the ratios of processor time stand beside it.
        before: Done before each of them, uncounted.
    """
    now = {"cpu": time.process_time, "wall": time.perf_counter}[clock]
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for counted in range(-1, rounds):
        for name, work in contenders.items():
            before()
            cpu_began, began = time.process_time(), now()
            work()
            if counted >= 0:
                seconds[name].append(now() - began)
                cpu_seconds[name].append(time.process_time() - cpu_began)
    first = next(iter(contenders))
    print(f"{title} ({clock}, median of {rounds} rounds)")
    for name, times in seconds.items():
        ratios = _ratios(times, seconds[first])
        cpu = (
            f"; cpu {statistics.median(_ratios(cpu_seconds[name], cpu_seconds[first])):.2f}" if clock == "wall" else ""
        )
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(
            f"  {name:40} {statistics.median(ratios):5.2f}   ({spread}; {statistics.median(times) * 1e3:.1f} ms; best of each: {min(times) / min(seconds[first]):.2f}{cpu})"
        )


def _ratios(times: list[float], limits: list[float]) -> list[float]:
    return [one / limit for one, limit in zip(times, limits, strict=True)]
