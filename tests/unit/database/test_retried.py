"""What a series of attempts may repeat, and what it says about a COMMIT that nobody answered."""

from __future__ import annotations

import pytest

from controlroom.database.retried import Attempts
from controlroom.errors import (
    APITimeoutError,
    CommitInDoubtError,
    Disposition,
    QueryError,
    TransactionConflictError,
)
from controlroom.retrying import Backoff, RetryPolicy
from controlroom.testing import ManualClock

QUICK = RetryPolicy(attempts=5, backoff=Backoff(initial_s=0))


@pytest.fixture(autouse=True)
def clock():
    with ManualClock() as clock:
        yield clock


def run(outcomes, key=None, retry=QUICK):
    """Run a series whose attempts do what *outcomes* say: raise an error, or answer the ledger's question."""
    attempts: Attempts[str] = Attempts(key)
    remaining = list(outcomes)
    bodies = []

    def attempt():
        with attempts.watched():
            outcome = remaining.pop(0)
            if outcome == "claimed already":
                assert not attempts.claimed(False)
                return attempts.settled()
            attempts.claimed(True)
            bodies.append(attempts.remember(f"body {len(bodies) + 1}"))
            if isinstance(outcome, BaseException):
                raise outcome
            return bodies[-1]

    with attempts.truthful():
        return attempts.policy(retry).call(attempt)


def test_a_conflict_is_repeated_whole() -> None:
    assert run([TransactionConflictError("locked"), TransactionConflictError("locked"), "commit"]) == "body 3"


@pytest.mark.parametrize("error", [QueryError("wrong"), APITimeoutError("not the database's"), ValueError("a bug")])
def test_nothing_else_is_repeated(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run([error, "commit"])
    assert caught.value is error


def test_the_callers_own_rule_narrows_further() -> None:
    picky = RetryPolicy(attempts=5, backoff=Backoff(initial_s=0), only_if=lambda _: False)
    with pytest.raises(TransactionConflictError):
        run([TransactionConflictError("locked"), "commit"], retry=picky)


def test_a_doubt_without_a_key_goes_up_at_once() -> None:
    with pytest.raises(CommitInDoubtError) as caught:
        run([CommitInDoubtError("no answer"), "commit"])
    assert caught.value.disposition is Disposition.RECONCILE


def test_a_doubt_with_a_key_is_settled_either_way() -> None:
    assert run([CommitInDoubtError("no answer"), "claimed already"], key="k") == "body 1"
    assert run([CommitInDoubtError("no answer"), "commit"], key="k") == "body 2"
    assert run(["claimed already"], key="k") is None


def test_a_doubt_that_the_ledger_has_settled_is_over() -> None:
    """The second attempt claimed the key: the first one did not land. What fails later fails for itself."""
    with pytest.raises(QueryError):
        run([CommitInDoubtError("no answer"), QueryError("wrong")], key="k")


def test_a_doubt_that_stays_open_is_what_is_raised() -> None:
    doubt = CommitInDoubtError("no answer")
    attempts: Attempts[None] = Attempts("k")
    with pytest.raises(CommitInDoubtError) as caught, attempts.truthful():
        with pytest.raises(CommitInDoubtError), attempts.watched():
            raise doubt
        assert doubt.disposition is Disposition.RETRY
        with attempts.watched():
            raise TransactionConflictError("locked")

    assert caught.value is doubt
    assert doubt.disposition is Disposition.RECONCILE
    assert isinstance(doubt.__cause__, TransactionConflictError)


def test_ctrl_c_is_not_replaced_by_the_doubt_but_knows_of_it() -> None:
    attempts: Attempts[None] = Attempts("k")
    with pytest.raises(KeyboardInterrupt) as caught, attempts.truthful():
        with pytest.raises(CommitInDoubtError), attempts.watched():
            raise CommitInDoubtError("no answer")
        raise KeyboardInterrupt

    assert "in doubt" in caught.value.__notes__[0]
