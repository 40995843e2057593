"""A bucket, or a prefix in it, as an object store. `store_async` drives the same flows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Self

from controlroom.retrying import RetryPolicy
from controlroom.storage.files import ObjectWriter
from controlroom.storage.objects import Receipt
from controlroom.storage.paths import StrPath
from controlroom.storage.s3.janitor import StaleUploads, abort_stale_uploads
from controlroom.storage.s3.objects import S3Objects
from controlroom.storage.s3.options import Addressing, Checksums, S3Encryption, S3Options, S3Timeouts, Tags
from controlroom.storage.s3.reconciling import reconciled
from controlroom.storage.s3.writing import publish_object, writing_object
from controlroom.storage.s3_keys import S3Place
from controlroom.storage.sources import Source

__all__ = ["S3Store"]


class S3Store(S3Objects):
    """An `ObjectStore` in a bucket of S3, or of a server that speaks its protocol: the key ``a/b.csv`` lies at *prefix*``/a/b.csv``.

    What is not given comes from where ``aws configure`` and the AWS command line have it: environment, ``~/.aws``, the role
    of a container or an instance. Nothing is asked for before the first call.

    Args:
        bucket: Its name, or the ARN or alias of an access point.
        prefix: Keys lie below it, with a ``/`` between.
        endpoint_url: Of a server that is not AWS.
        region: Where the bucket is. A bucket that turns out to be in another region of AWS is followed there, once.
        profile: Which section of ``~/.aws/config`` to use.
        access_key_id: With *secret_access_key*: these credentials and no others.
        secret_access_key: As above.
        session_token: Of temporary credentials.
        role_arn: A role to assume, with the credentials above; it is assumed anew before its credentials expire.
        anonymous: Sign nothing: for public buckets.
        addressing: Whether the bucket stands in the ``"path"`` of URLs or in the host (``"virtual"``); ``"auto"`` does as
            botocore does.
        requester_pays: Agree to pay for requests to somebody else's bucket.
        encryption: Of what is written; as the bucket says when not given.
        tags: What becomes of tags where an object is copied or moved: ``"copy"`` them, ``"drop"`` them, or ``"fail"``.
        timeouts: How long things may take.
        retry: What is tried again, and how often.
        part_size_bytes: Objects above it are sent in parts of at least this size.
        parallel: How many requests of one operation are under way at once.
        verify: Whether the certificate of the server is checked; or a file of certificates, in PEM, to check it against.
        checksums: What botocore adds of its own to requests, and checks in answers: ``"required"``, ``"when_required"``, or
            ``"auto"``, as its configuration says.
        uploads_journal: A folder in which unfinished uploads are noted, one file each; it is made if there is none.

    Raises:
        ConfigError: A value is not possible, or two exclude each other.
        UnsafePathError: *prefix* cannot be the beginning of keys.

    Guarantees:
        What `ObjectStore` promises. May be used by many threads at once, and after a fork.

        On a server that is not AWS, what an operation relies on is tried when it is first needed, once a process and bucket,
        on small objects below ``.controlroom-probe/`` in *prefix*, which are removed again; what the server ignores is
        refused.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        role_arn: str | None = None,
        anonymous: bool = False,
        addressing: Addressing = "auto",
        requester_pays: bool = False,
        encryption: S3Encryption | None = None,
        tags: Tags = "copy",
        timeouts: S3Timeouts = S3Timeouts(),  # noqa: B008 - immutable
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        part_size_bytes: int = 8 * 1024 * 1024,
        parallel: int = 8,
        verify: bool | StrPath = True,
        checksums: Checksums = "auto",
        uploads_journal: StrPath | None = None,
    ) -> None:
        from controlroom.storage.s3.performer import S3Performer  # noqa: PLC0415 - botocore is loaded by whoever opens a store

        place = S3Place(bucket, prefix)
        options = S3Options(
            endpoint_url=endpoint_url,
            region=region,
            profile=profile,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            role_arn=role_arn,
            anonymous=anonymous,
            addressing=addressing,
            requester_pays=requester_pays,
            encryption=encryption,
            tags=tags,
            timeouts=timeouts,
            retry=retry,
            part_size_bytes=part_size_bytes,
            parallel=parallel,
            verify=verify,
            checksums=checksums,
            uploads_journal=uploads_journal,
        )
        super().__init__(S3Performer(place, options))

    @property
    def url(self) -> str:
        """Where the store is, as a URL; the same in both colours."""
        return self._performer.place.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def publish(
        self,
        key: str,
        source: Source,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Receipt:
        """Make the bytes of *source* the object *key*, as one piece.

        Args, Raises and Guarantees are those of `ObjectStore.publish`; *tags* are given to the object. One request up to
        ``part_size_bytes``; above, parts, several at a time, with at most ``parallel`` + 1 of them in memory (where nobody
        knows how much will come, parts grow after 7 GiB, and at least two are). A part is checked by its CRC-32, and the
        whole by that of all parts, where the server can.

        Raises:
            PublicationInDoubtError: No answer came, and what is visible does not tell: see `reconcile`.
            StorageUnavailableError: The store did not do it. Nothing changed.
            FileOperationError: A condition was given that this server ignores. Nothing changed.

        Guarantees:
            A lost answer is no lost truth: our own object is told from a rival's by an id that it carries. The receipt has
            the etag that `stat` tells, and the SHA-256 of what was sent; it is kept with the object up to
            ``part_size_bytes`` (above, content is known only once it is sent). Whatever fails, cancellation too, aborts the
            upload; where that fails, ``upload_left_behind`` is logged, and `abort_stale_uploads` finds it.

            Not promised: that an object which another program deletes or replaces between two tries of one call was never
            visible.
        """
        return publish_object(
            self._performer,
            key,
            source,
            if_absent=if_absent,
            if_match=if_match,
            metadata=metadata,
            content_type=content_type,
            tags=tags,
        )

    def writer(
        self,
        key: str,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> AbstractContextManager[ObjectWriter]:
        """Write the object *key* piece by piece: published when the block ends, forgotten when it raises.

        Arguments, errors and guarantees are those of `publish`; ``.receipt`` of the file is its proof, and
        ``.discard()`` leaves the object as it was.
        """
        return writing_object(
            self._performer,
            key,
            if_absent=if_absent,
            if_match=if_match,
            metadata=metadata,
            content_type=content_type,
            tags=tags,
        )

    def reconcile(self, key: str, write_id: str | None) -> Receipt | None:
        """Tell whether the write *write_id*, of a `PublicationInDoubtError`, is what the object *key* is now.

        Returns:
            Its receipt; None if the object is another one, or there is none. A write that was in doubt a moment ago may
            still become visible: ask again once no request can be under way any more.

        Raises:
            ObjectChangedError: It changed while it was read for its SHA-256.
            ConfigError: There is no *write_id*: the error is none of a store in S3.
        """
        return reconciled(self, self._performer, key, write_id)

    def abort_stale_uploads(
        self,
        prefix: str = "",
        older_than_s: float = 86400,
        dry_run: bool = False,  # noqa: FBT001, FBT002 - the position is part of the contract
    ) -> StaleUploads:
        """Abort uploads in parts that were begun and that nobody will complete: their parts are stored, and paid for.

        What a process left that died while it tried what the server can do is deleted along with them, if *prefix* is empty:
        objects below ``.controlroom-probe/`` that are that old, and ten minutes at least. ``probes_left_behind`` is logged.

        Args:
            prefix: Only of objects whose key begins with it.
            older_than_s: How old, by the server's clock, an upload is that nobody will complete.
            dry_run: Abort nothing; only tell what would be.

        Returns:
            What was stale: that old, and not noted as under way in the journal of uploads (``uploads_journal``); or of
            whatever age, and noted there by a process that is gone.

        Raises:
            FileOperationError: Some could not be aborted; raised once all were tried.

        Guarantees:
            An upload whose writer lives, and notes it in this journal, is never aborted. Not promised: to know writers
            without a journal, or with another one: give them time with *older_than_s*.
        """
        return abort_stale_uploads(self._performer, prefix, older_than_s=older_than_s, dry_run=dry_run)

    def close(self) -> None:
        """Let go of connections. Also at the end of ``with store:``. A call after that opens new ones."""
        self._performer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
