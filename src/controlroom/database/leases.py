"""Leases: one worker at a time under a name, and none that comes late."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from controlroom import clock
from controlroom.database.lease_rows import Held, Hold, extend, give_back, lost, take
from controlroom.database.lease_state import LeaseState, Wait
from controlroom.database.unit_of_work import UnitOfWork
from controlroom.errors import CommitInDoubtError, ControlRoomError, LeaseLostError, TransactionConflictError

__all__ = ["Lease"]


class Lease(LeaseState):
    """The right to work under a name, for one worker at a time; made by `Database.lease`.

    Attributes:
        name: Its name.
        owner: This holder: host, process and a random part.
        epoch: The fencing token.
        ttl_s: How long it lasts without a renewal, seconds of the server's clock.
    """

    def __init__(self, begin: Callable[[], UnitOfWork], name: str, ttl_s: float, wait_s: float, *, renew: bool) -> None:
        super().__init__(name, ttl_s, wait_s, renew=renew)
        self._begin = begin
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._abandon: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self.require_new()
        try:
            hold, asked_s = self._waited_for()
        except TransactionConflictError:
            raise  # somebody else has it
        except BaseException:
            self._take_back()
            raise
        self.took(hold, asked_s)
        if self.renews:
            self._start()
        return self

    def _waited_for(self) -> tuple[Hold, float]:
        wait = Wait(self)
        while True:
            asked_s = clock.monotonic_s()
            found = self._taken()
            if isinstance(found, Hold):
                return found, asked_s
            clock.sleep(wait.pause_s(found))

    def _take_back(self) -> None:
        """Undo what may have been taken where nobody will know of it."""
        with contextlib.suppress(ControlRoomError), clock.unhurried(), self._begin() as uow:
            give_back(uow._work, self.name, self.owner)  # noqa: SLF001 - one floor, two files

    def _taken(self) -> Hold | Held:
        try:
            return self._once()
        except CommitInDoubtError:
            return self._once()  # its row says who has it, or is locked until the lost unit has ended
        except TransactionConflictError:
            return Held("an earlier owner, whose last unit has not ended", 0.0)

    def _once(self) -> Hold | Held:
        with self._begin() as uow:
            return take(uow._work, self.name, self.owner, self.ttl_s)  # noqa: SLF001 - one floor, two files

    def _start(self) -> None:
        context, self._abandon = clock.abandonable()
        # A daemon: whoever leaves the process without leaving the block lets the lease expire.
        self._thread = threading.Thread(target=context.run, args=(self._keep,), name=f"lease {self.name}", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._ended.wait(self.interval_s):
            try:
                self.renew()
            except LeaseLostError:
                return
            except ControlRoomError as error:
                if not self._ended.is_set():
                    self.not_renewed(error)

    def renew(self) -> None:
        """Let the lease last ``ttl_s`` seconds from now, by the server's clock.

        Raises:
            LeaseLostError: Another worker has taken it over.
            DatabaseError: It could not be renewed; it lasts as long as before.
        """
        hold, asked_s = self.hold, clock.monotonic_s()
        with self._begin() as uow:
            is_ours = extend(uow._work, hold, self.ttl_s)  # noqa: SLF001 - one floor, two files
        if not is_ours:
            raise self.has_gone()
        self.lasts_from(asked_s)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._abandon()
        try:
            self._give_back()
        except ControlRoomError as failure:
            self.left_to_expire(failure)
        finally:
            if self._thread is not None:
                self._thread.join(self.ttl_s)  # the last renewal may be waiting for a lock
        if error is None and self.is_lost:
            raise lost(self.hold)

    def _give_back(self) -> None:
        if not self.is_lost:
            with clock.unhurried(), self._begin() as uow:
                was_ours = give_back(uow._work, self.name, self.owner)  # noqa: SLF001 - one floor, two files
            self.gave_back(was_ours=was_ours)
