"""Times as S3 states them, in the two forms that it uses; botocore guesses, which costs more than sending the request."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.utils import parse_timestamp

__all__ = ["stated_time"]


def stated_time(value: Any) -> datetime:
    """Return the time that *value* states: as a header does (RFC 9110 §5.6.7), as XML does (RFC 3339), or as botocore knows.

    Raises:
        ValueError: It states none.
    """
    stated = _known(value) if isinstance(value, str) else None
    if stated is None or stated.tzinfo is None:
        stated = parse_timestamp(value)
    return stated


def _known(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value) if value.endswith("GMT") else datetime.fromisoformat(value)
    except ValueError:
        return None
