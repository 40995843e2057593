from __future__ import annotations

import threading
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from controlroom.clock import deadline
from controlroom.errors import (
    DeadlineExceededError,
    ObjectChangedError,
    ShutdownRequested,
    StorageAccessError,
    StorageUnavailableError,
)
from controlroom.policy.backoff import Backoff
from controlroom.policy.object_calls import Call, Calls, code_of, may_have_happened
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock
from tests.unit.storage.s3.scripted import COLOURS, Scripted, perform, refusal

pytestmark = pytest.mark.parametrize("colour", COLOURS)

FINE = {"ETag": '"x"'}
PUT = Call("PutObject", {"Key": "pre/key", "Body": b"x"})
STEADY = RetryPolicy(backoff=Backoff(initial_s=1.0, jitter="none"))
UNSENT = EndpointConnectionError(endpoint_url="http://x")
UNANSWERED = ReadTimeoutError(endpoint_url="http://x")


def test_a_call_carries_bucket_and_payer_and_its_own_parameters(colour: str) -> None:
    scripted = Scripted(FINE)

    [answer] = perform(colour, scripted, PUT, requester_pays=True)

    assert answer == FINE
    assert scripted.asked == [
        ("put_object", {"Bucket": "bucket", "RequestPayer": "requester", "Key": "pre/key", "Body": b"x"})
    ]


@pytest.mark.parametrize(
    ("failures", "sent"),
    [
        ([UNSENT] * 3, "no"),
        ([refusal("SlowDown", 503)] * 3, "yes"),
        ([UNSENT, refusal("SlowDown", 503), UNSENT], "yes"),
        ([UNANSWERED, UNSENT, UNSENT], "unknown"),
        ([UNANSWERED, refusal("SlowDown", 503), refusal("SlowDown", 503)], "unknown"),
        ([UNSENT, UNSENT, refusal("InternalError", 500)], "unknown"),
    ],
)
def test_what_is_known_of_all_attempts_together_is_told(colour: str, failures: list[Exception], sent: str) -> None:
    with ManualClock():
        [error] = perform(colour, Scripted(*failures), PUT, retry=RetryPolicy(attempts=3))

    assert isinstance(error, StorageUnavailableError)
    assert error.sent == sent
    assert may_have_happened(error) == (sent == "unknown")
    assert len(error.attempts) == 3


@pytest.mark.parametrize(
    ("first", "doubtful"), [(UNANSWERED, True), (UNSENT, False), (refusal("SlowDown", 503), False)]
)
def test_a_refusal_does_not_hide_that_an_earlier_attempt_may_have_won(
    colour: str, first: Exception, doubtful: bool
) -> None:
    with ManualClock():
        [error] = perform(colour, Scripted(first, refusal("PreconditionFailed", 412)), PUT)

    assert isinstance(error, ObjectChangedError)
    assert may_have_happened(error) is doubtful


def test_the_wait_that_the_server_asks_for_is_waited(colour: str) -> None:
    scripted = Scripted(refusal("SlowDown", 503, retry_after="7"), UNSENT, FINE)
    with ManualClock() as clock:
        [answer] = perform(colour, scripted, PUT, retry=STEADY)

    assert answer == FINE
    assert clock.sleeps == [7.0, 2.0]


def test_what_cannot_be_mended_is_asked_once(colour: str) -> None:
    scripted = Scripted(refusal("AccessDenied", 403))

    [error] = perform(colour, scripted, PUT)

    assert isinstance(error, StorageAccessError)
    assert code_of(error) == "AccessDenied"
    assert error.__notes__ == ["Of the answer: RequestId REQ1, HostId HOST1"]


def test_a_conflict_is_tried_again_except_at_the_end_of_an_upload(colour: str) -> None:
    conflict = refusal("ConditionalRequestConflict", 409)
    complete = Call("CompleteMultipartUpload", {"Key": "pre/key", "UploadId": "u"})
    with ManualClock():
        first, second = perform(colour, Scripted(conflict, FINE, conflict), PUT, complete)

    assert first == FINE
    assert isinstance(second, StorageUnavailableError)
    assert second.sent == "yes"
    assert code_of(second) == "ConditionalRequestConflict"


@pytest.mark.parametrize(("code", "renewed"), [("ExpiredToken", 1), ("RequestTimeTooSkewed", 0)])
def test_expired_credentials_and_a_clock_that_slept_get_a_second_chance_at_once(
    colour: str, code: str, renewed: int
) -> None:
    scripted = Scripted(refusal(code), FINE)
    with ManualClock() as clock:
        [answer] = perform(colour, scripted, PUT)

    assert answer == FINE
    assert clock.sleeps == []
    assert scripted.renewed == renewed


