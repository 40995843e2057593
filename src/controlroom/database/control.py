"""The tables that controlroom keeps in your database, beside your own. Names begin with ``controlroom_``.

They hold decisions, never data: which keys have committed (`ledger`), where a run stands (`checkpoints`), how far the
data is complete (`watermarks`), which files are whose (`inbox`), which messages are to be handed on (`outbox`) and which
have come before (`received`). All of those are written in the same transaction as the rows they speak of, which is the
point: a claim in another store can disagree with its effect. What processes hand to each other stands beside them: who
owns what until when (`leases`), the counts of shared rate limits (`limits`) and tokens of APIs (`tokens`).

Instants are UTC. Texts of instants are ISO 8601, so that they sort; numbers are epoch seconds.

Version 1: ledger (key and claimed_at only), checkpoints, watermarks, limits, tokens, inbox. Version 2: the other columns of
the ledger; leases, outbox, received. Version 3: the column "sequencer" of the inbox. A column that is added later may be
NULL: `controlroom.database.schema` adds it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table

from controlroom.database.exact_text import ExactText

__all__ = [
    "ADVISORY_CLASS",
    "SCHEMA_VERSION",
    "checkpoints",
    "inbox",
    "leases",
    "ledger",
    "limits",
    "metadata",
    "outbox",
    "received",
    "schema",
    "tokens",
    "watermarks",
]

SCHEMA_VERSION: Final = 3
"""The version of these tables that this release reads and writes."""

ADVISORY_CLASS: Final = 0x63726F6D
"""The first number of this library's advisory locks on PostgreSQL, "crom"; each of them ends with its transaction."""

metadata: Final = MetaData()


def _of_values(name: str) -> Table:
    """Return a table of texts by name, each with the instant at which it was written."""
    return Table(
        name,
        metadata,
        Column("name", ExactText(512), primary_key=True),
        Column("value", ExactText, nullable=False),
        Column("updated_at", ExactText, nullable=False),
    )


schema: Final = Table(
    "controlroom_schema",
    metadata,
    Column("part", ExactText(512), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("updated_at", ExactText, nullable=False),
)
"""One row a part of the schema: the version its tables have."""

ledger: Final = Table(
    "controlroom_ledger",
    metadata,
    Column("key", ExactText(512), primary_key=True),
    Column("claimed_at", ExactText, nullable=False),
    Column("fingerprint", ExactText),
    Column("result", ExactText),
    Column("owner", ExactText),
    Column("epoch", Integer),
    Column("expires_at", Double),
)
"""One row for each key that has committed: idempotency key, commit marker and result in one.

``fingerprint``: SHA-256 of the payload that the key stands for, hexadecimal; NULL where none was given. ``result``: what
the work returned, as JSON in an envelope (see `controlroom.database.ledger`). ``owner`` and ``epoch``: which unit or which
holder of a longer claim wrote it, and how often it was taken over before. ``expires_at``: epoch seconds at which a longer
claim can be taken over; NULL where the work is done. Rows of version 1 have NULL in all of them: they are done.
"""

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
    Column("ref", ExactText(512), primary_key=True),
    Column("version", ExactText(190), primary_key=True),
    Column("state", ExactText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", ExactText),
    Column("lease_until", Double),
    Column("sha256", ExactText(64)),
    Column("size_bytes", BigInteger),
    Column("reason", ExactText),
    Column("updated_at", ExactText, nullable=False),
    Column("sequencer", ExactText),
)
"""One row for each version of each file that landed: who claims it until when (epoch seconds), what became of it.

``sequencer``: the latest notification about the file that was followed, in the form of `ObjectEvent.order`; NULL: none was.
"""

Index("controlroom_inbox_sha256", inbox.c.sha256)

leases: Final = Table(
    "controlroom_leases",
    metadata,
    Column("name", ExactText(512), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", ExactText),
    Column("expires_at", Double, nullable=False),
)
"""One row for each lease: how often it was taken, by whom last (NULL: given back), and until when by the server's clock.

The row without a name says which epochs are spent although their rows have been pruned.
"""

outbox: Final = Table(
    "controlroom_outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("message_id", ExactText, nullable=False),
    Column("topic", ExactText, nullable=False),
    Column("key", ExactText),
    Column("payload", ExactText, nullable=False),
    Column("put_at", Double, nullable=False),
    Column("xid", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("reason", ExactText),
    Column("set_aside_at", Double),
    sqlite_autoincrement=True,
)
"""One row for each message that is to be handed on: gone once it was, marked by ``set_aside_at`` where it cannot be.

``xid``: the number of the transaction that put it, where the server has such numbers (PostgreSQL): the order of ids is the
order in which units asked for them, not the one in which they committed.
"""

received: Final = Table(
    "controlroom_received",
    metadata,
    Column("message_id", ExactText(512), primary_key=True),
    Column("received_at", Double, nullable=False),
)
"""One row for each message that a unit has taken in: the next one with its name is a duplicate."""
