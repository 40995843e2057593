"""Many objects published as one: all data first, under names that nobody has, then one manifest that names them.

Readers go by the manifest alone. It takes its name in one step, on a condition if need be, in any `ObjectStore`: they see
the whole batch before or the whole one after, however many objects that are, and after a crash at any point.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from controlroom import clock
from controlroom.errors import (
    ChecksumMismatchError,
    ConfigError,
    ControlRoomError,
    DataError,
    ObjectNotFoundError,
    PublicationInDoubtError,
)
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import check_key
from controlroom.storage.protocols import AsyncObjectStore, ObjectStore
from controlroom.storage.sources import AsyncSource, Source

__all__ = [
    "Manifest",
    "ManifestEntry",
    "publish_manifest",
    "publish_manifest_async",
    "read_manifest",
    "read_manifest_async",
    "sweep_manifest",
    "sweep_manifest_async",
]

_FORMAT: Final = "controlroom-manifest-1"
_DATA: Final = ".data/"
_CONTENT_TYPE: Final = "application/json"
_LONGEST_BYTES: Final = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One object of a batch.

    Attributes:
        name: What the batch calls it.
        key: Where its content is, in the same store. Nobody writes there again.
        size_bytes: Its length.
        sha256: Of its content, 64 hexadecimal digits.
    """

    name: str
    key: str
    size_bytes: int
    sha256: str

    def verified(self, content: bytes) -> bytes:
        """Return *content*, which was read from `key`, if it is what was published.

        Raises:
            ChecksumMismatchError: It is not.
        """
        actual = sha256(content).hexdigest()
        if actual != self.sha256:
            message = f"{self.key}: SHA-256 {actual} was read, {self.sha256} was published. Find out who changed it."
            raise ChecksumMismatchError(message, expected=self.sha256, actual=actual, ref=self.key)
        return content


