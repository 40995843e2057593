"""What every walk over a list that somebody else serves has to hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from controlroom.http import Endpoint
from tests.integration.http_colours import walk


def require_all(colour: str, url: str, endpoint: Endpoint[Any], expected: Sequence[Any]) -> None:
    """Whole; with pages loading ahead; and in two halves, the second from a checkpoint that was put down as JSON."""
    whole = walk(colour, url, endpoint)
    assert whole.error is None
    assert whole.records == expected
    assert len(whole.pages) > 3

    ahead = walk(colour, url, endpoint, prefetch=2)
    assert (ahead.error, ahead.records) == (None, expected)

    half = walk(colour, url, endpoint, take=2)
    kept = json.loads(json.dumps(half.pages[-1].checkpoint))
    rest = walk(colour, url, endpoint, resume=kept)
    assert (rest.error, half.records + rest.records) == (None, expected)
    assert rest.pages[0].number == 3

    resumed_ahead = walk(colour, url, endpoint, resume=kept, prefetch=2)
    assert resumed_ahead.records == rest.records
