"""A folder of this machine as an object store. Sync is the truth; `local_async` drives the same flows, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from controlroom.policy.durability import Durability
from controlroom.policy.flow import drive
from controlroom.policy.publication import discard, move, publish, put, stage
from controlroom.storage.files import ObjectReader, ObjectSink, ObjectWriter
from controlroom.storage.local_objects import LocalObjects
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import StrPath
from controlroom.storage.sources import Source, check_source, chunks_of

__all__ = ["LocalStore"]


class LocalStore:
    """An `ObjectStore` in a folder: the key ``a/b.csv`` is the file ``a/b.csv`` below *root*.

    Args:
        root: The folder.
        durable: Whether what a call did is on the disk when it returns; as in `atomic_writer`.
        create: Whether to make *root*, if there is none; if not, that is an error.

    Raises:
        ObjectNotFoundError: There is no *root*, and *create* is False.
        StorageAccessError: It cannot be made or read.
        UnsafePathError: It is no folder.

    Guarantees:
        What `ObjectStore` promises. A key cannot leave the root, not through symbolic links either. Staged files are
        invisible; one left by a kill is swept by the next writer in that folder. Files that other programs put there are
        objects too. Comparing with ``if_match`` and changing a name are one step among all stores on this folder, also in
        other processes (flock(2) on the folder). Metadata and content type are kept in extended attributes, and refused
        with `ConfigError` where the filesystem has none.

        Not promised: exclusion of programs that write without a store. A key and another below it (``a`` and ``a/b``):
        a name is a file or a folder; the second one raises `UnsafePathError`. What an etag cannot tell apart: a change in
        place that keeps the size within one tick of the filesystem's clock (some milliseconds), and an object deleted
        and made again within one such tick.
    """

    def __init__(self, root: StrPath, *, durable: bool | Durability = True, create: bool = True) -> None:
        self._objects = LocalObjects(root, durable=durable, create=create)

    @property
    def url(self) -> str:
        """Where the store is, as a URL; the same in both colours."""
        return self._objects.root.path.as_uri()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._objects.root.path)!r})"

    def publish(
        self,
        key: str,
        source: Source,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> Receipt:
        """Make the bytes of *source* the object *key*, as one piece.

        Args, Raises and Guarantees are those of `ObjectStore.publish`. Also raises `StorageFullError`,
        `StorageAccessError` and `FileOperationError`, as `atomic_writer` does.
        """
        check_source(source)
        with self._objects.publisher(
            key,
            chunks_of(source),
            if_absent=if_absent,
            if_match=if_match,
            metadata=metadata,
            content_type=content_type,
        ) as publisher:
            flow = put(publisher.ref, if_absent=if_absent, durable=self._objects.durable, if_match=if_match)
            return self._objects.receipt(key, publisher, drive(flow, publisher.perform))

    @contextmanager
    def writer(
        self,
        key: str,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> Iterator[ObjectWriter]:
        """Write the object *key* piece by piece: published when the block ends, forgotten when it raises.

        Arguments, errors and guarantees are those of `publish`; ``.receipt`` of the file is its proof, and
        ``.discard()`` leaves the object as it was.
        """
        with self._objects.publisher(
            key, if_absent=if_absent, if_match=if_match, metadata=metadata, content_type=content_type
        ) as publisher:
            drive(stage(), publisher.perform)
            file = ObjectWriter(ObjectSink(publisher.ref, publisher.append_some))
            try:
                yield file
                file.close()
            except BaseException:
                file.discard()
                drive(discard(), publisher.perform)
                raise
            if file.discarded:
                drive(discard(), publisher.perform)
                return
            flow = publish(publisher.ref, if_absent=if_absent, durable=self._objects.durable, if_match=if_match)
            file.receipt = self._objects.receipt(key, publisher, drive(flow, publisher.perform))

    def open(self, key: str) -> ObjectReader:
        """Open the object *key* for reading, as a binary file that streams.

        Raises:
            ObjectNotFoundError: There is no such object.
            ObjectChangedError: While reading: the file changed in place or was cut short.
        """
        return self._objects.open(key)

    def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the object *key*.

        Raises:
            ObjectNotFoundError: There is no such object.
            DataError: It is larger than *max_bytes*.
        """
        return self._objects.read_bytes(key, max_bytes)

    def stat(self, key: str) -> ObjectInfo:
        """Describe the object *key*.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        return self._objects.stat(key)

    def exists(self, key: str) -> bool:
        """Tell whether there is an object *key*."""
        return self._objects.exists(key)

    def is_settled(self, key: str, quiet_s: float = 2.0) -> bool:
        """Tell whether nobody is writing the file of *key* any more, or there is none. An inbox takes no file before.

        Args:
            key: Its name.
            quiet_s: Where the kernel cannot tell: for how long the file must have stayed unchanged.

        Guarantees:
            On Linux, on a local filesystem, for files of this user or as root: no process of this machine has it open for
            writing (a lease of fcntl(2)). What a store publishes is whole at every moment and needs no asking.

            Not promised: that a writer who closes a file in between will not open it again; what other machines write over
            NFS or SMB. Let those write under another name, or elsewhere, and rename.
        """
        return self._objects.is_settled(key, quiet_s)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with *prefix*, which is a text and no folder.

        In the order of their UTF-8 bytes. What appears or vanishes meanwhile may be yielded or not. The names of one
        folder a level are in memory at a time. A name that is not UTF-8 is no key and is skipped with a warning.
        """
        return self._objects.list(prefix)

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the content of *src* as *dst* too, with its metadata.

        Raises:
            ObjectNotFoundError: There is no *src*.
            ObjectExistsError: *if_absent*, and *dst* is taken. Nothing changed.
            ObjectChangedError: *src* changed in place meanwhile. Nothing changed.
        """
        with self._objects.copier(src, dst, if_absent=if_absent) as publisher:
            flow = put(publisher.ref, if_absent=if_absent, durable=self._objects.durable)
            return self._objects.receipt(dst, publisher, drive(flow, publisher.perform))

    def move(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the object *src* as *dst*; then remove *src*, if it is still the same.

        By rename(2) or link(2); by a copy where *dst* is on another filesystem. A crash leaves *src*, *dst* or both, each
        whole; moving again ends it.

        Raises:
            ObjectNotFoundError: There is no *src*.
            ObjectExistsError: *if_absent*, and *dst* is taken. Nothing changed.
            ObjectChangedError: *src* changed meanwhile. It was not removed.
        """
        with self._objects.mover(src, dst, if_absent=if_absent) as mover:
            flow = move(self._objects.ref(dst), if_absent=if_absent, durable=self._objects.durable)
            return self._objects.receipt(dst, mover, drive(flow, mover.perform))

    def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove the object *key*. Without *if_match*, that there is none is no error: deleting can be repeated.

        Folders that this leaves empty stay; listings do not show them.

        Raises:
            ObjectChangedError: *if_match*, and the present object is another or gone. Nothing changed.
            PublicationInDoubtError: It is gone, but syncing its folder failed: a power cut may bring it back.
        """
        self._objects.delete(key, if_match)

    def close(self) -> None:
        """Let go of connections. Also at the end of ``with store:``. A local store has none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