@dataclass(frozen=True, slots=True)
class Manifest:
    """A batch that was published.

    Attributes:
        key: Of the manifest.
        etag: Of the manifest: what the next batch gives as *if_match*.
        published_at: By the clock of whoever published it, aware UTC.
        entries: Its objects, in the order in which they were published.
    """

    key: str
    etag: str
    published_at: datetime
    entries: tuple[ManifestEntry, ...] = field(repr=False)

    def __getitem__(self, name: str) -> ManifestEntry:
        """Return the entry *name*.

        Raises:
            ObjectNotFoundError: The batch has no such object.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        message = f"{self.key}: the manifest has no {name!r}. Ask for one of its {len(self.entries)} entries."
        raise ObjectNotFoundError(message, ref=self.key)


def publish_manifest(
    store: ObjectStore,
    key: str,
    sources: Mapping[str, Source] | Iterable[tuple[str, Source]],
    *,
    if_absent: bool = False,
    if_match: str | None = None,
) -> Manifest:
    """Publish *sources* as one batch under the name *key*.

    Args:
        store: Any store.
        key: Of the manifest. The data goes below ``<key>.data/``, under names that nobody else has.
        sources: Name and content of each object; pairs are taken one by one.
        if_absent: Only if there is no such manifest yet.
        if_match: Only if the present manifest still has this etag.

    Raises:
        ObjectExistsError: *if_absent*, and there is a manifest. Nothing that readers see changed.
        ObjectChangedError: *if_match*, and the present manifest is another or gone. Nothing that readers see changed.
        PublicationInDoubtError: The manifest may be visible; its data is whole.
        ConfigError: A name comes twice. Nothing that readers see changed.

    Guarantees:
        Readers who go by the manifest see all of the batch or nothing of it. On an error, data that was published already
        is removed; what a crash leaves is removed by `sweep_manifest`. The batch before keeps its data: whoever reads it
        reads on. Not promised: that data is removed when a manifest is replaced; `sweep_manifest` does that, later.
    """
    batch = _Batch(key)
    try:
        for name, source in _pairs(sources):
            batch.add(name, store.publish(batch.key_of(name), source))
        receipt = store.publish(
            key, batch.encoded(), if_absent=if_absent, if_match=if_match, content_type=_CONTENT_TYPE
        )
    except PublicationInDoubtError:
        raise
    except Exception as error:
        for each in batch.keys:
            with _noting(error, each):
                store.delete(each)
        raise
    return batch.published(receipt)


async def publish_manifest_async(
    store: AsyncObjectStore,
    key: str,
    sources: Mapping[str, AsyncSource] | Iterable[tuple[str, AsyncSource]] | AsyncIterable[tuple[str, AsyncSource]],
    *,
    if_absent: bool = False,
    if_match: str | None = None,
) -> Manifest:
    """Publish *sources* as one batch under the name *key*; see `publish_manifest`.

    A cancellation leaves data that `sweep_manifest` removes.
    """
    batch = _Batch(key)
    try:
        if isinstance(sources, AsyncIterable):
            async for name, source in sources:
                batch.add(name, await store.publish(batch.key_of(name), source))
        else:
            for name, source in _pairs(sources):
                batch.add(name, await store.publish(batch.key_of(name), source))
        receipt = await store.publish(
            key, batch.encoded(), if_absent=if_absent, if_match=if_match, content_type=_CONTENT_TYPE
        )
    except PublicationInDoubtError:
        raise
    except Exception as error:
        for each in batch.keys:
            with _noting(error, each):
                await store.delete(each)
        raise
    return batch.published(receipt)


def read_manifest(store: ObjectStore, key: str) -> Manifest:
    """Return the manifest *key*: read its objects under the keys that its entries have, and no others.

    Raises:
        ObjectNotFoundError: There is none: nothing has been published yet.
        DataError: It is no manifest.
    """
    with store.open(key) as file:
        return _decoded(key, file.info, file.read(_LONGEST_BYTES))


async def read_manifest_async(store: AsyncObjectStore, key: str) -> Manifest:
    """Return the manifest *key*; see `read_manifest`."""
    async with store.open(key) as file:
        return _decoded(key, file.info, await file.read(_LONGEST_BYTES))


def sweep_manifest(
    store: ObjectStore, key: str, *, older_than_s: float = 86400, dry_run: bool = False
) -> tuple[str, ...]:
    """Remove data below ``<key>.data/`` that the present manifest does not name: of batches that failed or were replaced.

    Args:
        store: Where the manifest is.
        key: Of the manifest.
        older_than_s: How old data must be: a batch under way, and whoever reads the batch before, has that long.
        dry_run: Remove nothing; only tell what would be.

    Returns:
        The keys of what was removed.

    Raises:
        DataError: What has the name *key* is no manifest. Nothing was removed.
    """
    try:
        present = read_manifest(store, key)
    except ObjectNotFoundError:
        present = None
    is_stale = _stale(present, older_than_s)
    # The manifest first: what it does not name and is that old was not published between the two looks.
    unnamed = tuple(info.key for info in store.list(f"{key}{_DATA}") if is_stale(info))
    for each in unnamed:
        if not dry_run:
            store.delete(each)
    return unnamed


async def sweep_manifest_async(
    store: AsyncObjectStore, key: str, *, older_than_s: float = 86400, dry_run: bool = False
) -> tuple[str, ...]:
    """Remove data below ``<key>.data/`` that the present manifest does not name; see `sweep_manifest`."""
    try:
        present = await read_manifest_async(store, key)
    except ObjectNotFoundError:
        present = None
    is_stale = _stale(present, older_than_s)
    found = [info async for info in store.list(f"{key}{_DATA}")]
    unnamed = tuple(info.key for info in found if is_stale(info))
    for each in unnamed:
        if not dry_run:
            await store.delete(each)
    return unnamed


def _stale(present: Manifest | None, older_than_s: float) -> Callable[[ObjectInfo], bool]:
    """Return what tells data that the manifest does not name, and that is so old."""
    named = frozenset(() if present is None else (entry.key for entry in present.entries))
    before = clock.utcnow() - timedelta(seconds=older_than_s)
    return lambda info: info.modified_at <= before and info.key not in named


def _pairs(sources: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    return sources.items() if isinstance(sources, Mapping) else sources


class _Batch:
    """What has been published of a batch so far."""

    def __init__(self, key: str) -> None:
        self._key = check_key(key)
        self._folder = f"{key}{_DATA}{uuid.uuid4().hex}/"
        self._entries: dict[str, ManifestEntry] = {}
        self._published_at = clock.utcnow()

    def key_of(self, name: str) -> str:
        """Return where the content of *name* goes."""
        if name in self._entries:
            message = (
                f"{self._key}: {name!r} comes twice in one batch. Nothing was published. Give each a name of its own."
            )
            raise ConfigError(message)
        return f"{self._folder}{check_key(name)}"

    def add(self, name: str, receipt: Receipt) -> None:
        """Take down that the content of *name* is published."""
        self._entries[name] = ManifestEntry(name, self.key_of(name), receipt.size_bytes, receipt.sha256)

    @property
    def keys(self) -> list[str]:
        """Of the data so far."""
        return [entry.key for entry in self._entries.values()]

    def encoded(self) -> bytes:
        """Return the manifest as it is stored."""
        self._published_at = clock.utcnow()
        entries = [asdict(entry) for entry in self._entries.values()]
        stored = {"format": _FORMAT, "published_at": self._published_at.isoformat(), "entries": entries}
        return json.dumps(stored).encode()

    def published(self, receipt: Receipt) -> Manifest:
        """Return the batch as it is now."""
        return Manifest(self._key, receipt.etag, self._published_at, tuple(self._entries.values()))


@contextmanager
def _noting(error: Exception, key: str) -> Iterator[None]:
    """Put in order what can be: that one removal fails does not keep the others from being tried."""
    try:
        yield
    except ControlRoomError as undo:
        error.add_note(f"{key} could not be removed ({undo}): sweep_manifest() will.")


def _decoded(key: str, info: ObjectInfo, content: bytes) -> Manifest:
    try:
        stored = json.loads(content)
        if stored["format"] != _FORMAT:
            raise ValueError(stored["format"])  # noqa: TRY301 - one way out for all that is no manifest
        entries = tuple(ManifestEntry(**entry) for entry in stored["entries"])
        return Manifest(key, info.etag, datetime.fromisoformat(stored["published_at"]), entries)
    except (ValueError, KeyError, TypeError) as error:
        message = (
            f"{key}: this is no manifest of a batch ({error!r}). Nothing was changed. Correct the key, or remove it."
        )
        raise DataError(message) from error
