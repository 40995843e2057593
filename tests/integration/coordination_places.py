"""The databases that workers coordinate over: SQLite in a file, PostgreSQL by each of its drivers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.database_colours import opened

__all__ = ["KINDS", "POSTGRES_KINDS", "Place"]

POSTGRES_KINDS = ("psycopg", "psycopg async", "asyncpg")
KINDS = ("sqlite", "sqlite async", *POSTGRES_KINDS)


class Place:
    """One empty database, and how to open it: as *kind* says, or by the sync driver beside that."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.is_sqlite = kind.startswith("sqlite")
        self.url = url if self.is_sqlite else url.replace("+psycopg", f"+{kind.removesuffix(' async')}")
        self.sync_url = url
        self.colour = "sync" if kind in ("sqlite", "psycopg") else "async"

    @contextmanager
    def opened(self, **options: Any) -> Iterator[Any]:
        """A database of this kind, blocking, whatever its colour."""
        with opened(self.colour, self.url, **options) as database:
            yield database

    @contextmanager
    def beside(self, **options: Any) -> Iterator[Any]:
        """Another client of the same database, blocking."""
        with opened("sync", self.sync_url, **options) as database:
            yield database
