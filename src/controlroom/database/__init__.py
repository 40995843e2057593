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

from controlroom.database.claims import Claim
from controlroom.database.database import Database
from controlroom.database.identifiers import Identifier, Sql, Statement, identifier, sql
from controlroom.database.lease_rows import Hold
from controlroom.database.leases import Lease
from controlroom.database.marks import Checkpoints, Watermarks
from controlroom.database.metadata import (
    ColumnInfo,
    Columns,
    ForeignKeyInfo,
    IndexInfo,
    LockInfo,
    TableFacts,
    TableInfo,
)
from controlroom.database.outbox import Message, Outbox
from controlroom.database.pruning import Pruned
from controlroom.database.relaying import Relayed
from controlroom.database.unit_of_work import Savepoint, UnitOfWork
from controlroom.database.writes import WriteCount

if TYPE_CHECKING:
    from controlroom.database.database_async import AsyncDatabase
    from controlroom.database.leases_async import AsyncLease
    from controlroom.database.marks_async import AsyncCheckpoints, AsyncWatermarks
    from controlroom.database.outbox_async import AsyncOutbox
    from controlroom.database.unit_of_work_async import AsyncSavepoint, AsyncUnitOfWork

__all__ = [
    "AsyncCheckpoints",
    "AsyncDatabase",
    "AsyncLease",
    "AsyncOutbox",
    "AsyncSavepoint",
    "AsyncUnitOfWork",
    "AsyncWatermarks",
    "Checkpoints",
    "Claim",
    "ColumnInfo",
    "Columns",
    "Database",
    "ForeignKeyInfo",
    "Hold",
    "Identifier",
    "IndexInfo",
    "Lease",
    "LockInfo",
    "Message",
    "Outbox",
    "Pruned",
    "Relayed",
    "Savepoint",
    "Sql",
    "Statement",
    "TableFacts",
    "TableInfo",
    "UnitOfWork",
    "Watermarks",
    "WriteCount",
    "identifier",
    "sql",
]

# On first use: SQLAlchemy's asyncio extension loads the whole ORM, half of what this import would cost.
_ASYNC_HOMES = {
    "AsyncCheckpoints": "marks_async",
    "AsyncDatabase": "database_async",
    "AsyncLease": "leases_async",
    "AsyncOutbox": "outbox_async",
    "AsyncSavepoint": "unit_of_work_async",
    "AsyncUnitOfWork": "unit_of_work_async",
    "AsyncWatermarks": "marks_async",
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
