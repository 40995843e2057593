"""When a statement has to stop, and whose limit it was."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterator

from controlroom import clock
from controlroom.database.time_limits import TimeLimit, limit_of

__all__ = ["Stopwatch"]


class Stopwatch:
    """Stops the statement that runs on one connection. `look` is SQLite's progress handler, asked every few thousand steps.

    The handler may be asked in another thread than the one that starts the watch (aiosqlite's), so it reads plain
    attributes only; the ambient deadline is looked up when the watch is started. Setting ``cancelled`` stops the
    statement that runs and refuses those that follow, until it is taken back.

    sqlite3 drops what a progress handler raises, and a signal handler may raise there: it is kept, for the verdict.
    """

    __slots__ = ("_at_s", "_raised", "_time", "_timeout_s", "cancelled", "look")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._at_s: float | None = None
        self._time = TimeLimit(timeout_s)
        self._raised: BaseException | None = None
        self.cancelled: bool = False
        looks = self._looks()
        next(looks)  # up to its first yield, which is inside of its try
        self.look: Callable[[], int] = looks.__next__

    def start(self, what: str) -> None:
        """Give the statement that follows its time.

        Raises:
            DeadlineExceededError: The ambient deadline has passed. The statement was not begun.
            CancelledError: Whoever waits for it has been cancelled meanwhile. The statement was not begun.
        """
        self._raised = None
        if self.cancelled:
            raise CancelledError
        self._time = limit_of(what, self._timeout_s)
        self._at_s = clock.monotonic_s() + self._time.seconds

    def stop(self) -> None:
        """Let what follows take the time it takes: COMMIT and ROLLBACK are never interrupted."""
        self._at_s = self._raised = None

    def _looks(self) -> Iterator[int]:
        """Answer SQLite: 1 interrupts, 0 goes on.

        A generator, because it goes on inside of its try. CPython calls the handler of a waiting signal on the way into
        Python code, which in a function comes before the first try.
        """
        while True:
            try:
                while True:
                    yield int(self._raised is not None or self.cancelled or self._is_over())
            except GeneratorExit:
                return
            except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt above all; the verdict raises it again
                self._raised = self._raised or error

    def _is_over(self) -> bool:
        return self._at_s is not None and clock.monotonic_s() >= self._at_s

    def verdict(self, what: str) -> BaseException | None:
        """Return what to raise for a statement that was interrupted; None where the task was cancelled."""
        if self._raised is not None:
            return self._raised
        if self.cancelled:
            return None
        return self._time.stopped(what)
