"""What became of a write that was left in doubt: whether it is what the object is now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controlroom.errors import ConfigError, ObjectNotFoundError
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_metadata import etag_of, sha256_of, version_of, write_id_of
from controlroom.storage.conditions import require_match
from controlroom.storage.objects import Receipt

if TYPE_CHECKING:
    from controlroom.storage.protocols import AsyncObjectStore, ObjectStore
    from controlroom.storage.s3.performer import S3Performer
    from controlroom.storage.s3.performer_async import AsyncS3Performer

__all__ = ["reconciled", "reconciled_async"]

_CHUNK_BYTES = 1024 * 1024


def reconciled(store: ObjectStore, performer: S3Performer, key: str, write_id: str | None) -> Receipt | None:
    """Return the receipt of *key* if the write *write_id* made it; see `S3Store.reconcile`."""
    place, write_id = performer.place, _required(write_id)
    with performer.limited():
        try:
            answer = performer.perform(Call("HeadObject", {"Key": place.full_key(key)}))
        except ObjectNotFoundError:
            return None
        if write_id_of(answer) != write_id:
            return None
        return _receipt(place.ref(key), answer, sha256_of(answer) or _read(store, key, place.ref(key), answer))


async def reconciled_async(
    store: AsyncObjectStore, performer: AsyncS3Performer, key: str, write_id: str | None
) -> Receipt | None:
    """Return the receipt of *key* if the write *write_id* made it; see `S3Store.reconcile`."""
    place, write_id = performer.place, _required(write_id)
    with performer.limited():
        try:
            answer = await performer.perform(Call("HeadObject", {"Key": place.full_key(key)}))
        except ObjectNotFoundError:
            return None
        if write_id_of(answer) != write_id:
            return None
        sha256 = sha256_of(answer) or await _read_async(store, key, place.ref(key), answer)
        return _receipt(place.ref(key), answer, sha256)


def _required(write_id: str | None) -> str:
    """Refuse no id: what others wrote has none either, and would pass for ours."""
    if not isinstance(write_id, str) or not write_id:
        message = (
            f"reconcile(write_id={write_id!r}) is not possible: give that of a PublicationInDoubtError of this store."
        )
        raise ConfigError(message)
    return write_id


def _receipt(ref: str, answer: Mapping[str, Any], sha256: str) -> Receipt:
    return Receipt(ref, answer["ContentLength"], sha256, etag_of(answer), version_of(answer))


def _read(store: ObjectStore, key: str, ref: str, answer: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what came in parts: it was not known yet when its metadata was sent."""
    digest = hashlib.sha256()
    with store.open(key) as file:
        require_match(file.info.etag, etag_of(answer), ref)
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


async def _read_async(store: AsyncObjectStore, key: str, ref: str, answer: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    async with store.open(key) as file:
        require_match(file.info.etag, etag_of(answer), ref)
        while chunk := await file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
