"""Ending the session of a lost COMMIT, and no other.

A session that is half open, its client gone and nobody there to tell the server, keeps its locks until TCP gives up. The
guard is the transaction's own number: a process number alone is given again, to another session or, behind a pooler, to
another client of the same session. While ``backend_xid`` is ours, that process is still busy with our transaction.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from controlroom.database.transaction import Transaction

__all__ = ["end_session"]

_TERMINATE: Final = text(
    "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
    " WHERE pid = CAST(:pid AS integer) AND backend_xid = CAST(CAST(CAST(:xid AS text) AS xid8) AS xid)"
    " AND datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
)


def end_session(work: Transaction, pid: int, xid: str) -> bool:
    """Have the server end the session *pid*, if it still has the transaction *xid*; tell whether it had.

    It is gone a moment later: whoever waits for its locks gets them then.

    Raises:
        DatabaseError: The user of this connection may not: it is neither the session's own nor has pg_signal_backend.
    """
    ended = work.run(
        "ending the session of a lost COMMIT",
        lambda: work.connection.execute(_TERMINATE, {"pid": pid, "xid": xid}).scalar(),
    )
    return bool(ended)
