"""Reading more rows than fit into memory: one query, chunk by chunk. Written once for both colours."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Executable, Result, Row

from controlroom.database.classify import converting
from controlroom.database.statements import executable, parameters_of
from controlroom.database.transaction import Transaction
from controlroom.errors import QueryError

__all__ = ["Stream"]


class Stream:
    """The rows of one query, fetched by the chunk. Each chunk has the statement's time limit to itself."""

    def __init__(self, work: Transaction, statement: str | Executable, params: Any, chunk: int) -> None:
        if chunk < 1:
            message = f"chunk={chunk} would never read anything. Nothing was run. Give 1 or more."
            raise QueryError(message)
        self._work = work
        self._statement, self._what = executable(statement)
        self._parameters = parameters_of(self._statement, params, work.backend)
        self._chunk = chunk
        self._result: Result[Any] | None = None

    def next_chunk(self) -> list[Row[Any]]:
        """Return the next rows; an empty list at the end."""
        return self._work.run(self._what, self._fetch)

    def _fetch(self) -> list[Row[Any]]:
        if self._result is None:
            options = {"stream_results": True, "max_row_buffer": self._chunk}
            self._result = self._work.connection.execute(self._statement, self._parameters, execution_options=options)
        with converting():
            return list(self._result.fetchmany(self._chunk))

    def close(self) -> None:
        """Let go of the cursor."""
        if self._result is not None:
            self._result.close()
