"""One try of a call, as a flow: wait for the rate limit, send, follow redirects, judge the answer.

Both colours drive it; retries are around it, so that the body's end belongs to the try.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controlroom.clock import current_deadline, is_abandoned, monotonic_s, utcnow
from controlroom.errors import APIContractError
from controlroom.http.addresses import origin_of
from controlroom.http.body import BodySink
from controlroom.http.calls import Call
from controlroom.http.circuits import require_closed, through_circuit
from controlroom.http.classify import error_of_status, translated
from controlroom.http.configuration import Configuration
from controlroom.http.messages import Response
from controlroom.http.retry_after import reset_after_s, retry_after_s
from controlroom.http.shared_limits import hold_shared, require_time_for, take_shared
from controlroom.http.signing_in import rejected, signed_in
from controlroom.http.steps import Coordinate, Pause, Send
from controlroom.http.tracing import Traced
from controlroom.http.under_way import in_flight
from controlroom.logs import get_logger
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.pagination.pages import absolute
from controlroom.policy.rate_limit import LONGEST_HOLD_S, RateLimit
from controlroom.redaction import redact_text

__all__ = ["NewSink", "exchange"]

_MAX_REDIRECTS: Final = 5
_FOLLOWED: Final = ("GET", "HEAD")
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_NOT_DONE_HERE: Final = (301, 307, 308)
_UNAUTHORIZED: Final = 401
_FIRST_ERROR: Final = 400
_WORTH_TELLING_S: Final = 60.0  # shorter holds are the usual play of a limit that is used up
_TURNS: Final = 5  # then it goes: a process that comes late each time would never send anything

_log = get_logger(__name__)


NewSink = Callable[[Call, str, int], BodySink]
"""Makes what takes the answer to a call, from a URL, of at most so many bytes."""

Step = Pause | Send | Coordinate


def exchange(call: Call, configuration: Configuration, new_sink: NewSink = BodySink) -> Flow[Step, Response]:
    """Make one try of *call*.

    Raises:
        APIConnectionError: No connection, or it was lost.
        APITimeoutError: A phase, or the whole, took too long.
        APIStatusError: A status of 400 or more.
        APIContractError: Too large, not coded as it says, or redirected too often or to another origin.
        CircuitOpenError: This origin failed too often a moment ago. Nothing was sent.
        DeadlineExceededError: The rate limit leaves no place before the deadline. Nothing was sent.
    """
    url, token_renewed = call.url, False
    for _ in range(_MAX_REDIRECTS + 1):
        token = yield from signed_in(configuration)
        require_closed(configuration.circuit, call, url)
        response = yield from _asked(call, url, configuration, new_sink)
        if response.status_code == _UNAUTHORIZED and not token_renewed and rejected(token, url, configuration):
            token_renewed = True
            continue
        if response.status_code >= _FIRST_ERROR:
            raise error_of_status(call, response)
        target = _target(call, response)
        if target is None:
            return response
        if reason := configuration.admits(target):
            message = f"{call.what} was redirected to where it must not go: {reason}. The redirect was not followed."
            raise APIContractError(message, method=call.method, url=url)
        url = target
    message = f"{call.what} was redirected more than {_MAX_REDIRECTS} times."
    raise APIContractError(message, method=call.method, url=url)


def _asked(call: Call, url: str, configuration: Configuration, new_sink: NewSink) -> Flow[Step, Response]:
    room, asking = configuration.pace.room, _in_turn(call, url, configuration, new_sink)
    return asking if room is None else in_flight(room, call.what, asking)


def _in_turn(call: Call, url: str, configuration: Configuration, new_sink: NewSink) -> Flow[Step, Response]:
    yield from _turn(call, configuration)
    # Whoever waited for the turn may find a circuit that has opened since.
    answer = _answer(call, url, configuration, new_sink)
    response = yield from through_circuit(configuration.circuit, call, url, answer)
    # What the server says about its limits holds for all requests to it.
    if (hold_s := _hold_s(response, own=origin_of(url) == configuration.origin)) > 0:
        yield from _hold(configuration, url, hold_s)
    return response


def _hold_s(response: Response, *, own: bool) -> float:
    if response.status_code >= _FIRST_ERROR:
        asked_s = retry_after_s(response.headers, utcnow())
        if asked_s is not None:  # overrules a limit's reset (draft-ietf-httpapi-ratelimit-headers-10, section 7)
            return asked_s
    return reset_after_s(response.headers, utcnow) if own else 0.0


def _turn(call: Call, configuration: Configuration) -> Flow[Step, None]:
    """Wait for a free place under the rate limit; nothing is taken where it would come after the deadline.

    Whoever comes too late for the place takes another one: late requests would leave all at once.
    """
    limit = configuration.pace
    for _ in range(_TURNS):
        due_s = _place(call, limit) if limit.shared is None else (yield from take_shared(limit, call.what))
        if (wait_s := due_s - monotonic_s()) > 0:
            yield from _waited_for(call, limit, due_s, wait_s)
        if monotonic_s() <= due_s + limit.late_s:
            return


def _waited_for(call: Call, limit: RateLimit, due_s: float, wait_s: float) -> Flow[Step, None]:
    """Wait for the place that was taken; whoever is interrupted, or waits for nobody any more, does not need it."""
    try:
        yield Pause(wait_s)
    except StepFailed:
        limit.give_back(due_s)
        raise
    if is_abandoned() and (deadline := current_deadline()) is not None:
        limit.give_back(due_s)
        deadline.require(call.what)


def _place(call: Call, limit: RateLimit) -> float:
    deadline, now_s = current_deadline(), monotonic_s()
    if deadline is None:
        return now_s + limit.reserve(now_s)
    deadline.require(call.what)
    wait_s = limit.reserve(now_s, deadline.remaining_s())
    require_time_for(deadline, call.what, wait_s)
    return now_s + wait_s


def _answer(call: Call, url: str, configuration: Configuration, new_sink: NewSink) -> Flow[Step, Response]:
    sink = new_sink(call, url, configuration.max_response_bytes)
    request = configuration.outgoing(call, url)
    traced = Traced(call, request, own=origin_of(url) == configuration.origin)
    began_at_s = monotonic_s()
    try:
        yield Send(request, configuration.timeouts.cut_to(current_deadline()), sink)
    except StepFailed as failed:
        # Of an error the status tells enough: its body may be cut short.
        if not (isinstance(failed.error, Exception) and sink.has_failed_status):
            traced.failed(failed.error)
            if error := translated(failed.error, call):
                raise error from failed.error
            raise
    except GeneratorExit as closed:
        traced.failed(closed)
        raise
    response = sink.response()
    traced.answered(response)
    _log.debug(
        "request_finished",
        method=call.method,
        url=redact_text(url),
        status_code=response.status_code,
        elapsed_s=round(monotonic_s() - began_at_s, 3),
        size_bytes=len(response.content),
    )
    return response


def _hold(configuration: Configuration, url: str, asked_s: float) -> Flow[Step, None]:
    for_s = min(asked_s, LONGEST_HOLD_S)
    if for_s >= _WORTH_TELLING_S:
        _log.warning("rate_limit_held", origin=str(origin_of(url)), for_s=round(for_s, 3), asked_s=round(asked_s, 3))
    if configuration.pace.shared is None:
        configuration.pace.hold(monotonic_s() + for_s)
    else:
        yield from hold_shared(configuration.pace, for_s)


def _target(call: Call, response: Response) -> str | None:
    """Return where the answer sends us, if it does and *call* may go there."""
    location = response.headers.get("location")
    if location is None or response.status_code not in _REDIRECTS:
        return None
    if call.method not in _FOLLOWED:
        _require_done(call, response, location)
        return None
    return absolute(response.url, location).partition("#")[0]


def _require_done(call: Call, response: Response, location: str) -> None:
    """Refuse what says "ask over there instead": taken for success, the write would be lost (RFC 9110 §15.4).

    A 302 and a 303 are what a server says when it has done the work: "and see the result over there".
    """
    if response.status_code in _NOT_DONE_HERE:
        message = (
            f"{call.what} was redirected to {location} ({response.status_code}). It was not carried out, and what changes "
            "something is not sent on to elsewhere. Correct the address."
        )
        raise APIContractError(message, method=call.method, url=response.url)
