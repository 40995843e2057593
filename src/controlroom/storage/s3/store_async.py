"""`S3Store` for asyncio: the same flows, options and errors."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Self

from controlroom.retrying import RetryPolicy
from controlroom.storage.files_async import AsyncObjectWriter
from controlroom.storage.objects import Receipt
from controlroom.storage.paths import StrPath
from controlroom.storage.s3.janitor import StaleUploads, abort_stale_uploads_async
from controlroom.storage.s3.objects_async import AsyncS3Objects
from controlroom.storage.s3.options import Addressing, Checksums, S3Encryption, S3Options, S3Timeouts, Tags
from controlroom.storage.s3.reconciling import reconciled_async
from controlroom.storage.s3.writing_async import publish_object_async, writing_object_async
from controlroom.storage.s3_keys import S3Place
from controlroom.storage.sources import AsyncSource

__all__ = ["AsyncS3Store"]


class AsyncS3Store(AsyncS3Objects):
    """An `AsyncObjectStore` in a bucket of S3; see `S3Store` for the arguments.

    Guarantees:
        Those of `S3Store`. May be used in one event loop after another. A cancelled call has ended when it raises.
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
        from controlroom.storage.s3.performer_async import AsyncS3Performer  # noqa: PLC0415 - botocore is loaded by whoever opens a store

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
        super().__init__(AsyncS3Performer(place, options))

    @property
    def url(self) -> str:
        """Where the store is, as a URL; the same in both colours."""
        return self._performer.place.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    async def publish(
        self,
        key: str,
        source: AsyncSource,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Receipt:
        """Make the bytes of *source* the object *key*, as one piece.

        See `S3Store.publish`. *source* may also be an async iterable; a sync one is read in a thread.
        """
        return await publish_object_async(
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
    ) -> AbstractAsyncContextManager[AsyncObjectWriter]:
        """Write the object *key* piece by piece: published when the block ends, forgotten when it raises.

        See `S3Store.writer`; ``await file.write(data)``.
        """
        return writing_object_async(
            self._performer,
            key,
            if_absent=if_absent,
            if_match=if_match,
            metadata=metadata,
            content_type=content_type,
            tags=tags,
        )

    async def reconcile(self, key: str, write_id: str | None) -> Receipt | None:
        """Tell whether the write *write_id*, of a `PublicationInDoubtError`, is what the object *key* is now.

        See `S3Store.reconcile`.
        """
        return await reconciled_async(self, self._performer, key, write_id)

    async def abort_stale_uploads(
        self,
        prefix: str = "",
        older_than_s: float = 86400,
        dry_run: bool = False,  # noqa: FBT001, FBT002 - the position is part of the contract
    ) -> StaleUploads:
        """Abort uploads in parts that were begun and that nobody will complete: their parts are stored, and paid for.

        See `S3Store.abort_stale_uploads`.
        """
        return await abort_stale_uploads_async(self._performer, prefix, older_than_s=older_than_s, dry_run=dry_run)

    async def aclose(self) -> None:
        """Let go of connections. Also at the end of ``with store:``. A call after that opens new ones."""
        await self._performer.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()
