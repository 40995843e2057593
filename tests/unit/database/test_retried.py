"""What a series of attempts may repeat, and what it says about a COMMIT that nobody answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from controlroom.database import retried
from controlroom.database.ledger import Entry
from controlroom.database.retried import Attempts, awaitable, checked
from controlroom.database.transacting import transacted
from controlroom.database.writes import WriteCount
from controlroom.errors import (
    APITimeoutError,
    CommitInDoubtError,
    ControlRoomError,
    DatabaseUnavailableError,
    DeadlineExceededError,
    Disposition,
    QueryError,
    TransactionConflictError,
)
from controlroom.retrying import Backoff, RetryPolicy
from controlroom.testing import ManualClock

QUICK = RetryPolicy(attempts=5, backoff=Backoff(initial_s=0))
DOUBT = {"pid": 17, "xid": "99"}


@pytest.fixture(autouse=True)
def clock():
    with ManualClock() as clock:
        yield clock


class World:
    """A ledger, and units whose COMMITs do what the plan says: land, raise, or be lost on the way, landed or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *plan: Any, fence: Any = ()) -> None:
        self.rows: dict[str, Entry] = {}
        self.plan, self.fence = list(plan), list(fence)
        self.bodies = 0
        self.ended: list[tuple[int, str]] = []
        monkeypatch.setattr(retried, "claim", self.claim)
        monkeypatch.setattr(retried, "standing", self.standing)
        monkeypatch.setattr(retried, "keep", lambda *_: None)

    def standing(self, _work: Any, key: str) -> Entry | None:
        if self.fence and (error := self.fence.pop(0)) is not None:
            raise error
        return self.rows.get(key)

    def claim(self, work: Any, key: str, _payload: Any = None, owner: str | None = None) -> Entry | None:
        if (found := self.rows.get(key)) is None:
            work.claimed = key, owner
        return found

    def unit(self, *, settles: bool = False) -> Any:
        world = self
        backend = SimpleNamespace(end_session=lambda _work, pid, xid: world.ended.append((pid, xid)))

        class Unit:
            def __init__(self) -> None:
                self._work = SimpleNamespace(claimed=None, will_commit=True, backend=backend)

            def __enter__(self) -> Any:
                return self

            def __exit__(self, _kind: object, error: object, _traceback: object) -> None:
                if error is None and not settles:
                    world.commit(self._work)

            def rollback(self) -> None:
                self._work.claimed = None

        return Unit()

    def commit(self, work: Any) -> None:
        outcome = self.plan.pop(0) if work.claimed is not None or self.plan else "lands"
        if outcome in ("lands", "lost after it landed") and work.claimed is not None:
            key, owner = work.claimed
            self.rows[key] = Entry(owner, f"stored {self.bodies}")
        if outcome in ("lost", "lost after it landed"):
            raise CommitInDoubtError("no answer", token=work.claimed and work.claimed[0], **DOUBT)
        if isinstance(outcome, BaseException):
            raise outcome

    def transact(self, key: str | None = None, retry: RetryPolicy = QUICK) -> Any:
        def body(_uow: Any) -> str:
            self.bodies += 1
            return f"body {self.bodies}"

        attempts: Attempts[str] = Attempts(key, None, retry)
        return transacted(body, attempts, begin=self.unit, fence=lambda: self.unit(settles=True))


@pytest.fixture
def world(monkeypatch):
    return lambda *plan, fence=(): World(monkeypatch, *plan, fence=fence)


def test_a_conflict_is_repeated_whole(world) -> None:
    assert world(TransactionConflictError("locked"), TransactionConflictError("locked"), "lands").transact() == "body 3"


