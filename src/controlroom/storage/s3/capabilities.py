"""What a server really does: found out by trying, once for each endpoint, bucket and process; never assumed.

Many servers take a condition and ignore it: 32 of 32 rivals "win". Of AWS all is known, and nothing is tried there.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from controlroom.errors import FileOperationError
from controlroom.policy.flow import drive, drive_async
from controlroom.policy.s3_probing import Capability, probing
from controlroom.storage.s3_keys import PROBES, S3Place

if TYPE_CHECKING:
    from controlroom.storage.s3.performer import S3Performer
    from controlroom.storage.s3.performer_async import AsyncS3Performer

__all__ = ["AsyncCapabilities", "Capabilities", "Capability"]

_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu")
_EXPRESS: Final = "--x-s3"  # at the end of the name of a directory bucket
_NOT_IN_EXPRESS: Final = frozenset({Capability.TAGS, Capability.VERSIONS})

_found: dict[tuple[str, str], dict[Capability, bool]] = {}


class _Placed(Protocol):
    place: S3Place


class Capabilities:
    """What the server of one store does.

    Args:
        performer: Performs the calls of the store.
    """

    def __init__(self, performer: S3Performer) -> None:
        self._performer = performer

    def has(self, capability: Capability) -> bool:
        """Tell whether the server does what *capability* says; try it, if nobody has yet.

        Raises:
            ControlRoomError: It could not be found out.
        """
        known = _known(self._performer.server(), self._performer.place)
        if capability not in known:
            known[capability] = drive(
                probing(capability, self._performer.place.bucket, _probe(self._performer)), self._performer.perform
            )
        return known[capability]

    def offers(self, name: str) -> bool:
        """Tell whether the server does what the `Capability` of this *name* says; see `has`."""
        return self.has(Capability[name])

    def require(self, capability: Capability, ref: str) -> None:
        """Refuse to go on if the server does not do what *capability* says.

        Raises:
            FileOperationError: It does not.
        """
        if not self.has(capability):
            raise _missing(capability, ref)


class AsyncCapabilities:
    """What the server of one store does; see `Capabilities`."""

    def __init__(self, performer: AsyncS3Performer) -> None:
        self._performer = performer

    async def has(self, capability: Capability) -> bool:
        """Tell whether the server does what *capability* says; try it, if nobody has yet."""
        known = _known(await self._performer.server(), self._performer.place)
        if capability not in known:
            known[capability] = await drive_async(
                probing(capability, self._performer.place.bucket, _probe(self._performer)), self._performer.perform
            )
        return known[capability]

    async def offers(self, name: str) -> bool:
        """Tell whether the server does what the `Capability` of this *name* says; see `has`."""
        return await self.has(Capability[name])

    async def require(self, capability: Capability, ref: str) -> None:
        """Refuse to go on if the server does not do what *capability* says."""
        if not await self.has(capability):
            raise _missing(capability, ref)


def _known(server: str, place: S3Place) -> dict[Capability, bool]:
    known = _found.get((server, place.bucket))
    if known is None:
        host = urlsplit(server).hostname or ""
        known = _found.setdefault((server, place.bucket), _of_aws(place.bucket) if host.endswith(_AWS) else {})
    return known


def _of_aws(bucket: str) -> dict[Capability, bool]:
    express = bucket.endswith(_EXPRESS)
    return {capability: not (express and capability in _NOT_IN_EXPRESS) for capability in Capability}


def _probe(performer: _Placed) -> str:
    """Return a name in the bucket that nobody has, below the prefix."""
    return f"{performer.place.prefix}{PROBES}{uuid.uuid4().hex}"


def _missing(capability: Capability, ref: str) -> FileOperationError:
    message = (
        f"{ref}: this server does not keep to {capability.value}: it was tried, and the promise of this call would be empty."
        " Nothing was changed. Use another server, or a call that does not need it."
    )
    return FileOperationError(message, ref=ref)
