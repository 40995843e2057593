"""The databases that workers coordinate over: SQLite in a file, PostgreSQL by each of its drivers, MariaDB in both colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.database_colours import opened

__all__ = ["EVERYWHERE", "KINDS", "POSTGRES_KINDS", "Place", "empty_place"]

POSTGRES_KINDS = ("psycopg", "psycopg async", "asyncpg")
KINDS = ("sqlite", "sqlite async", *POSTGRES_KINDS)
EVERYWHERE = (*KINDS, "mariadb async")


class Place:
    """One empty database, and how to open it: as *kind* says, or by the sync driver beside that."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.is_sqlite = kind.startswith("sqlite")
        self.url = url if self.is_sqlite else url.replace("+psycopg", f"+{kind.removesuffix(' async')}")
        self.sync_url = url
        self.colour = "sync" if kind in ("sqlite", "psycopg", "mariadb") else "async"

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


def empty_place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database of *kind*; its server is started by who asks first."""
    if kind.startswith("sqlite"):
        return Place(kind, f"sqlite:///{tmp_path}/data.db")
    return Place(kind, request.getfixturevalue("mariadb_url" if kind.startswith("mariadb") else "postgres_url"))
