"""Who may claim a file, and the order in which its fate is carried out."""

from __future__ import annotations

import csv

import pytest

from controlroom.errors import (
    APITimeoutError,
    CommitInDoubtError,
    ConfigError,
    DataError,
    Disposition,
    NothingToDo,
    ShutdownRequested,
    StorageAccessError,
    StorageUnavailableError,
)
from controlroom.policy.delivery import (
    Archive,
    Claim,
    ClaimRow,
    Commit,
    Forget,
    Found,
    LeaveAlone,
    MarkQuarantined,
    MoveToQuarantine,
    PublishReason,
    PublishRejects,
    Release,
    Rollback,
    Settled,
    is_about_content,
    is_worth_repeating,
    judge_claim,
    reason_of,
    settle,
)
from controlroom.policy.flow import drive


def settled(error, *, attempt=1, max_attempts=5, failing=None):
    """Drive the flow; *failing* maps a step's class to what performing it raises. Returns the outcome and the steps."""
    steps = []

    def perform(step):
        steps.append(step)
        if failing and type(step) in failing:
            raise failing[type(step)]

    return drive(settle(error, attempt=attempt, max_attempts=max_attempts), perform), steps


def kinds(steps):
    return [type(step) for step in steps]


def test_a_file_nobody_knows_is_claimed_as_the_first_attempt():
    assert judge_claim(None, now_s=0, max_attempts=5) == Claim(1)


def test_a_released_file_is_claimed_again_and_the_attempt_counts():
    assert judge_claim(ClaimRow("released", 2, None), now_s=0, max_attempts=5) == Claim(3)


@pytest.mark.parametrize(("now_s", "verdict"), [(99.9, LeaveAlone()), (100.0, Claim(2)), (100.1, Claim(2))])
def test_a_claim_holds_until_its_lease_ends_and_not_longer(now_s, verdict):
    assert judge_claim(ClaimRow("claimed", 1, 100.0), now_s=now_s, max_attempts=5) == verdict


def test_a_claim_without_a_lease_is_free():
    assert judge_claim(ClaimRow("claimed", 1, None), now_s=0, max_attempts=5) == Claim(2)


@pytest.mark.parametrize("state", ["done", "skipped"])
def test_a_file_that_was_done_but_not_archived_is_archived_and_never_worked_on_again(state):
    assert judge_claim(ClaimRow(state, 1, None), now_s=0, max_attempts=5) == Found("archive")


def test_a_quarantine_that_was_decided_but_not_carried_out_is_carried_out_with_its_reason():
    row = ClaimRow("quarantined", 1, None, "bad header")
    assert judge_claim(row, now_s=0, max_attempts=5) == Found("quarantine", "bad header")


@pytest.mark.parametrize("row", [ClaimRow("claimed", 5, 1.0), ClaimRow("released", 6, None)])
def test_a_file_whose_workers_all_died_is_poison_and_not_claimed_for_ever(row):
    verdict = judge_claim(row, now_s=2.0, max_attempts=5)
    assert isinstance(verdict, Found)
    assert verdict.fate == "quarantine"
    assert f"claimed {row.attempt} times and never finished" in (verdict.reason or "")


def test_poison_keeps_the_reason_of_its_last_failure():
    row = ClaimRow("released", 5, None, "APITimeoutError: no answer")
    assert judge_claim(row, now_s=0, max_attempts=5) == Found("quarantine", "APITimeoutError: no answer")


def test_the_last_attempt_allowed_is_still_made():
    assert judge_claim(ClaimRow("released", 4, None), now_s=0, max_attempts=5) == Claim(5)


def test_nothing_is_archived_before_the_commit():
    outcome, steps = settled(None)
    assert steps == [PublishRejects(), Commit(), Archive()]
    assert outcome == Settled("ingested")


def test_a_commit_that_failed_rolls_back_and_releases_and_archives_nothing():
    lost = StorageUnavailableError("away")
    outcome, steps = settled(None, failing={Commit: lost})
    assert kinds(steps) == [PublishRejects, Commit, Rollback, Release]
    assert outcome == Settled("released", lost, goes_up=False)


def test_rejects_that_cannot_be_written_stop_the_commit():
    outcome, steps = settled(None, failing={PublishRejects: StorageAccessError("read-only")})
    assert Commit not in kinds(steps)
    assert outcome.outcome == "released"
    assert outcome.goes_up


def test_a_commit_in_doubt_is_not_released_because_the_row_may_say_done():
    doubt = CommitInDoubtError("no answer")
    outcome, steps = settled(None, failing={Commit: doubt})
    assert kinds(steps) == [PublishRejects, Commit, Rollback]
    assert outcome == Settled("released", doubt, goes_up=True)


