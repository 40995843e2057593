"""Objects of S3 are listed: a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controlroom.logs import get_logger
from controlroom.policy.s3_listing import Pages
from controlroom.policy.s3_metadata import etag_of
from controlroom.storage.objects import ObjectInfo
from controlroom.storage.s3.metadata import utc
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3_keys import PROBES, S3Place

__all__ = ["Listing", "listed"]

_log = get_logger(__name__)


class Listing:
    """A listing, colourless: which pages to ask for, and what is on them.

    Args:
        place: Bucket and prefix.
        prefix: With what keys begin.
        start_after: Only what the server lists after this key; None for everything.

    Raises:
        UnsafePathError: No key can begin with *prefix*, or be *start_after*.
    """

    def __init__(self, place: S3Place, prefix: str, start_after: str | None = None) -> None:
        self._place = place
        self._has_warned = False
        after = None if start_after is None else place.full_key(start_after)
        self.pages: Pages = Pages(place.full_prefix(prefix), place.url, after)

    def infos(self, answer: Mapping[str, Any]) -> list[ObjectInfo]:
        """Describe the objects on a page. What has no key is left out: markers of folders silently, others with a warning."""
        entries: Sequence[Mapping[str, Any]] = self.pages.objects(answer)
        found = []
        for entry in entries:
            full = entry["Key"]
            key = self._place.key_of(full)
            if key is not None:
                found.append(
                    ObjectInfo(key, int(entry.get("Size") or 0), utc(entry.get("LastModified")), etag_of(entry))
                )
            elif not full.endswith("/") and not full.startswith(self._place.prefix + PROBES) and not self._has_warned:
                self._has_warned = True
                _log.warning("entry_skipped", key=ascii(full), reason="its name cannot be a key")
        return found


def listed(performer: S3Performer, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
    """Yield what begins with *prefix*; one page is in memory at a time."""
    listing = Listing(performer.place, prefix, start_after)
    return _pages(performer, listing)


def _pages(performer: S3Performer, listing: Listing) -> Iterator[ObjectInfo]:
    for call in listing.pages.calls():
        yield from listing.infos(performer.perform(call))