@pytest.mark.parametrize("error", [QueryError("wrong"), APITimeoutError("not the database's"), ValueError("a bug")])
def test_nothing_else_is_repeated(world, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        world(error, "lands").transact()
    assert caught.value is error


def test_the_callers_own_rule_narrows_further(world) -> None:
    picky = RetryPolicy(attempts=5, backoff=Backoff(initial_s=0), only_if=lambda _: False)
    with pytest.raises(TransactionConflictError):
        world(TransactionConflictError("locked"), "lands").transact(retry=picky)


@pytest.mark.parametrize("outcome", ["lost", "lost after it landed"])
def test_a_doubt_without_a_key_goes_up_at_once(world, outcome: str) -> None:
    there = world(outcome, "lands")
    with pytest.raises(CommitInDoubtError) as caught:
        there.transact()
    assert caught.value.disposition is Disposition.RECONCILE
    assert there.bodies == 1


def test_a_doubt_with_a_key_is_settled_either_way(world) -> None:
    assert world("lost after it landed").transact("k") == "body 1"
    assert world("lost", "lands").transact("k") == "body 2"


def test_a_key_that_has_committed_returns_what_was_kept_and_runs_nothing(world) -> None:
    there = world("lands")
    assert there.transact("k") == "body 1"
    assert there.transact("k") == "stored 1"
    assert there.bodies == 1


def test_a_doubt_is_settled_although_no_attempt_is_left(world) -> None:
    once = RetryPolicy(attempts=1)
    assert world("lost after it landed").transact("k", once) == "body 1"
    with pytest.raises(DatabaseUnavailableError, match="did not happen") as caught:
        world("lost").transact("k", once)
    assert isinstance(caught.value.__cause__, CommitInDoubtError)


def test_what_somebody_else_committed_under_the_key_meanwhile_is_returned_as_theirs(world, monkeypatch) -> None:
    """Our unit was rolled back, and theirs got the row: the next attempt finds it."""
    there = world("lost")

    def overtaken(_work: Any, key: str) -> Entry:
        there.rows[key] = Entry("somebody else", "theirs")
        return there.rows[key]

    monkeypatch.setattr(retried, "standing", overtaken)
    assert there.transact("k") == "theirs"
    assert there.bodies == 1


@pytest.mark.parametrize("waited", [TransactionConflictError("lock timeout"), QueryError("statement timeout")])
def test_who_still_holds_the_row_is_ended_and_asked_about_again(world, waited: ControlRoomError) -> None:
    there = world("lost", "lands", fence=[waited, None])

    assert there.transact("k") == "body 2"
    assert there.ended == [(17, "99")]


def test_a_row_that_stays_held_leaves_the_doubt_within_two_waits(world) -> None:
    there = world("lost", fence=[TransactionConflictError("held")] * 9)

    with pytest.raises(CommitInDoubtError) as caught:
        there.transact("k")

    assert len(there.fence) == 7
    assert isinstance(caught.value.__cause__, TransactionConflictError)
    assert caught.value.__notes__ == ["It could not be settled: TransactionConflictError."]
    assert caught.value.disposition is Disposition.RECONCILE
    assert there.bodies == 1


def test_a_server_that_is_away_while_the_doubt_is_settled_is_waited_for(world) -> None:
    there = world("lost after it landed", fence=[DatabaseUnavailableError("restarting")] * 3)

    assert there.transact("k") == "body 1"
    assert there.fence == there.ended == []


def test_a_deadline_that_passes_while_the_doubt_is_settled_leaves_the_doubt(world) -> None:
    with pytest.raises(CommitInDoubtError) as caught:
        world("lost", fence=[DeadlineExceededError("over")]).transact("k")
    assert isinstance(caught.value.__cause__, DeadlineExceededError)


def test_ctrl_c_is_not_replaced_by_the_doubt_but_knows_of_it(world) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        world("lost", fence=[KeyboardInterrupt()]).transact("k")
    assert "in doubt" in caught.value.__notes__[0]


def test_a_body_that_has_not_run_at_all_is_refused() -> None:
    async def body() -> None: ...

    def rows() -> Any:
        yield

    for result in (body(), rows()):
        with pytest.raises(QueryError, match="nothing of it has run"):
            checked(result)
    with pytest.raises(QueryError, match="cannot be awaited"):
        awaitable(7)  # type: ignore[arg-type]  # what it refuses


def test_a_result_that_the_ledger_cannot_keep_is_refused_with_a_key_only(monkeypatch) -> None:
    monkeypatch.setattr(retried, "keep", lambda *_: None)
    work: Any = SimpleNamespace(will_commit=True)
    result = {"when": object()}

    assert Attempts(None, None, None).keep(work, result) is result
    with pytest.raises(QueryError, match=r"not JSON-ready .* rolled back"):
        Attempts("k", None, None).keep(work, result)
    count = WriteCount(1, 2, 3)
    assert Attempts("k", None, None).keep(work, count) is count


@pytest.mark.parametrize(("key", "payload"), [("", None), (7, None), ("k", object()), ("k", float("nan")), (None, {})])
def test_a_key_or_payload_that_is_none_is_refused_before_anything_begins(key: Any, payload: Any) -> None:
    with pytest.raises(QueryError, match="Nothing was"):
        Attempts(key, payload, None)
