"""When to come back: the Retry-After header in its two forms (RFC 9110 §10.2.3), or else the reset of a limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from controlroom.policy.quota import quotas_in
from controlroom.policy.rate_limit import used_up_for

__all__ = ["http_date", "reset_after_s", "retry_after_s"]

LONGEST_S: Final = 10.0**9  # thirty years: beyond that, more digits say nothing new

_SECONDS = re.compile(r"\d+(?:\.\d+)?(?:\s*,\s*\d+(?:\.\d+)?)*", re.ASCII)  # a proxy may add a field of its own
_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d\d:\d\d:\d\d", re.ASCII)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that the server asked to wait, from 0 to `LONGEST_S`; None where it did not, or not readably.

    A date is measured against the answer's own Date header: the two clocks may differ, its own do not. A date that is
    past asks for nothing.

    Args:
        headers: Of the answer; look-up ignores case.
        now: Our clock, for an answer without a Date.
    """
    asked = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(asked):
        return min(max(map(float, asked.split(","))), LONGEST_S)
    until = http_date(asked)
    if until is None:
        return None
    sent_at = http_date(headers.get("date", "")) or now
    return min((until - sent_at).total_seconds(), LONGEST_S) if until > sent_at else None


def reset_after_s(headers: Mapping[str, str], now: Callable[[], datetime]) -> float:
    """Return for how many seconds the limits that an answer states are used up; 0.0 where they are not.

    Args:
        headers: Of the answer; look-up ignores case.
        now: Our clock, for an answer without a Date.
    """
    quotas = quotas_in(headers, lambda: http_date(headers.get("date", "")) or now())
    return min(used_up_for(quotas), LONGEST_S) if quotas else 0.0


def http_date(text: str) -> datetime | None:
    """Return the instant that *text* names in one of HTTP's three formats (RFC 9110 §5.6.7), or None."""
    text = text.strip()
    if not _DATE.match(text):
        return None
    try:
        instant = parsedate_to_datetime(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
