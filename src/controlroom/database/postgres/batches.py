"""Many rows through one statement, past SQLAlchemy, with the index of the row that was refused.

Both drivers send ahead, so the row they took last is not the one that failed. psycopg hands out the results that came before
the error, one for each row; of asyncpg nobody gets to know, and `written` of `writing` has to look for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controlroom.database.postgres.link import PostgresLink
from controlroom.database.rows import CountedRows, DriverRow

__all__ = ["Refused", "by_the_driver", "executed", "is_async", "is_from_the_server"]


class Refused(Exception):  # noqa: N818 - a fact, which the caller makes an error of
    """The driver could not send *row*, which stands at *place*, and raised *cause*."""

    def __init__(self, place: int, row: DriverRow, cause: Exception) -> None:
        super().__init__(place, cause)
        self.place = place
        self.row = row
        self.cause = cause


def is_async(link: PostgresLink) -> bool:
    """Tell whether the driver below *link* has to be awaited."""
    return hasattr(link.dbapi, "run_async")


def is_from_the_server(error: BaseException) -> bool:
    """Tell whether the server itself has raised *error*."""
    said = getattr(error, "diag", error)
    return getattr(said, "severity", None) is not None


def by_the_driver(error: Exception) -> bool:
    """Tell whether *error* says that the driver could not send a value: anything but the server's and the network's."""
    if is_from_the_server(error) or isinstance(error, OSError):
        return False
    driver = type(error).__module__.split(".")[0] in ("psycopg", "asyncpg")
    return isinstance(error, ValueError) or not driver or type(error).__name__ in ("DataError", "ProgrammingError")


def executed(link: PostgresLink, sql: str, rows: Sequence[DriverRow], progress: list[int]) -> list[bool]:
    """Execute *sql* for each row; return what it returned, or True for each row that it touched.

    *progress* gets the place of the row that failed, where that is known.

    Raises:
        Refused: The driver could not send a row.
    """
    counted = CountedRows(rows)
    try:
        if not is_async(link):
            return _psycopg(link.driver, sql, counted, progress)
        if hasattr(link.driver, "fetchmany"):
            found = link.dbapi.run_async(lambda driver: driver.fetchmany(sql, counted))
            return [each[0] for each in found]
        answer: list[bool] = link.dbapi.run_async(lambda driver: _psycopg_async(driver, sql, counted, progress))
    except Exception as error:
        if counted.taken and by_the_driver(error):
            raise Refused(counted.taken - 1, counted[counted.taken - 1], error) from None
        raise
    return answer


def _psycopg(driver: Any, sql: str, rows: CountedRows, progress: list[int]) -> list[bool]:
    with driver.cursor() as cursor:
        try:
            cursor.executemany(sql, rows, returning=True)
        except Exception:
            progress.append(_results(cursor))
            raise
        touched: list[bool] = []
        more = True
        while more:
            touched += [row[0] for row in cursor.fetchall()] if cursor.description else [True] * cursor.rowcount
            more = cursor.nextset()
    return touched


async def _psycopg_async(driver: Any, sql: str, rows: CountedRows, progress: list[int]) -> list[bool]:
    async with driver.cursor() as cursor:
        try:
            await cursor.executemany(sql, rows, returning=True)
        except Exception:
            progress.append(_results(cursor))
            raise
        touched: list[bool] = []
        more = True
        while more:
            touched += [row[0] for row in await cursor.fetchall()] if cursor.description else [True] * cursor.rowcount
            more = cursor.nextset()
    return touched


def _results(cursor: Any) -> int:
    """Return how many results *cursor* has: each stands for a row that was accepted."""
    if cursor.pgresult is None:
        return 0
    results = 1
    while cursor.nextset():
        results += 1
    return results
