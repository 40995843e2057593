"""Both colours of a database behind one blocking face, and every kind of database at hand: each test is written once."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from controlroom.database import AsyncDatabase, Database

__all__ = ["COLOURS", "KINDS", "Place", "kind", "module_database", "opened", "place"]

COLOURS = ("sync", "async")
KINDS = ("sqlite-sync", "sqlite-async", "psycopg-sync", "psycopg-async", "asyncpg")


class Blocking:
    """An asynchronous object whose coroutines run to their end when they are called."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return self._blocking(getattr(self._target, "aclose" if name == "close" else name))

    def __enter__(self) -> Any:
        return self._blocking(self._loop.run_until_complete(self._target.__aenter__()))

    def __exit__(self, *raised: object) -> Any:
        return self._loop.run_until_complete(self._target.__aexit__(*raised))

    def __iter__(self) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(anext(self._target))
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(self._target.aclose())

    def _blocking(self, value: Any) -> Any:
        if inspect.iscoroutine(value):
            return self._blocking(self._loop.run_until_complete(value))
        if inspect.isfunction(value) or inspect.ismethod(value):
            return lambda *args, **kwargs: self._blocking(value(*args, **kwargs))
        asynchronous = any(hasattr(value, name) for name in ("__aenter__", "__anext__", "_run"))
        return Blocking(value, self._loop) if asynchronous else value


@contextmanager
def opened(colour: str, url: str, **options: Any) -> Iterator[Any]:
    """Open a database of *colour*, or of a kind that has it."""
    if colour.endswith("async") or colour == "asyncpg":
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            with Blocking(AsyncDatabase(url, **options), loop) as database:
                yield database
        return
    with Database(url, **options) as database:
        yield database


@dataclass(frozen=True)
class Place:
    """An empty database of one kind, and somebody else who looks into it."""

    kind: str
    url: str
    at: Any

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite's."""
        return self.kind.startswith("sqlite")

    @property
    def is_async(self) -> bool:
        """Whether AsyncDatabase opens it."""
        return not self.kind.endswith("-sync")

    def opened(self, **options: Any) -> Any:
        """Open it behind a blocking face."""
        return opened(self.kind, self.url, **options)

    def look(self, sql: str) -> list[tuple[Any, ...]]:
        """What somebody else reads there; or does: each statement commits."""
        if isinstance(self.at, Path):
            with closing(sqlite3.connect(self.at, isolation_level=None)) as connection:
                return connection.execute(sql).fetchall()
        found = self.at.execute(sql)
        return found.fetchall() if found.description else []

    def column(self, sql: str) -> list[Any]:
        """What somebody else reads there in one column."""
        return [value for (value,) in self.look(sql)]


@pytest.fixture(scope="module")
def module_database(postgres_cluster: Any) -> Iterator[tuple[Any, str, psycopg.Connection[Any]]]:
    """A PostgreSQL database for the tests of one file: to make one takes longer than to empty it."""
    name = postgres_cluster.new_database()
    with psycopg.connect(postgres_cluster.url(name), autocommit=True, options="-c lock_timeout=10s") as connection:
        yield postgres_cluster, name, connection
    postgres_cluster.drop(name)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in each colour that it has."""
    return str(request.param)


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database of *kind*."""
    if kind.startswith("sqlite"):
        return Place(kind, f"sqlite:///{tmp_path / 'data.db'}", tmp_path / "data.db")
    cluster, name, connection = request.getfixturevalue("module_database")
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return Place(kind, cluster.sqlalchemy_url(name, kind.partition("-")[0]), connection)
