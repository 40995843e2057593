"""What is known of a table, as values: its columns, keys and indexes; its size, and who holds locks on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

__all__ = ["ColumnInfo", "Columns", "ForeignKeyInfo", "IndexInfo", "Kind", "LockInfo", "TableFacts", "TableInfo"]

Kind = Literal["table", "partitioned table", "foreign table", "view", "materialized view"]


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column, as the database declares it.

    Attributes:
        name: Its name.
        type: Its declared type, as SQL.
        nullable: Whether it may be NULL.
        default: The SQL of its default, or None.
        is_identity: Whether the database numbers it (PostgreSQL's IDENTITY).
        generated: The SQL that it is computed by, or None.
        labels: The values of its type, in order, where that is an enumeration of PostgreSQL's, or an array of one.
    """

    name: str
    type: str
    nullable: bool
    default: str | None
    is_identity: bool = False
    generated: str | None = None
    labels: tuple[str, ...] = ()


class Columns(Sequence[ColumnInfo]):
    """The columns of a table in their order; also found by name: ``columns["id"]``, ``"id" in columns``."""

    def __init__(self, columns: Sequence[ColumnInfo]) -> None:
        self._columns = tuple(columns)
        self._by_name = {column.name: column for column in columns}

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self._by_name)

    @overload
    def __getitem__(self, place: int | str) -> ColumnInfo: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[ColumnInfo, ...]: ...
    def __getitem__(self, place: int | str | slice) -> ColumnInfo | tuple[ColumnInfo, ...]:
        return self._by_name[place] if isinstance(place, str) else self._columns[place]

    def __contains__(self, wanted: object) -> bool:
        return wanted in self._by_name or wanted in self._columns

    def __iter__(self) -> Iterator[ColumnInfo]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Columns) and self._columns == other._columns

    def __hash__(self) -> int:
        return hash(self._columns)

    def __repr__(self) -> str:
        return f"Columns({list(self._columns)!r})"


@dataclass(frozen=True, slots=True)
class ForeignKeyInfo:
    """One foreign key.

    Attributes:
        columns: Its columns, in order.
        table: The table that it refers to; with its schema where it is another one.
        referred: The columns it refers to there, in the same order.
        on_delete: What becomes of a row whose other one is deleted: "NO ACTION", "CASCADE", …
    """

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]
    on_delete: str = "NO ACTION"


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One index; that of the primary key is none here.

    Attributes:
        name: Its name.
        columns: Names of columns, in order; the SQL of what is an expression, where the database tells it.
        is_unique: Whether no two rows may be the same there.
        where: The SQL of the condition for the rows in it, or None for all of them.
    """

    name: str
    columns: tuple[str, ...]
    is_unique: bool
    where: str | None = None


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What a table looks like.

    Attributes:
        name: Its name, as it was asked for.
        columns: Its columns, by place and by name.
        primary_key: Names of the columns of its primary key; empty where it has none.
        uniques: For each further unique constraint or unique index, the names of its columns.
        kind: What it is; a view has columns too.
        foreign_keys: What it refers to.
        indexes: Its indexes, sorted by name.
        partitions: The tables that it consists of.
    """

    name: str
    columns: Columns
    primary_key: tuple[str, ...]
    uniques: tuple[tuple[str, ...], ...]
    kind: Kind = "table"
    foreign_keys: tuple[ForeignKeyInfo, ...] = ()
    indexes: tuple[IndexInfo, ...] = ()
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockInfo:
    """A lock on a table that another session has or waits for.

    Attributes:
        pid: The server's process.
        mode: As PostgreSQL calls it: "AccessExclusiveLock".
        is_granted: Whether it has the lock; else it waits.
        application_name: Who that says to be.
        age_s: For how long its transaction has been open, seconds; None where that is not told.
        blocked_by: The processes that it waits for.
    """

    pid: int
    mode: str
    is_granted: bool
    application_name: str
    age_s: float | None
    blocked_by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a database knows of a table without reading it. None is unknown.

    Attributes:
        name: As it was asked for.
        rows_estimate: Rows, as of the last ANALYZE; of all partitions.
        table_bytes: Its rows.
        index_bytes: Its indexes.
        toast_bytes: Its long values, which PostgreSQL keeps apart (TOAST).
        locks: What other sessions hold on it or wait for, those that wait last.
    """

    name: str
    rows_estimate: int | None = None
    table_bytes: int | None = None
    index_bytes: int | None = None
    toast_bytes: int | None = None
    locks: tuple[LockInfo, ...] = ()

    @property
    def size_bytes(self) -> int | None:
        """All of it; None where that is unknown."""
        if self.table_bytes is None:
            return None
        return self.table_bytes + (self.index_bytes or 0) + (self.toast_bytes or 0)
