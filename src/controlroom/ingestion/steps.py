"""What the flows of an inbox yield, and what they carry: written once, performed in either colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controlroom import clock
from controlroom.ingestion.claims import Ticket
from controlroom.ingestion.rejects import Rejects
from controlroom.policy.flow import Flow

__all__ = ["Ask", "EnterUnit", "HashOf", "InUnit", "LeaveUnit", "Parcel", "Step"]


@dataclass(frozen=True, slots=True)
class Ask:
    """Call *call*; in async also await what it returns."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class InUnit:
    """Run *body*, a flow given a unit of work, in one transaction, repeated as a whole on conflict."""

    body: Callable[[Any], Flow[Step, Any]]


@dataclass(frozen=True, slots=True)
class HashOf:
    """Return the SHA-256 of the object *key*, streamed."""

    key: str


@dataclass(frozen=True, slots=True)
class EnterUnit:
    """Open the unit of work of *parcel* and return it."""

    parcel: Parcel


@dataclass(frozen=True, slots=True)
class LeaveUnit:
    """Close the unit of work of *parcel*: commit when *error* is None, else roll back."""

    parcel: Parcel
    error: BaseException | None


Step = Ask | InUnit | HashOf | EnterUnit | LeaveUnit


class Parcel:
    """What belongs to one claimed file until it is settled."""

    def __init__(self, ticket: Ticket, sha256: str, max_rejects: int | None) -> None:
        self.ticket = ticket
        self.sha256 = sha256
        self.rejects: Rejects = Rejects(ticket.info.key, max_rejects)
        self.began_s: float = clock.monotonic_s()
        self.moved_to: str | None = None
        self.fate_is_told = False
        self.unit: Any = None
        self.unit_is_open = False
        self.uow: Any = None

    @property
    def key(self) -> str:
        """The file's key in the store."""
        return self.ticket.info.key

    def elapsed_s(self) -> float:
        """Return how long this worker has had the file."""
        return round(clock.monotonic_s() - self.began_s, 6)
