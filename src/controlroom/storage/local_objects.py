"""Files below a root as objects, colourless: what `LocalStore` and `AsyncLocalStore` have in common."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from controlroom.errors import PublicationInDoubtError
from controlroom.logs import get_logger
from controlroom.policy.durability import Durability, durability, syncs_names
from controlroom.storage.attributes import check_metadata, read_metadata
from controlroom.storage.classify import translating
from controlroom.storage.conditions import check_limit, not_found, require_match, require_one_condition, require_time
from controlroom.storage.files import ObjectReader, open_regular
from controlroom.storage.listing import info_of, listed
from controlroom.storage.moving import MovePlan, ObjectMover
from controlroom.storage.object_publisher import ObjectPublisher
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import KeyRoot, StrPath, check_key, check_prefix
from controlroom.storage.publisher import etag_of
from controlroom.storage.settled import check_quiet, is_settled, published
from controlroom.storage.sources import Octets, chunks_of
from controlroom.storage.staging import Folder, make_folders

__all__ = ["LocalObjects"]

_log = get_logger(__name__)


class LocalObjects:
    """Finds, reads and removes objects, and makes the performers that publish and move them.

    Args:
        root: The folder.
        durable: What to wait for.
        create: Whether to make *root*, if there is none.
    """

    def __init__(self, root: StrPath, *, durable: bool | Durability, create: bool) -> None:
        self.root: KeyRoot = KeyRoot(root)
        self.durable: Durability = durability(durable)
        self._syncs_names = syncs_names(self.durable)
        with translating(str(self.root.path), "opening the store"):
            if create:
                make_folders(Path(self.root.path.anchor), self.root.path, durable=self._syncs_names)
            with os.scandir(self.root.path):  # it is there, a folder, and readable: said now, not at the first object
                pass

    def ref(self, key: str) -> str:
        """Return what errors call the object *key*."""
        return str(self.root.path / key)

    def publisher(
        self,
        key: str,
        chunks: Iterator[Octets] | None = None,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectPublisher:
        """Make what performs the publication of *key*; touches nothing."""
        require_one_condition(if_absent=if_absent, if_match=if_match)
        check_key(key)
        return ObjectPublisher(
            self.ref(key),
            partial(self.root.content, key),
            self._open_folder,
            chunks=chunks,
            overwrite=not if_absent,
            held=check_metadata(metadata, content_type),
        )

    def copier(self, src: str, dst: str, *, if_absent: bool = False) -> ObjectPublisher:
        """Make what performs the publication of *dst* with the content and the metadata of *src*.

        Raises:
            ObjectNotFoundError: There is no *src*.
        """
        reader = self.open(src)
        info = reader.info
        try:
            return self.publisher(
                dst,
                _Chunks(reader),
                if_absent=if_absent,
                metadata=info.metadata,
                content_type=info.content_type,
            )
        except BaseException:
            reader.close()
            raise

    def mover(self, src: str, dst: str, *, if_absent: bool) -> ObjectMover:
        """Make what performs the move of *src* to *dst*; touches nothing."""
        for key in (src, dst):
            check_key(key)
        return ObjectMover(
            MovePlan(
                ref=self.ref(src),
                target_ref=self.ref(dst),
                name=partial(self.root.name, src),
                content=partial(self.root.content, src),
                target=partial(self.root.content, dst),
                open_folder=self._open_folder,
                copying=partial(self.copier, src, dst, if_absent=if_absent),
            )
        )

    def receipt(self, key: str, performed: ObjectPublisher | ObjectMover, etag: str) -> Receipt:
        """Prove a publication, and tell the log."""
        ref = (self.root.path / key).as_uri()
        sha256 = performed.sha256
        published(etag)
        _log.debug("file_published", ref=ref, size_bytes=performed.size_bytes, sha256=sha256, durability=self.durable)
        return Receipt(ref, performed.size_bytes, sha256, etag, durability=self.durable)

    def open(self, key: str) -> ObjectReader:
        """Open *key* for watched reading."""
        with translating(self.ref(key), "opening"):
            raw = open_regular(self.root.content(key), self.ref(key))
            try:
                info = self._described(key, raw.opened, raw.fileno())
            except BaseException:
                raw.close()
                raise
        return ObjectReader(raw, info)

    def read_bytes(self, key: str, max_bytes: int | None) -> bytes:
        """Read *key* whole."""
        check_limit(self.ref(check_key(key)), 0, max_bytes)
        with self.open(key) as reader:
            check_limit(self.ref(key), reader.info.size_bytes, max_bytes)
            return reader.read()

    def stat(self, key: str) -> ObjectInfo:
        """Describe *key*."""
        path = self.root.content(key)
        with translating(self.ref(key), "looking it up"):
            found = _regular(path)
            while found is not None:
                info = self._described(key, found, path)
                again = _regular(path)
                if again is None or etag_of(again) == info.etag:
                    return info  # or it was replaced between the two looks, and its metadata may be another's
                found = again
        raise not_found(self.ref(key))

    def exists(self, key: str) -> bool:
        """Tell whether there is *key*."""
        path = self.root.content(key)
        with translating(self.ref(key), "looking it up"):
            return _regular(path) is not None

    def is_settled(self, key: str, quiet_s: float) -> bool:
        """Tell whether nobody is writing *key*; also where it is gone."""
        check_quiet(quiet_s)
        path = self.root.content(key)
        with translating(self.ref(key), "asking whether somebody writes it"):
            try:
                return is_settled(path, quiet_s)
            except (FileNotFoundError, NotADirectoryError):
                return True

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield what begins with *prefix*."""
        return listed(self.root, check_prefix(prefix))

    def delete(self, key: str, if_match: str | None) -> None:
        """Remove *key*."""
        require_time(f"deleting {self.ref(check_key(key))}")
        path = self.root.name(key)
        with translating(self.ref(key), "deleting"):
            try:
                folder = Folder(path.parent)
            except (FileNotFoundError, NotADirectoryError):
                if if_match is not None:
                    require_match(None, if_match, self.ref(key))
                return
            with folder:
                removed = self._unlink(folder, path.name, if_match, self.ref(key))
                if removed and self._syncs_names:
                    self._sync_removal(folder, self.ref(key))

    def _unlink(self, folder: Folder, name: str, if_match: str | None, ref: str) -> bool:
        with folder.locked(required=if_match is not None):
            own, content = folder.look(name), _regular(folder.path / name, follow=True)
            if if_match is not None:
                require_match(None if content is None else etag_of(content), if_match, ref)
            if own is None or not (stat.S_ISLNK(own.st_mode) or stat.S_ISREG(own.st_mode)):
                return False  # a folder or a device is no object
            folder.remove(name)
            return True

    def _sync_removal(self, folder: Folder, ref: str) -> None:
        try:
            folder.sync()
        except OSError as error:
            message = (
                f"{ref}: it is gone, but its folder could not be synced: a power cut may bring it back. Check the disk; then"
                " look whether it is there before going on."
            )
            raise PublicationInDoubtError(message, ref=ref) from error

    def _open_folder(self, path: Path) -> Folder:
        make_folders(self.root.path, path, durable=self._syncs_names)
        return Folder(path)

    def _described(self, key: str, found: os.stat_result, target: Path | int) -> ObjectInfo:
        metadata, content_type = read_metadata(target)
        return replace(info_of(key, found), content_type=content_type, metadata=metadata)


class _Chunks:
    """What an open reader gives. Not a generator: one that was never begun does not close what it was given."""

    def __init__(self, reader: ObjectReader) -> None:
        self.close = reader.close
        self._chunks = chunks_of(reader)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Octets:
        return next(self._chunks)


def _regular(path: Path, *, follow: bool = False) -> os.stat_result | None:
    """Return what stat(2) says of a regular file; None for anything else, or nothing."""
    try:
        found = path.stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None
