"""A unit ends committed, rolled back or in doubt: every way through the ending, without a database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controlroom.database.ending import Abandon, AskWhetherCommitted, Commit, Ended, Outcome, RollBack, conclude
from controlroom.errors import CommitInDoubtError, DoomedTransactionError, QueryError, TransactionConflictError
from controlroom.policy.flow import drive
from controlroom.testing import FaultPlan, SimulatedCrash

CONFLICT = TransactionConflictError("locked")
DOUBT = CommitInDoubtError("no answer")


def end(
    failure: BaseException | None = None,
    swallowed: BaseException | None = None,
    commit_raises: BaseException | None = None,
    committed: bool | None = False,
) -> tuple[Ended, list[type]]:
    steps: list[type] = []

    def perform(step: Any) -> Any:
        steps.append(type(step))
        if isinstance(step, Commit) and commit_raises is not None:
            raise commit_raises
        return committed

    return drive(conclude(failure, swallowed), perform), steps


def test_a_clean_exit_commits_and_does_nothing_else() -> None:
    assert end() == (Ended(Outcome.COMMITTED), [Commit])


def test_an_exception_rolls_back_and_never_commits() -> None:
    assert end(failure=ValueError()) == (Ended(Outcome.ROLLED_BACK), [RollBack])


def test_a_swallowed_error_rolls_back_and_is_named() -> None:
    swallowed = QueryError("no such table", table="flights", row_index=3)

    ended, steps = end(swallowed=swallowed)

    assert (ended.outcome, steps) == (Outcome.ROLLED_BACK, [RollBack])
    assert isinstance(ended.error, DoomedTransactionError)
    assert ended.error.__cause__ is swallowed
    assert (ended.error.table, ended.error.row_index) == ("flights", 3)


def test_a_refused_commit_is_rolled_back_even_where_the_database_did_it_already() -> None:
    assert end(commit_raises=CONFLICT) == (Ended(Outcome.ROLLED_BACK, CONFLICT), [Commit, RollBack])


def test_no_clear_answer_to_commit_is_in_doubt_and_the_connection_is_not_used_again() -> None:
    assert end(commit_raises=DOUBT) == (Ended(Outcome.IN_DOUBT, DOUBT), [Commit, Abandon])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
@pytest.mark.parametrize(
    ("committed", "outcome", "then"),
    [
        (False, Outcome.ROLLED_BACK, [RollBack]),
        (True, Outcome.COMMITTED, []),
        (None, Outcome.IN_DOUBT, [Abandon]),  # the connection is gone: it does not know either
    ],
)
def test_whoever_is_interrupted_during_commit_is_told_what_became_of_it(
    interruption: type[BaseException], committed: bool | None, outcome: Outcome, then: list[type]
) -> None:
    error = interruption()

    ended, steps = end(commit_raises=error, committed=committed)

    assert ended == Ended(outcome, error)
    assert error.__notes__ == [f"controlroom: interrupted while the unit of work ended; it is {outcome}."]
    assert steps == [Commit, AskWhetherCommitted, *then]


def test_a_crash_at_commit_performs_nothing_more() -> None:
    steps: list[object] = []
    with FaultPlan.crash(1), pytest.raises(SimulatedCrash):
        drive(conclude(None, None), steps.append)

    assert steps == []
