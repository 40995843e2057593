"""A whole unit, tried again: what may be repeated, and what a lost answer to COMMIT means for the attempts after it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import CoroutineType, GeneratorType
from typing import Generic, TypeVar

from controlroom.errors import CommitInDoubtError, ControlRoomError, DatabaseError, Disposition, QueryError
from controlroom.retrying import RetryPolicy

__all__ = ["Attempts", "awaitable"]

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


class Attempts(Generic[T]):
    """The attempts of one ``transact``.

    With a key, COMMIT in doubt may be repeated: the next attempt claims the key again, and the ledger's unique index
    says whether the lost one landed. Should that attempt fail too, the doubt is what has to be reported.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._result: T | None = None
        self._doubt: CommitInDoubtError | None = None

    def policy(self, retry: RetryPolicy | None) -> RetryPolicy:
        """Return *retry*, narrowed to what the database raised."""
        retry = retry or RetryPolicy()
        narrower = retry.only_if

        def repeatable(error: ControlRoomError) -> bool:
            return isinstance(error, DatabaseError) and (narrower is None or narrower(error))

        named = "a unit of work" if self._key is None else f"the unit of work {self._key!r}"
        return replace(retry, only_if=repeatable, what=retry.what or named)

    def claimed(self, first: bool) -> bool:  # noqa: FBT001 - the ledger's answer
        """Take note of what the ledger said about the key; True where the body is to run."""
        if first:
            self._doubt = None  # the lost attempt did not land: its row would be there
        return first

    def remember(self, result: T) -> T:
        """Keep what the body returned, in case its COMMIT turns out to have landed.

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
        self._result = result
        return result

    def settled(self) -> T | None:
        """Return the result for a key that has committed: our own, where the lost attempt was it."""
        return self._result if self._doubt is not None else None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let a commit in doubt be repeated, where there is a key to settle it with."""
        try:
            yield
        except CommitInDoubtError as error:
            if self._key is not None:
                self._doubt, error.disposition = error, Disposition.RETRY
            raise
        self._doubt = None

    @contextmanager
    def truthful(self) -> Iterator[None]:
        """Raise the doubt where it is still open, whatever ended the series."""
        try:
            yield
        except BaseException as last:
            doubt, self._doubt = self._doubt, None
            if doubt is None:
                raise
            doubt.disposition = doubt.default_disposition
            if doubt is last:
                raise
            if not isinstance(last, Exception):
                last.add_note(f"controlroom: an earlier attempt is in doubt: {doubt}")
                raise
            doubt.add_note(f"A later attempt failed too, before it could settle this: {type(last).__name__}.")
            raise doubt from last
