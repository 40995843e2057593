"""The database as control plane: units of work that tell the truth, upserts that count, a ledger of what has been done.

Rules of this package:

* The unit is written once, against a synchronous SQLAlchemy connection; asyncio runs it in a greenlet. Only what
  differs by colour exists twice, in files that stand side by side.
* COMMIT is the library's alone, and its outcome is one of committed, rolled back, in doubt.
* SQLAlchemy's and the driver's exceptions end at `classify`; no message shows a row.
* What is SQLite's own stands in `sqlite`, `storable` and `meanings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlroom.database.database import Database
from controlroom.database.marks import Checkpoints, Watermarks
from controlroom.database.tables import ColumnInfo, Columns, TableInfo
from controlroom.database.unit_of_work import Savepoint, UnitOfWork
from controlroom.database.writes import WriteCount

if TYPE_CHECKING:
    from controlroom.database.database_async import AsyncDatabase
    from controlroom.database.unit_of_work_async import (
        AsyncCheckpoints,
        AsyncSavepoint,
        AsyncUnitOfWork,
        AsyncWatermarks,
    )

__all__ = [
    "AsyncCheckpoints",
    "AsyncDatabase",
    "AsyncSavepoint",
    "AsyncUnitOfWork",
    "AsyncWatermarks",
    "Checkpoints",
    "ColumnInfo",
    "Columns",
    "Database",
    "Savepoint",
    "TableInfo",
    "UnitOfWork",
    "Watermarks",
    "WriteCount",
]

# On first use: SQLAlchemy's asyncio extension loads the whole ORM, half of what this import would cost.
_ASYNC_HOMES = {
    "AsyncCheckpoints": "unit_of_work_async",
    "AsyncDatabase": "database_async",
    "AsyncSavepoint": "unit_of_work_async",
    "AsyncUnitOfWork": "unit_of_work_async",
    "AsyncWatermarks": "unit_of_work_async",
}


def __getattr__(name: str) -> Any:
    if (home := _ASYNC_HOMES.get(name)) is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415 - on first use, as above

    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
