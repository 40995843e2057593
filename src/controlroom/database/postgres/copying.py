"""COPY of rows that may go that way (`copyable`), by each driver, with the place of the row that was refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from sqlalchemy import Dialect

from controlroom.database.postgres.batches import Refused, by_the_driver, is_async
from controlroom.database.postgres.link import PostgresLink
from controlroom.database.postgres.merging import plain_name
from controlroom.database.rows import CountedRows, DriverRow

__all__ = ["Feed", "Way", "copied", "line_of"]

BLOCK_ROWS: Final = 1_000
"""What is made ready at once while COPY runs."""


@dataclass(frozen=True, slots=True)
class Way:
    """How rows get into a table: by COPY to *target*, binary with *types*, or as text.

    Attributes:
        types: Numbers of the columns' types; None: in text form.
    """

    target: str
    schema: str | None
    relation: str
    columns: tuple[str, ...]
    types: tuple[int, ...] | None
    dialect: Dialect

    @property
    def sql(self) -> str:
        """The statement, for psycopg."""
        names = ", ".join(plain_name(each, self.dialect) for each in self.columns)
        return f"COPY {self.target} ({names}) FROM STDIN{' (FORMAT binary)' if self.types is not None else ''}"


class Feed:
    """The rows of one COPY, made ready block by block: while the next one is, the server stores those before.

    Args:
        rows: As the caller has them.
        ready: Makes a block ready for the driver; gets its rows, and the place of the first.
    """

    def __init__(self, rows: list[Any], ready: Callable[[list[Any], int], list[DriverRow]]) -> None:
        self._rows = rows
        self._ready = ready
        self._at = 0
        self._block = CountedRows()
        self.unready: Exception | None = None

    def __iter__(self) -> Iterator[DriverRow]:
        return chain.from_iterable(self._blocks())

    def _blocks(self) -> Iterator[CountedRows]:
        for at in range(0, len(self._rows), BLOCK_ROWS):
            try:
                block = CountedRows(self._ready(self._rows[at : at + BLOCK_ROWS], at))
            except Exception as error:
                self.unready = error
                raise
            self._at, self._block = at, block
            yield block

    def error_of(self, error: Exception) -> Exception:
        """Return what *error* means, with which the driver ended: a row that it could not send is `Refused`."""
        taken = self._block.taken
        if taken and error is not self.unready and by_the_driver(error):
            return Refused(self._at + taken - 1, self._block[taken - 1], error)
        return error


def copied(link: PostgresLink, way: Way, rows: Feed) -> int:
    """COPY *rows*; return how many the server took.

    Raises:
        Refused: The driver could not send a row.
    """
    if not is_async(link):
        return _by_psycopg(link.driver, way, rows)
    if hasattr(link.driver, "copy_records_to_table"):
        tag: str = link.dbapi.run_async(lambda driver: _by_asyncpg(driver, way, rows))
        return int(tag.rsplit(" ", 1)[-1])
    taken: int = link.dbapi.run_async(lambda driver: _by_psycopg_async(driver, way, rows))
    return taken


class _Stopped(Exception):  # noqa: N818 - never seen outside
    """What psycopg gets instead of an error: it tells the server, whose log would have the row's values."""


def _by_psycopg(driver: Any, way: Way, rows: Feed) -> int:
    failed: list[Exception] = []
    with driver.cursor() as cursor:
        try:
            with cursor.copy(way.sql) as copy:
                try:
                    for block in _encoded(copy, way, rows):
                        copy.write(block)
                except Exception as error:  # noqa: BLE001 - kept, and raised below
                    failed.append(error)
                    raise _Stopped from None
        except _Stopped:
            raise rows.error_of(failed[0]) from None
        return int(cursor.rowcount)


async def _by_psycopg_async(driver: Any, way: Way, rows: Feed) -> int:
    failed: list[Exception] = []
    async with driver.cursor() as cursor:
        try:
            async with cursor.copy(way.sql) as copy:
                try:
                    for block in _encoded(copy, way, rows):
                        await copy.write(block)
                except Exception as error:  # noqa: BLE001 - kept, and raised below
                    failed.append(error)
                    raise _Stopped from None
        except _Stopped:
            raise rows.error_of(failed[0]) from None
        return int(cursor.rowcount)


def _encoded(copy: Any, way: Way, rows: Feed) -> Iterator[Any]:
    """Yield *rows* as *copy* sends them, each time there is a buffer full of them.

    ``write_row`` of *copy* does the same; to call it, or to await it, for every row takes as long as to encode it.
    """
    if way.types is not None:
        copy.set_types(way.types)
    return filter(None, map(copy.formatter.write_row, rows))


async def _by_asyncpg(driver: Any, way: Way, rows: Feed) -> Any:
    try:
        return await driver.copy_records_to_table(
            way.relation, schema_name=way.schema, columns=list(way.columns), records=iter(rows)
        )
    except Exception as error:  # noqa: BLE001 - it is raised, or what it means
        raise rows.error_of(error) from None


def line_of(error: BaseException, relation: str) -> int | None:
    """Return the place of the row that the server names in *error*, from COPY; None where it names none."""
    context = getattr(getattr(error, "diag", None), "context", None) or getattr(error, "context", None) or ""
    found = re.search(rf"^COPY {re.escape(relation)}, \D*(\d+)", context, re.MULTILINE)
    return int(found[1]) - 1 if found else None
