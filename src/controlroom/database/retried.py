"""A whole unit, tried again: what may be repeated, and what has become of a COMMIT that nobody answered."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import CoroutineType, GeneratorType
from typing import Generic, TypeVar

from controlroom.database.ledger import Entry, as_stored, claim, fingerprint_of, keep, new_owner, require_key, standing
from controlroom.database.settling import EndSession, SettlingStep, not_landed, settle
from controlroom.database.transaction import Transaction
from controlroom.errors import (
    CommitInDoubtError,
    ControlRoomError,
    DatabaseError,
    DatabaseUnavailableError,
    PoolExhaustedError,
    QueryError,
)
from controlroom.policy.flow import Flow
from controlroom.retrying import RetryPolicy

__all__ = ["Attempts", "awaitable", "checked", "performed", "require_body"]

T = TypeVar("T")


def awaitable(outcome: Awaitable[T]) -> Awaitable[T]:
    """Return what a body returned, where it can be awaited.

    Raises:
        QueryError: The body is a plain function.
    """
    if inspect.isawaitable(outcome):
        return outcome
    message = (
        f"The body returned a {type(outcome).__name__}, which cannot be awaited. It was rolled back. "
        "Give AsyncDatabase a coroutine function, Database a plain one."
    )
    raise QueryError(message)


def require_body(fn: object) -> None:
    """Refuse what cannot be called.

    Raises:
        QueryError: *fn* cannot.
    """
    if not callable(fn):
        message = f"transact takes a function of the unit of work, not a {type(fn).__name__}. Nothing was begun."
        raise QueryError(message)


def checked(result: T) -> T:
    """Return what a body returned.

    Raises:
        QueryError: The body is a coroutine or generator function: it has not run at all.
    """
    if isinstance(result, CoroutineType | GeneratorType):
        result.close()
        message = (
            "The body returned a coroutine or generator, so nothing of it has run. It was rolled back. "
            "Give Database a plain function, AsyncDatabase a coroutine function."
        )
        raise QueryError(message)
    return result


class Attempts(Generic[T]):
    """The attempts of one ``transact``.

    Without a key, COMMIT in doubt goes up as it is. With one, it is settled at once, by the ledger: the unit has
    committed, and its result is returned; or it has not, and that is an error like any other before COMMIT, which the
    policy may repeat; or nobody can tell, and the doubt goes up.

    Raises:
        QueryError: The key or the payload is none. Nothing was begun.
    """

    def __init__(self, key: str | None, payload: object, retry: RetryPolicy | None) -> None:
        self.key: str | None = key if key is None else require_key(key)
        if key is None and payload is not None:
            message = "A payload belongs to a key. Nothing was begun. Give transact key=… too."
            raise QueryError(message)
        fingerprint_of(payload)  # refused here, before anything waits for a connection
        self._payload = payload
        self._retry = retry or RetryPolicy()
        self._owner = ""
        self._result: T | None = None

    @property
    def policy(self) -> RetryPolicy:
        """The caller's policy, narrowed to what the database raised."""
        narrower = self._retry.only_if

        def repeatable(error: ControlRoomError) -> bool:
            return isinstance(error, DatabaseError) and (narrower is None or narrower(error))

        named = "a unit of work" if self.key is None else f"the unit of work {self.key!r}"
        return replace(self._retry, only_if=repeatable, what=self._retry.what or named)

    @property
    def settling_policy(self) -> RetryPolicy:
        """The caller's policy for finding out: repeated is only what could not reach the database.

        Who was reached and still holds the row has been waited for and ended already.
        """

        def repeatable(error: ControlRoomError) -> bool:
            return isinstance(error, DatabaseUnavailableError | PoolExhaustedError)

        return replace(self._retry, only_if=repeatable, what=f"settling the unit of work {self.key!r}")

    def has_committed(self, work: Transaction) -> bool:
        """Claim the key, where there is one; True where it has committed before: see `result`."""
        if self.key is None:
            return False
        self._owner = new_owner()
        found = claim(work, self.key, self._payload, self._owner)
        self._result = None if found is None else found.result
        return found is not None

    def keep(self, work: Transaction, result: T) -> T:
        """Return *result*, of the body, and store it beside the key.

        Raises:
            QueryError: The body has not run at all, or the ledger cannot keep *result*.
        """
        self._result = checked(result)
        if self.key is not None and (stored := as_stored(result)) is not None and work.will_commit:
            keep(work, self.key, stored)
        return result

    @property
    def result(self) -> T | None:
        """What the body returned, in this call or in the one that committed."""
        return self._result

    def settle(self, doubt: CommitInDoubtError) -> Flow[SettlingStep, Entry | None]:
        """Find out what stands under the key for good."""
        return settle(self.key or "", doubt.pid, doubt.xid)

    def settled(self, found: Entry | None, doubt: CommitInDoubtError) -> T | None:
        """Return the result, where what was *found* in the ledger is ours.

        Raises:
            DatabaseUnavailableError: It is not: ours has been rolled back.
        """
        if found is not None and found.owner == self._owner:
            return self._result
        raise not_landed(doubt, self.key or "")

    @contextmanager
    def settling(self, doubt: CommitInDoubtError) -> Iterator[None]:
        """Raise *doubt* where it could not be settled, whatever stood in the way."""
        try:
            yield
        except Exception as last:
            doubt.add_note(f"It could not be settled: {type(last).__name__}.")
            raise doubt from last
        except BaseException as last:
            last.add_note(f"controlroom: an earlier attempt is in doubt: {doubt}")
            raise


def performed(step: SettlingStep, work: Transaction) -> Entry | None:
    """Perform one step of settling inside *work*, which is then rolled back."""
    if isinstance(step, EndSession):
        work.backend.end_session(work, step.pid, step.xid)
        return None
    return standing(work, step.key)
