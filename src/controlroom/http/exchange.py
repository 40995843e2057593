"""One try of a call, as a flow: wait for the rate limit, send, follow redirects, judge the answer.

Both colours drive it; retries are around it, so that the body's end belongs to the try.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controlroom.clock import current_deadline, monotonic_s, utcnow
from controlroom.errors import APIContractError, APIStatusError
from controlroom.http.addresses import origin_of
from controlroom.http.body import BodySink
from controlroom.http.calls import Call
from controlroom.http.circuits import through_circuit
from controlroom.http.classify import error_of_status, translated
from controlroom.http.configuration import Configuration
from controlroom.http.messages import Response
from controlroom.http.retry_after import http_date
from controlroom.http.signing_in import rejected, signed_in
from controlroom.http.steps import Pause, Send
from controlroom.http.tracing import Traced
from controlroom.logs import get_logger
from controlroom.policy.flow import Flow, StepFailed
from controlroom.policy.pagination.pages import absolute
from controlroom.policy.quota import quotas_in
from controlroom.redaction import redact_text

__all__ = ["NewSink", "exchange"]

_MAX_REDIRECTS: Final = 5
_FOLLOWED: Final = ("GET", "HEAD")
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_UNAUTHORIZED: Final = 401
_FIRST_ERROR: Final = 400

_log = get_logger(__name__)


NewSink = Callable[[Call, str, int], BodySink]
"""Makes what takes the answer to a call, from a URL, of at most so many bytes."""


def exchange(call: Call, configuration: Configuration, new_sink: NewSink = BodySink) -> Flow[Pause | Send, Response]:
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
        asking = _asked(call, url, configuration, new_sink)
        response = yield from through_circuit(configuration.circuit, call, url, asking)
        if response.status_code == _UNAUTHORIZED and not token_renewed and rejected(token, url, configuration):
            token_renewed = True
            continue
        if response.status_code >= _FIRST_ERROR:
            raise _error(call, response, configuration)
        target = _target(call, response)
        if target is None:
            return response
        if reason := configuration.admits(target):
            message = f"{call.what} was redirected to where it must not go: {reason}. The redirect was not followed."
            raise APIContractError(message, method=call.method, url=url)
        url = target
    message = f"{call.what} was redirected more than {_MAX_REDIRECTS} times."
    raise APIContractError(message, method=call.method, url=url)


def _asked(call: Call, url: str, configuration: Configuration, new_sink: NewSink) -> Flow[Pause | Send, Response]:
    yield from _turn(call, configuration)
    return (yield from _answer(call, url, configuration, new_sink))


def _turn(call: Call, configuration: Configuration) -> Flow[Pause | Send, None]:
    """Wait for a free place under the rate limit; nothing is taken where it would come after the deadline."""
    deadline, limit = current_deadline(), configuration.pace
    if deadline is None:
        wait_s = limit.reserve(monotonic_s())
    else:
        deadline.require(call.what)
        wait_s = limit.reserve(monotonic_s(), deadline.remaining_s())
        deadline.require(f"{call.what} (waiting for the rate limit)", wait_s)
    if wait_s > 0:
        yield Pause(wait_s)


def _answer(call: Call, url: str, configuration: Configuration, new_sink: NewSink) -> Flow[Pause | Send, Response]:
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
    return _heeded(response, url, configuration)


def _heeded(response: Response, url: str, configuration: Configuration) -> Response:
    """Let what the server says about its limits hold for all requests to it."""
    quotas = quotas_in(response.headers, lambda: http_date(response.headers.get("date", "")) or utcnow())
    if quotas and origin_of(url) == configuration.origin:
        configuration.pace.heed(quotas, monotonic_s())
    return response


def _error(call: Call, response: Response, configuration: Configuration) -> APIStatusError:
    error = error_of_status(call, response)
    if error.retry_after_s is not None:
        configuration.pace.hold(monotonic_s() + error.retry_after_s)
    return error


def _target(call: Call, response: Response) -> str | None:
    """Return where the answer sends us, if it does and *call* may go there."""
    location = response.headers.get("location")
    if location is None or response.status_code not in _REDIRECTS or call.method not in _FOLLOWED:
        return None
    return absolute(response.url, location).partition("#")[0]
