from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlroom.http.messages import Headers
from controlroom.http.retry_after import LONGEST_S, http_date, retry_after_s

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SENT = "Sun, 06 Nov 1994 08:49:30 GMT"


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_all_three_date_formats_are_read_against_the_servers_own_clock(text: str) -> None:
    """Our clock says 2030; by it, the date would be 35 years past and the wait forgotten."""
    assert retry_after_s(Headers({"Retry-After": text, "Date": SENT}), NOW) == 7.0


def test_without_a_date_header_our_clock_has_to_do() -> None:
    until = (NOW + timedelta(seconds=9)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    assert retry_after_s(Headers({"Retry-After": until}), NOW) == 9.0
    assert retry_after_s(Headers({"Retry-After": until, "Date": "yesterday"}), NOW) == 9.0


def test_a_wait_of_days_is_not_cut_to_its_seconds() -> None:
    headers = Headers({"Retry-After": "Tue, 08 Nov 1994 08:49:37 GMT", "Date": SENT})

    assert retry_after_s(headers, NOW) == 2 * 86_400 + 7


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("5", 5.0), (" 120 ", 120.0), ("1.5", 1.5), ("5, 7 ,6", 7.0)]
)
def test_seconds_are_read(text: str, seconds: float) -> None:
    assert retry_after_s(Headers({"Retry-After": text}), NOW) == seconds


@pytest.mark.parametrize("text", ["9" * 12, "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_absurd_wait_stays_long_and_finite(text: str) -> None:
    assert retry_after_s(Headers({"Retry-After": text}), NOW) == LONGEST_S


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-5",
        "5 minutes",
        "1e3",
        "inf",
        "nan",
        "\u0665",
        "0x10",
        "Sun, 06 Nov 1994",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
    ],
)
def test_garbage_is_ignored_so_that_the_backoff_decides(text: str) -> None:
    assert retry_after_s(Headers({"Retry-After": text, "Date": SENT}), NOW) is None


def test_a_date_that_is_past_asks_for_nothing() -> None:
    assert retry_after_s(Headers({"Retry-After": "Sat, 05 Nov 1994 08:49:37 GMT", "Date": SENT}), NOW) is None


def test_no_header_is_no_wish() -> None:
    assert retry_after_s(Headers(), NOW) is None


def test_a_date_is_an_aware_instant() -> None:
    assert http_date("Sun Nov  6 08:49:37 1994") == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