def test_an_archive_that_fails_is_left_to_the_next_run_because_the_data_is_committed():
    away = StorageUnavailableError("away")
    outcome, steps = settled(None, failing={Archive: away})
    assert kinds(steps) == [PublishRejects, Commit, Archive]
    assert outcome == Settled("ingested", away, goes_up=False)


def test_an_archive_that_is_forbidden_goes_up_because_somebody_must_act():
    outcome, _ = settled(None, failing={Archive: StorageAccessError("read-only")})
    assert outcome.outcome == "ingested"
    assert outcome.goes_up


WRONG_CONTENT = [
    DataError("bad header"),
    csv.Error("line contains NUL"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]


@pytest.mark.parametrize("error", WRONG_CONTENT, ids=lambda error: type(error).__name__)
def test_wrong_content_is_quarantined_with_the_decision_recorded_and_the_reason_written_first(error):
    outcome, steps = settled(error)
    reason = reason_of(error)
    assert steps == [Rollback(error), MarkQuarantined(reason), PublishReason(reason, error), MoveToQuarantine()]
    assert outcome == Settled("quarantined", error, goes_up=False)


@pytest.mark.parametrize("failing", [PublishReason, MoveToQuarantine])
def test_a_quarantine_that_cannot_be_carried_out_stays_decided(failing):
    away = StorageUnavailableError("away")
    outcome, _ = settled(DataError("bad"), failing={failing: away})
    assert outcome == Settled("quarantined", away, goes_up=False)


def test_a_quarantine_that_cannot_be_recorded_is_no_quarantine():
    away = StorageUnavailableError("no database")
    with pytest.raises(StorageUnavailableError):
        settled(DataError("bad"), failing={MarkQuarantined: away})


def test_a_failure_that_may_pass_releases_the_file_and_lets_the_loop_go_on():
    error = APITimeoutError("no answer")
    outcome, steps = settled(error, attempt=4)
    assert steps == [Rollback(error), Release(reason_of(error), counted=True)]
    assert outcome == Settled("released", error, goes_up=False)


def test_the_last_failed_attempt_quarantines_and_says_how_many_there_were():
    error = APITimeoutError("no answer")
    outcome, steps = settled(error, attempt=5)
    assert kinds(steps) == [Rollback, MarkQuarantined, PublishReason, MoveToQuarantine]
    assert "attempt 5 of 5 failed: APITimeoutError: no answer" in steps[1].reason
    assert outcome.outcome == "quarantined"


def test_nothing_to_do_is_marked_and_archived_without_effects():
    error = NothingToDo("an empty export")
    outcome, steps = settled(error)
    assert steps == [Rollback(error), Forget(), Archive()]
    assert outcome == Settled("skipped", error)


@pytest.mark.parametrize("error", [ConfigError("wrong"), KeyError("a bug")], ids=["stop", "bug"])
def test_what_a_person_must_mend_goes_up_after_rollback_and_release(error):
    outcome, steps = settled(error, attempt=5)
    assert steps == [Rollback(error), Release(reason_of(error), counted=True)]
    assert outcome == Settled("released", error, goes_up=True)


@pytest.mark.parametrize("error", [ShutdownRequested("SIGTERM"), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_being_stopped_is_not_the_files_fault(error):
    outcome, steps = settled(error, attempt=5)
    assert steps == [Rollback(error), Release(reason_of(error), counted=False)]
    assert outcome == Settled("released", error, goes_up=True)


def test_a_release_that_fails_does_not_hide_why_the_file_failed():
    error = APITimeoutError("no answer")
    outcome, _ = settled(error, failing={Release: StorageUnavailableError("no database")})
    assert outcome == Settled("released", error, goes_up=False)
    assert error.__notes__ == [
        "The claim was not given back (StorageUnavailableError: no database); it ends with its lease."
    ]


def test_only_errors_of_text_and_csv_are_about_content():
    assert [is_about_content(error) for error in (*WRONG_CONTENT[1:], ValueError("x"), OSError(5, "x"))] == [
        True,
        True,
        False,
        False,
    ]


def test_a_shutdown_is_never_a_reason_to_repeat_here():
    assert ShutdownRequested("x").disposition is Disposition.RETRY
    assert not is_worth_repeating(ShutdownRequested("x"))
    assert is_worth_repeating(APITimeoutError("x"))


def test_a_reason_is_one_line():
    assert reason_of(DataError("first\nsecond")) == "DataError: first"
