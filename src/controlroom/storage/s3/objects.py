"""What a store in S3 does with objects that are there: they are read, listed, copied, moved and removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from controlroom.storage.files import ObjectReader
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import StrPath

if TYPE_CHECKING:
    from controlroom.storage.s3.performer import S3Performer

__all__ = ["S3Objects"]


class S3Objects:
    """The half of `S3Store` that is about objects that are there.

    Args:
        performer: Performs the calls.
    """

    def __init__(self, performer: S3Performer) -> None:
        from controlroom.storage.s3.moving import S3Moving  # noqa: PLC0415 - botocore is loaded by whoever opens a store
        from controlroom.storage.s3.reading import S3Reading  # noqa: PLC0415 - as above

        self._performer = performer
        self._reading = S3Reading(performer)
        self._moving = S3Moving(performer)

    def open(self, key: str) -> ObjectReader:
        """Open the object *key* for reading, as a binary file that streams.

        One request, whose answer is read as the reader asks for it; memory stays flat. `seek` asks for another stretch. Close
        it, or its connection is not given back.

        Raises:
            ObjectNotFoundError: There is no such object.
            ObjectChangedError: While reading: it was replaced or removed, and a connection was lost or `seek` called after
                that. (Where the bucket has versions, the one that was opened is read on.)
            ChecksumMismatchError: At the end, where all was read in order and the server or the writer stated a CRC-32,
                SHA-1 or SHA-256 of the whole: it is another one. The last piece is not handed out.
            StorageUnavailableError: The bytes do not come, or only trickle, as often as `retry` lets them be asked for from
                the byte reached.

        Guarantees:
            Every byte is of the version that ``.info`` describes; all of them, or an exception.
        """
        return self._reading.open(key)

    def read_bytes(self, key: str, max_bytes: int | None = None) -> bytes:
        """Return the content of the object *key*.

        What is longer than *part_size_bytes* is read in stretches of one version, several at a time. Raises and guarantees
        as `open`; and, before anything is read:

        Raises:
            ObjectNotFoundError: There is no such object.
            DataError: It is larger than *max_bytes*.
        """
        return self._reading.read_bytes(key, max_bytes)

    def download(self, key: str, to: StrPath, *, overwrite: bool = True, durable: bool = True) -> Receipt:
        """Write the object *key* to the local file *to*, as one piece.

        Read in stretches of one version, several at a time and *parallel* in memory; written in order, as `atomic_writer`
        does.

        Args:
            key: What.
            to: The file. Its folder must exist.
            overwrite: Whether an existing file is replaced.
            durable: Whether it is on the disk when the call returns.

        Returns:
            Proof: the URL, the etag and the version of the object, and the SHA-256 of what was written.

        Raises:
            ObjectNotFoundError: There is no such object, or no such folder.
            ObjectExistsError: The file exists, and *overwrite* is False.
            FileOperationError: As of `open` and of `atomic_writer`.

        Guarantees:
            After any exception, and after a crash at any point, the file is what it was.
        """
        return self._reading.download(key, to, overwrite=overwrite, durable=durable)

    def stat(self, key: str) -> ObjectInfo:
        """Describe the object *key*.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        return self._reading.stat(key)

    def exists(self, key: str) -> bool:
        """Tell whether there is an object *key*."""
        return self._reading.exists(key)

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield every object whose key begins with *prefix*, which is a text and no folder.

        In the order in which the server lists: of their UTF-8 bytes on AWS; some servers have another. What appears or
        vanishes meanwhile may be yielded or not. One page of at most 1,000 is in memory at a time; each page has the time
        of one call, the listing as a whole as much as it takes. What has no key here is left out: markers of folders
        silently, others with one warning.

        Args:
            prefix: With what keys begin.
            start_after: Go on after this key, in the order of the server: the last one that was seen.

        Raises:
            FileOperationError: The server turns in circles, or cuts the listing off.
        """
        return self._reading.list(prefix, start_after)

    def copy(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the content of *src* as *dst* too, with its metadata.

        On the server; above 5 GB in parts. Headers, storage class and encryption are kept, tags as the store was told. Size
        and checksums are compared. The SHA-256 of the receipt is the one recorded with the object; empty if there is none.

        Raises:
            ObjectNotFoundError: There is no *src*.
            ObjectExistsError: *if_absent*, and *dst* is taken. Nothing changed.
            ObjectChangedError: *src* changed meanwhile, and nothing was; or *dst* did right after it was written.
            ChecksumMismatchError: The copy is another than *src*.
            PublicationInDoubtError: The store did not answer; *dst* may be the copy.
            FileOperationError: *if_absent*, and the server ignores every form of that condition; or *src* has tags, and the
                store was told to fail then. Nothing changed.

        Guarantees:
            No upload is left unfinished, whatever fails. Not promised: access control lists and object locks of *src*.
        """
        return self._moving.copy(src, dst, if_absent=if_absent)

    def move(self, src: str, dst: str, *, if_absent: bool = False) -> Receipt:
        """Publish the object *src* as *dst*; then remove *src*, if it is still the same.

        As `copy`; then *src* is removed by its etag. (Where the bucket has versions, a delete marker hides it.) A crash
        leaves *src*, *dst* or both, each whole; moving again ends it, also with *if_absent*.

        Raises:
            ObjectNotFoundError: There is no *src*.
            ObjectExistsError: *if_absent*, and *dst* is taken, by something else than a copy of this very *src*. Nothing
                changed.
            ObjectChangedError: *src* changed, or was removed, meanwhile. It was not removed.
            PublicationInDoubtError: The store did not answer; *dst* may be the copy. *src* is there.

        Guarantees:
            *src* is removed only once *dst* was seen to be its copy. Of many who move one object to one key with
            *if_absent*, one succeeds. Not promised, where the server ignores ``If-Match`` on DeleteObject: both of
            these; *src* is then looked at directly before it is removed.
        """
        return self._moving.move(src, dst, if_absent=if_absent)

    def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove the object *key*. Without *if_match*, that there is none is no error: deleting can be repeated.

        Where the bucket has versions, a delete marker hides it.

        Raises:
            ObjectChangedError: *if_match*, and the present object is another or gone. Nothing changed.
            FileOperationError: *if_match*, and the server ignores it. Nothing changed.
        """
        self._moving.delete(key, if_match)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Remove the objects *keys*, up to 1,000 a request. That there is none is no error: deleting can be repeated.

        Args:
            keys: Which. All are checked before the first is removed.

        Raises:
            FileOperationError: Some could not be removed; `StorageAccessError` or `StorageUnavailableError` where that was
                the reason for all of them. The message names them and the reasons; all were tried.
        """
        self._moving.delete_many(keys)
