"""The tables that controlroom keeps in your database, beside your own. Names begin with ``controlroom_``.

They hold decisions, never data: which keys have committed (`ledger`), where a run stands (`checkpoints`), how far the
data is complete (`watermarks`), which files are whose (`inbox`). All of those are written in the same transaction as
the rows they speak of, which is the point: a claim in another store can disagree with its effect. What processes hand to
each other stands beside them: the counts of shared rate limits (`limits`) and tokens of APIs (`tokens`).

Instants are UTC. Texts of instants are ISO 8601, so that they sort.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Float, Index, Integer, MetaData, Table, Text

__all__ = ["SCHEMA_VERSION", "checkpoints", "inbox", "ledger", "limits", "metadata", "schema", "tokens", "watermarks"]

SCHEMA_VERSION: Final = 1
"""The version of these tables that this release reads and writes."""

metadata: Final = MetaData()


def _of_values(name: str) -> Table:
    """Return a table of texts by name, each with the instant at which it was written."""
    return Table(
        name,
        metadata,
        Column("name", Text, primary_key=True),
        Column("value", Text, nullable=False),
        Column("updated_at", Text, nullable=False),
    )


schema: Final = Table(
    "controlroom_schema",
    metadata,
    Column("part", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("updated_at", Text, nullable=False),
)
"""One row a part of the schema: the version its tables have."""

ledger: Final = Table(
    "controlroom_ledger",
    metadata,
    Column("key", Text, primary_key=True),
    Column("claimed_at", Text, nullable=False),
)
"""One row for each key that has committed: idempotency key and commit marker in one."""

checkpoints: Final = _of_values("controlroom_checkpoints")
"""The resumable position of a run, as JSON."""

watermarks: Final = _of_values("controlroom_watermarks")
"""Complete up to here, in data time, as tagged JSON (see `controlroom.policy.watermark`)."""

limits: Final = _of_values("controlroom_limits")
"""One row for each rate limit that processes share: how far its places are taken (see `controlroom.policy.shared_pace`)."""

tokens: Final = _of_values("controlroom_tokens")
"""One row for each sign-in that processes share, as JSON. Access and refresh tokens stand in it as they are."""

inbox: Final = Table(
    "controlroom_inbox",
    metadata,
    Column("ref", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", Text),
    Column("lease_until", Float),
    Column("sha256", Text),
    Column("size_bytes", Integer),
    Column("reason", Text),
    Column("updated_at", Text, nullable=False),
)
"""One row for each version of each file that landed: who claims it until when (epoch seconds), what became of it."""

Index("controlroom_inbox_sha256", inbox.c.sha256)