def test_the_second_chance_comes_once_in_a_call(colour: str) -> None:
    scripted = Scripted(refusal("ExpiredToken"), UNSENT, refusal("ExpiredToken"))
    with ManualClock():
        [error] = perform(colour, scripted, PUT)

    assert isinstance(error, StorageAccessError)
    assert len(scripted.asked) == 3
    assert scripted.renewed == 1


def test_a_head_without_words_may_mean_expired_credentials(colour: str) -> None:
    scripted = Scripted(refusal("400"), FINE)

    assert perform(colour, scripted, Call("HeadObject", {"Key": "pre/key"})) == [FINE]


def test_nothing_is_begun_after_the_deadline(colour: str) -> None:
    scripted = Scripted()
    with ManualClock() as clock, deadline(5):
        clock.advance(6)
        [error] = perform(colour, scripted, PUT)

    assert isinstance(error, DeadlineExceededError)
    assert not may_have_happened(error)


def test_a_call_that_the_deadline_passed_is_not_told_as_not_begun(colour: str) -> None:
    def late(params: dict[str, Any]) -> Any:
        clock.advance(6)
        raise UNANSWERED

    with ManualClock() as clock, deadline(5):
        [error] = perform(colour, Scripted(late), PUT)

    assert isinstance(error, StorageUnavailableError)
    assert may_have_happened(error)


def test_the_time_of_the_first_attempt_counts(colour: str) -> None:
    def slow(params: dict[str, Any]) -> Any:
        clock.advance(50)
        raise UNSENT

    with ManualClock() as clock:
        [error] = perform(colour, Scripted(slow), PUT, retry=RetryPolicy(max_elapsed_s=10))

    assert isinstance(error, StorageUnavailableError)
    assert [attempt.wait_s for attempt in error.attempts] == [None]


@pytest.mark.parametrize("answer", [{}, {"ResponseMetadata": {}}])
def test_an_empty_answer_is_none(colour: str, answer: dict[str, Any]) -> None:
    [error] = perform(colour, Scripted(answer), PUT, retry=RetryPolicy(attempts=1))

    assert isinstance(error, StorageUnavailableError)
    assert error.sent == "unknown"


def test_what_our_own_code_raises_stays_itself(colour: str) -> None:
    stop = ShutdownRequested("asked to stop")

    assert perform(colour, Scripted(stop), PUT) == [stop]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_goes_up_at_once(colour: str, interruption: type[BaseException]) -> None:
    if colour == "async":
        pytest.skip("asyncio.run has its own way with it")
    [error] = perform(colour, Scripted(interruption()), PUT)

    assert isinstance(error, interruption)
    assert may_have_happened(error)


def test_answers_to_many_calls_come_in_their_order(colour: str) -> None:
    class Echo(Scripted):
        def answer(self, operation: str, params: dict[str, Any]) -> Any:
            return {"ETag": params["Key"]}

    calls = Calls(tuple(Call("HeadObject", {"Key": f"pre/{number}"}) for number in range(40)))

    [answers] = perform(colour, Echo(), calls, parallel=4)

    assert [answer["ETag"] for answer in answers] == [f"pre/{number}" for number in range(40)]
    assert perform(colour, Echo(), Calls(()), Calls((PUT,))) == [[], [{"ETag": "pre/key"}]]


def test_no_more_calls_are_under_way_than_were_allowed(colour: str) -> None:
    class Counting(Scripted):
        def __init__(self) -> None:
            super().__init__()
            self.now = self.most = 0
            self.lock = threading.Lock()
            self.met = threading.Barrier(3)

        def answer(self, operation: str, params: dict[str, Any]) -> Any:
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            if colour == "sync":
                self.met.wait(30)
            with self.lock:
                self.now -= 1
            return FINE

    counting = Counting()
    perform(colour, counting, Calls((PUT,) * 30), parallel=3)

    assert counting.most == (3 if colour == "sync" else 1)


def test_the_first_failure_is_raised_and_those_not_begun_stay_undone(colour: str) -> None:
    class Failing(Scripted):
        def answer(self, operation: str, params: dict[str, Any]) -> Any:
            self.asked.append((operation, params))
            if params["Key"] == "pre/0":
                raise refusal("AccessDenied", 403)
            raise ConnectionClosedError(endpoint_url="http://x")

    failing = Failing()
    calls = Calls(tuple(Call("DeleteObject", {"Key": f"pre/{number}"}) for number in range(200)))
    [error] = perform(colour, failing, calls, parallel=2, retry=RetryPolicy(attempts=1))

    assert isinstance(error, StorageAccessError | StorageUnavailableError)
    assert len(failing.asked) < 200
