"""`listing` for asyncio: a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from controlroom.storage.objects import ObjectInfo
from controlroom.storage.s3.listing import Listing
from controlroom.storage.s3.performer_async import AsyncS3Performer

__all__ = ["listed_async"]


def listed_async(performer: AsyncS3Performer, prefix: str, start_after: str | None = None) -> AsyncIterator[ObjectInfo]:
    """Yield what begins with *prefix*; one page is in memory at a time."""
    return _pages(performer, Listing(performer.place, prefix, start_after))


async def _pages(performer: AsyncS3Performer, listing: Listing) -> AsyncIterator[ObjectInfo]:
    for call in listing.pages.calls():
        for info in listing.infos(await performer.perform(call)):
            yield info
