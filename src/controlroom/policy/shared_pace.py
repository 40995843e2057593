"""The state of a rate limit as a text that processes hand to each other: what it says, and what becomes of it.

A text is one line: a name, a checksum, and three facts as JSON: until when places are taken, when that was written, and
by which clock. Instants of another clock (of a machine that was started anew, say) mean nothing and are forgotten. One
that was written in the future tells that the clock was set back since: the distance still holds.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import Final

from controlroom.policy.quantities import is_finite
from controlroom.policy.rate_limit import LONGEST_HOLD_S, RateLimit

__all__ = ["hold", "read_state", "take"]

_NAME: Final = "controlroom-rate-limit-1"


def take(
    limit: RateLimit, text: str | None, now_s: float, epoch: str, longest_wait_s: float
) -> tuple[str | None, float]:
    """Return what becomes of *text* as a place is taken (None: nothing, there is no time), and the wait for it, seconds.

    Args:
        limit: Whose place.
        text: What was written last; None or empty at first.
        now_s: The present instant …
        epoch: … of this clock.
        longest_wait_s: What there is time for.
    """
    free_at_s, wait_s = limit.reserved(read_state(limit, text, now_s, epoch), now_s, longest_wait_s)
    return (_written(free_at_s, now_s, epoch) if wait_s <= longest_wait_s else None), wait_s


def hold(limit: RateLimit, text: str | None, now_s: float, epoch: str, for_s: float) -> str:
    """Return what becomes of *text* as nothing may leave for *for_s* seconds, or a day; see `take`."""
    until_s = now_s + min(for_s, LONGEST_HOLD_S)
    return _written(limit.held(read_state(limit, text, now_s, epoch), until_s), now_s, epoch)


def read_state(limit: RateLimit, text: str | None, now_s: float, epoch: str) -> float:
    """Return the state that *text* tells (see `RateLimit.reserved`), in instants of the clock at *now_s*."""
    if not text or not text.strip():
        return -math.inf
    facts = _facts(text)
    if facts is None:  # it was a count: as if its whole burst had left just now, for that is the most that may have
        return now_s + limit.per_s / limit.requests * limit.burst
    free_at_s, written_at_s, of_epoch = facts
    if of_epoch != epoch:
        return -math.inf
    return free_at_s - max(0.0, written_at_s - now_s)


def _written(free_at_s: float, now_s: float, epoch: str) -> str:
    facts = json.dumps({"free_at_s": free_at_s, "written_at_s": now_s, "epoch": epoch})
    return f"{_NAME} {zlib.crc32(facts.encode()):08x} {facts}"


def _facts(text: str) -> tuple[float, float, str] | None:
    name, _, rest = text.strip().partition(" ")
    checksum, _, facts = rest.partition(" ")
    if name != _NAME or checksum != f"{zlib.crc32(facts.encode()):08x}":
        return None
    try:
        found = json.loads(facts)
        free_at_s, written_at_s, epoch = found["free_at_s"], found["written_at_s"], found["epoch"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not is_finite(free_at_s) or not is_finite(written_at_s) or not isinstance(epoch, str):
        return None
    return free_at_s, written_at_s, epoch
