"""A call through the circuit of its origin: refused while that is open, and reported when it ends."""

from __future__ import annotations

from typing import TypeVar

from controlroom.clock import monotonic_s
from controlroom.errors import APIConnectionError, APITimeoutError, CircuitOpenError
from controlroom.http.addresses import origin_of
from controlroom.http.calls import Call
from controlroom.http.messages import Response
from controlroom.logs import get_logger
from controlroom.policy.circuit import Change, CircuitBreaker, Ticket
from controlroom.policy.flow import Flow

__all__ = ["require_closed", "through_circuit"]

StepT = TypeVar("StepT")

_SERVER_ERROR = 500
_NOT_IMPLEMENTED = 501
_OUR_OWN_HURRY = ("pool", "total")  # phases that end by our limits, however well the server is

_log = get_logger(__name__)


def require_closed(circuit: CircuitBreaker | None, call: Call, url: str) -> None:
    """Refuse a call before it waits for anything; `through_circuit` judges again when it is to be sent.

    Raises:
        CircuitOpenError: The circuit is open. Nothing was sent.
    """
    if circuit is not None:
        origin = str(origin_of(url))
        if (wait_s := circuit.wait_s(origin, monotonic_s())) > 0:
            raise _refused(call, origin, wait_s)


def through_circuit(
    circuit: CircuitBreaker | None, call: Call, url: str, answer: Flow[StepT, Response]
) -> Flow[StepT, Response]:
    """Drive *answer*, one request to *url*, if its circuit lets it through.

    Raises:
        CircuitOpenError: It does not. Nothing was sent.
    """
    if circuit is None:
        return (yield from answer)
    ticket = circuit.admit(str(origin_of(url)), monotonic_s())
    if ticket.wait_s > 0:
        answer.close()
        raise _refused(call, ticket.origin, ticket.wait_s)
    try:
        response = yield from answer
    except (APIConnectionError, APITimeoutError) as error:
        if getattr(error, "phase", None) in _OUR_OWN_HURRY:
            circuit.abandon(ticket)
        else:
            _report(circuit, ticket, succeeded=False)
        raise
    except BaseException:
        circuit.abandon(ticket)
        raise
    _report(circuit, ticket, succeeded=response.status_code < _SERVER_ERROR or response.status_code == _NOT_IMPLEMENTED)
    return response


def _report(circuit: CircuitBreaker, ticket: Ticket, *, succeeded: bool) -> None:
    change = circuit.report(ticket, monotonic_s(), succeeded=succeeded)
    if change is Change.OPENED:
        _log.warning("circuit_opened", origin=ticket.origin, open_s=circuit.open_s)
    elif change is Change.CLOSED:
        _log.info("circuit_closed", origin=ticket.origin)


def _refused(call: Call, origin: str, wait_s: float) -> CircuitOpenError:
    message = (
        f"{call.what} was not sent: the circuit of {origin} is open after too many failures, and lets a probe through in "
        f"{wait_s:.1f} s."
    )
    return CircuitOpenError(message, method=call.method, url=call.url, retry_after_s=wait_s)
