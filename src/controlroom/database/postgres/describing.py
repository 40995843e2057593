"""What PostgreSQL tells of its tables: asked of its catalogue, which knows every type, where SQLAlchemy's inspector warns."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, TextClause, text

from controlroom.database.backend import Backend
from controlroom.database.describing import Inspected, Named, no_such_table
from controlroom.database.metadata import (
    ColumnInfo,
    Columns,
    ForeignKeyInfo,
    IndexInfo,
    Kind,
    LockInfo,
    TableFacts,
    TableInfo,
)

__all__ = ["DescribedByPostgres"]

_KINDS: Final[dict[str, Kind]] = {
    "r": "table",
    "p": "partitioned table",
    "f": "foreign table",
    "v": "view",
    "m": "materialized view",
}
_ACTIONS: Final = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_KIND: Final = text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:name)")
_COLUMNS: Final = text("""
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), NOT (a.attnotnull OR t.typtype = 'd' AND t.typnotnull),
           pg_get_expr(d.adbin, d.adrelid), a.attidentity::text <> '', a.attgenerated::text <> '',
           ARRAY(SELECT e.enumlabel::text FROM pg_enum e
                 WHERE e.enumtypid IN (t.oid, t.typelem, t.typbasetype) ORDER BY e.enumsortorder)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
""")
_KEYS: Final = text("""
    SELECT c.contype::text, c.confrelid::regclass::text, c.confdeltype::text,
           ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.number ORDER BY u.place),
           ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = u.number ORDER BY u.place)
    FROM pg_constraint c WHERE c.conrelid = to_regclass(:name) AND c.contype IN ('p', 'f') ORDER BY c.conname
""")
_INDEXES: Final = text("""
    SELECT i.relname::text, x.indisunique, pg_get_expr(x.indpred, x.indrelid), 0 = ANY (x.indkey), x.indisvalid,
           ARRAY(SELECT coalesce(a.attname::text, pg_get_indexdef(x.indexrelid, place, true))
                 FROM generate_series(1, x.indnkeyatts::int) AS place
                 LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[place - 1] AND a.attnum > 0
                 ORDER BY place)
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    WHERE x.indrelid = to_regclass(:name) AND NOT x.indisprimary ORDER BY i.relname
""")
_PARTITIONS: Final = text("""
    SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhparent
    WHERE inhparent = to_regclass(:name) AND c.relkind = 'p' ORDER BY 1
""")
_PARTS: Final = """
    WITH asked AS (SELECT to_regclass(:name)::oid AS oid),
         parts AS (SELECT oid FROM asked UNION SELECT relid::oid FROM asked, pg_partition_tree(asked.oid))
"""
_ROWS: Final = text(f"""{_PARTS}
    SELECT CASE WHEN bool_or(c.reltuples >= 0) THEN sum(greatest(c.reltuples, 0))::bigint END
    FROM parts JOIN pg_class c USING (oid) WHERE c.relkind NOT IN ('p', 'v')
""")  # noqa: S608 - of our own texts
_SIZES: Final = text(f"""{_PARTS}
    SELECT sum(pg_table_size(c.oid) - toast.bytes)::bigint, sum(pg_indexes_size(c.oid))::bigint, sum(toast.bytes)::bigint
    FROM parts JOIN pg_class c USING (oid),
         LATERAL (SELECT coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) AS bytes) AS toast
""")  # noqa: S608 - of our own texts
_LOCKS: Final = text(f"""{_PARTS}
    SELECT l.pid, l.mode, l.granted, coalesce(a.application_name, ''),
           extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
           CASE WHEN l.granted THEN ARRAY[]::int[] ELSE pg_blocking_pids(l.pid) END
    FROM parts JOIN pg_locks l ON l.locktype = 'relation' AND l.relation = parts.oid
    LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid()
    ORDER BY NOT l.granted, a.xact_start, l.pid, l.mode
""")  # noqa: S608 - of our own texts


class DescribedByPostgres(Inspected):
    """The tables of a PostgreSQL database."""

    def described(self, name: Named, connection: Connection, backend: Backend) -> TableInfo:
        """Return what a table looks like."""

        def ask(query: TextClause) -> list[Any]:
            return list(connection.execute(query, {"name": name.quoted(backend)}))

        kind = self._kind(name, connection, backend)
        keys, indexes = ask(_KEYS), ask(_INDEXES)
        return TableInfo(
            name=name.shown,
            columns=Columns([_column(each) for each in ask(_COLUMNS)]),
            primary_key=next((tuple(columns) for what, _, _, columns, _ in keys if what == "p"), ()),
            uniques=tuple(
                tuple(columns)
                for _, unique, where, has_expression, valid, columns in indexes
                if unique and where is None and not has_expression and valid
            ),
            kind=kind,
            foreign_keys=tuple(
                ForeignKeyInfo(tuple(columns), table, tuple(referred), _ACTIONS.get(action, "NO ACTION"))
                for what, table, action, columns, referred in keys
                if what == "f"
            ),
            indexes=tuple(
                IndexInfo(index, tuple(columns), unique, where) for index, unique, where, _, _, columns in indexes
            ),
            partitions=tuple(partition for (partition,) in ask(_PARTITIONS)),
        )

    def _kind(self, name: Named, connection: Connection, backend: Backend) -> Kind:
        kind = _KINDS.get(connection.scalar(_KIND, {"name": name.quoted(backend)}) or "")
        if kind is None:
            raise no_such_table(name.shown)
        return kind

    def facts(self, name: Named, connection: Connection, backend: Backend) -> TableFacts:
        """Return what the catalogue knows of a table.

        To ask for its size waits for who locks it out. Who does is among the facts, so then the size is left out.
        """
        self._kind(name, connection, backend)
        asked = {"name": name.quoted(backend)}
        locks = tuple(
            LockInfo(pid, mode, granted, application, age_s, tuple(blocked_by))
            for pid, mode, granted, application, age_s, blocked_by in connection.execute(_LOCKS, asked)
        )
        locked_out = any(lock.mode == "AccessExclusiveLock" for lock in locks)
        table, index, toast = (None, None, None) if locked_out else connection.execute(_SIZES, asked).one()
        return TableFacts(name.shown, connection.scalar(_ROWS, asked), table, index, toast, locks)


def _column(row: Any) -> ColumnInfo:
    name, declared, nullable, expression, identity, generated, labels = row
    default, computed = (None, expression) if generated else (expression, None)
    return ColumnInfo(name, declared, nullable, default, identity, computed, tuple(labels))
