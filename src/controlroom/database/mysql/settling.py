"""Ending the session of a lost COMMIT, and no other.

A session that is half open, its client gone and nobody there to tell the server, keeps its locks until TCP gives up. Each
session holds a lock with a name of its own (GET_LOCK), which ends with it: who holds that name is that session.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from controlroom.database.transaction import Transaction

__all__ = ["end_session"]

_WHAT: Final = "ending the session of a lost COMMIT"
_HOLDER: Final = text("SELECT IS_USED_LOCK(:name)")


def end_session(work: Transaction, pid: int, name: str) -> bool:
    """Have the server end the session *pid*, if it still has the name *name*; tell whether it had.

    Its transaction is rolled back, or its COMMIT, where that has begun, comes to its end.

    Raises:
        QueryError: The user of this connection may not: it is another than the session's, without the right to.
    """
    holder = work.run(_WHAT, lambda: work.connection.execute(_HOLDER, {"name": name}).scalar())
    if holder != pid:
        return False
    work.run(_WHAT, lambda: work.connection.exec_driver_sql(f"KILL CONNECTION {int(pid)}"))
    return True
