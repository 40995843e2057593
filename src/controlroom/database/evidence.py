"""What a COMMIT that nobody answered can be settled with, by a person or by the library."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["NO_EVIDENCE", "Evidence"]


class Evidence(NamedTuple):
    """What is known of a transaction before its COMMIT is sent.

    Attributes:
        token: The ledger key that it claimed: its row commits with the rest.
        pid: The server's process that had it.
        xid: The server's number of it, or whatever else tells it apart from those that follow.
        status_query: What to ask the server about *xid*, where it can be asked.
    """

    token: str | None
    pid: int | None
    xid: str | None
    status_query: str | None = None

    def how_to_settle(self) -> str:
        """Return what a person can do, as sentences."""
        ways = []
        if self.token is not None:
            ways.append(
                f"a row for {self.token!r} in controlroom_ledger whose expires_at is NULL says that it has committed; that "
                "there is none yet proves nothing"
            )
        if self.status_query is not None and self.xid is not None:
            ways.append(
                f"{self.status_query.format(xid=self.xid)} on the same server says committed, aborted, or in progress for as "
                f"long as the server's process {self.pid} has it"
            )
        if not ways:
            return "look for what it wrote. db.transact(fn, key=…) finds out by itself."
        return f"{'; '.join(ways)}. db.transact(fn, key=…) finds out by itself."


NO_EVIDENCE: Final = Evidence(None, None, None)
"""Of whatever is no COMMIT."""
