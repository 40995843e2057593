"""One inbox over a prefix in S3 and a real SQLite file, in either colour."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from controlroom.storage import AsyncObjectStore, AsyncS3Store, ObjectStore, S3Store
from tests.integration.inboxes import Site
from tests.servers.s3 import S3Server

__all__ = ["S3Site"]


class S3Site(Site):
    """A prefix with a landing, and a database beside it."""

    def __init__(self, folder: Path, server: S3Server, **options: Any) -> None:
        super().__init__(folder)
        self.server = server
        self.bucket = options.pop("bucket", server.bucket)
        self.prefix = options.pop("prefix", server.new_prefix())
        self.options = {**server.login(), **options}
        self._store: S3Store | None = None

    def store(self) -> AbstractContextManager[ObjectStore]:  # type: ignore[override]  # it stays open: a client takes its time
        self._store = self._store or S3Store(self.bucket, self.prefix, **self.options)
        return nullcontext(self._store)

    def async_store(self) -> AsyncObjectStore:
        return AsyncS3Store(self.bucket, self.prefix, **self.options)
