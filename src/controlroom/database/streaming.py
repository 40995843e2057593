"""Reading more rows than fit into memory: one query, chunk by chunk, and on behind the last row after a lost connection."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Result, Row, SelectBase

from controlroom.database.backend import Backend
from controlroom.database.classify import converting
from controlroom.database.ending import Outcome, RollBack
from controlroom.database.grammar import grammar_for
from controlroom.database.mapping import Mapper, require_makes
from controlroom.database.resuming import Resumable
from controlroom.database.statements import executable, parameters_of
from controlroom.database.transaction import Transaction
from controlroom.database.unit_of_work import UnitOfWork
from controlroom.errors import DatabaseError, QueryError
from controlroom.policy.quantities import is_whole
from controlroom.retrying import RetryPolicy

__all__ = ["STREAM_ENDED", "Reading", "streamed"]

T = TypeVar("T")

STREAM_ENDED: Final = RollBack("the stream ended")
_CURSORS_READ: Final = {"SELECT", "VALUES", "TABLE", "WITH"}


class Reading(Generic[T]):
    """The rows of one query, fetched by the chunk. Each chunk has the statement's time limit to itself.

    Written once for both colours; `streamed` and ``streamed_async`` open and close its connections.

    Raises:
        QueryError: The statement, its parameters or an option is wrong. Nothing was run.
    """

    def __init__(
        self,
        backend: Backend,
        statement: Any,
        params: Any,
        *,
        chunk: int,
        into: Callable[..., T] | None,
        resume_by: Sequence[str] | None,
        retry: RetryPolicy | None,
    ) -> None:
        if not is_whole(chunk) or chunk < 1:
            message = f"chunk={chunk!r} would never read anything. Nothing was run. Give a whole number, 1 or more."
            raise QueryError(message)
        require_makes(into)
        grammar = grammar_for(backend.url.drivername)
        self._statement, self._what = executable(statement, grammar)
        self._parameters = parameters_of(self._statement, params, backend)
        if isinstance(self._parameters, list):
            message = "A stream runs its query once. Nothing was run. Give one mapping of parameters."
            raise QueryError(message)
        self._chunk = chunk
        self._into = into
        self._mapper: Mapper[T] | None = None
        self._behind = None if resume_by is None else Resumable(self._statement, self._what, resume_by, grammar)
        self._retry = retry or RetryPolicy()
        self._work: Transaction | None = None
        self._result: Result[Any] | None = None
        self.is_over: bool = False

    @property
    def policy(self) -> RetryPolicy | None:
        """When to go on on another connection; None where that was not asked for."""
        if self._behind is None:
            return None
        return self._retry.named(
            f"{self._what}, on behind row {self._behind.count}", only_if=lambda error: isinstance(error, DatabaseError)
        )

    @property
    def is_open(self) -> bool:
        """Whether it has a connection that it can go on with."""
        return self._work is not None

    def open(self, work: Transaction) -> None:
        """Go on by *work*."""
        self._work = work

    def next_chunk(self) -> list[Row[Any]]:
        """Return the next rows; an empty list at the end."""
        if self._work is None or self.is_over:
            return []
        try:
            rows = self._work.run(self._what, self._fetch)
        except BaseException:
            self._work = None
            raise
        self.is_over = len(rows) < self._chunk
        if self._behind is not None:
            self._behind.note(rows)
        return rows

    def _fetch(self) -> list[Row[Any]]:
        if self._result is None:
            self._result = self._begun()
        with converting():
            return list(self._result.fetchmany(self._chunk))

    def _begun(self) -> Result[Any]:
        assert self._work is not None  # noqa: S101 - next_chunk has looked
        statement, parameters = self._statement, self._parameters
        if self._behind is not None:
            statement, more = self._behind.query()
            parameters = {**(parameters or {}), **more}
        can_be_declared = isinstance(statement, SelectBase) or self._what in _CURSORS_READ
        options = {"stream_results": True, "max_row_buffer": self._chunk} if can_be_declared else {}
        result = self._work.connection.execute(statement, parameters, execution_options=options)
        if self._into is not None and self._mapper is None and result.returns_rows:
            self._mapper = Mapper(self._into, tuple(result.keys()))
        return result

    def made(self, rows: list[Row[Any]]) -> Iterable[Any]:
        """Return *rows* as what was wanted."""
        return rows if self._mapper is None else self._mapper(rows)

    def close(self) -> None:
        """Let go of the cursor; where the connection is lost, it is lost with it."""
        result, self._result, self._work = self._result, None, None
        if result is not None:
            result.close()


def streamed(begin: Callable[[], UnitOfWork], reading: Reading[Any]) -> Generator[Any, None, None]:
    """Yield what *reading* reads, by units of *begin*, which are rolled back however this ends."""
    with ExitStack() as stack:

        def fetch() -> list[Row[Any]]:
            if not reading.is_open:
                stack.close()
                work = stack.enter_context(begin())._work  # noqa: SLF001 - one floor, two files
                stack.callback(end, work)
                reading.open(work)
            return reading.next_chunk()

        def end(work: Transaction) -> None:
            try:
                reading.close()
            finally:
                work.perform(STREAM_ENDED)
                work.outcome = Outcome.ROLLED_BACK

        while not reading.is_over:
            policy = reading.policy
            yield from reading.made(fetch() if policy is None else policy.call(fetch))
