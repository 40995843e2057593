"""From the library's exceptions and the server's status codes to our taxonomy."""

from __future__ import annotations

import json
import ssl
from http import HTTPStatus
from typing import Any, Final, Literal

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.errors import (
    APIAuthError,
    APIConnectionError,
    APIRateLimitError,
    APIStatusError,
    APITimeoutError,
    ConfigError,
    ControlRoomError,
    Disposition,
)
from controlroom.http import library
from controlroom.http.calls import Call, Sent
from controlroom.http.messages import Response
from controlroom.http.retry_after import reset_after_s, retry_after_s
from controlroom.redaction import redact_text

__all__ = ["error_of_status", "translated"]

Phase = Literal["connect", "read", "write", "pool", "total"]

# Had the request left? Of a pool, a connection or a proxy tunnel that did not come about: no. Of an answer that did not
# come or broke off: yes. Of a request that broke off: nobody knows how much the server acted on.
_SENT: Final[tuple[tuple[type[Exception], Sent], ...]] = (
    (library.PoolTimeout, "no"),
    (library.ConnectTimeout, "no"),
    (library.ConnectError, "no"),
    (library.ProxyError, "no"),
    (library.ReadTimeout, "yes"),
    (library.ReadError, "yes"),
    (library.RemoteProtocolError, "yes"),
    (library.CloseError, "yes"),
)
_PHASES: Final[dict[type[Exception], Phase]] = {
    library.PoolTimeout: "pool",
    library.ConnectTimeout: "connect",
    library.ReadTimeout: "read",
    library.WriteTimeout: "write",
}
_OURS_TO_MEND = (library.InvalidURL, library.UnsupportedProtocol, library.LocalProtocolError, UnicodeError)
_AUTH = (401, 403)
_TOO_MANY = 429
_SERVER_ERROR = 500
_NOT_IMPLEMENTED = 501
_EXCERPT = 500
_LINE = 200
_NEXT_ACTS: Final = {
    401: " Renew or correct the credentials.",
    403: " Ask for the permission.",
    404: " Correct the path.",
}
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


def translated(error: BaseException, call: Call) -> ControlRoomError | None:
    """Return our error for what sending *call* raised; None for what is not ours to translate (a bug, a cancellation)."""
    if isinstance(error, _OURS_TO_MEND):
        message = f"{call.what} cannot be sent: {error}. Nothing was sent."
        return ConfigError(message)
    sent = _sent(error)
    if isinstance(error, library.TimeoutException | TimeoutError):
        return _timeout(error, call, sent)
    if isinstance(error, library.HTTPError | library.StreamError | OSError):
        return _lost(error, call, sent)
    return None


def _sent(error: BaseException) -> Sent:
    return next((sent for kind, sent in _SENT if isinstance(error, kind)), "unknown")


def _timeout(error: BaseException, call: Call, sent: Sent) -> APITimeoutError:
    deadline = current_deadline()
    is_over = deadline is not None and deadline.is_over
    phase: Phase = next((name for kind, name in _PHASES.items() if isinstance(error, kind) and not is_over), "total")
    what = "the time for the whole call is over" if phase == "total" else f"no progress in time ({phase})"
    message = f"{call.what}: {what}. {call.aftermath(sent)}"
    disposition = call.disposition(sent)
    return APITimeoutError(message, phase=phase, sent=sent, disposition=disposition, method=call.method, url=call.url)


def _lost(error: BaseException, call: Call, sent: Sent) -> APIConnectionError:
    what = "no connection" if sent == "no" else "the connection was lost"
    disposition, aftermath = call.disposition(sent), call.aftermath(sent)
    if certificate := _certificate_error(error):
        # Repeating finds the same certificate; a person has to mend the trust store, the name or the server.
        what, disposition = f"the server's certificate is not to be trusted ({certificate})", Disposition.STOP
    message = f"{call.what}: {what}: {str(error) or type(error).__name__}. {aftermath}"
    return APIConnectionError(message, sent=sent, disposition=disposition, method=call.method, url=call.url)


def _certificate_error(error: BaseException | None) -> str:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return "" if error is None else str(error)


def error_of_status(call: Call, response: Response) -> APIStatusError:
    """Return the error for an answer with a status of 400 or more."""
    status = response.status_code
    problem = _problem(response)
    unsure = _SERVER_ERROR <= status != _NOT_IMPLEMENTED
    aftermath = call.aftermath("yes") if unsure else f"The server refused it.{_NEXT_ACTS.get(status, '')}"
    text = redact_text(response.text)  # before it is cut: half a secret is not recognised
    said = (
        f" It says: {_summary(problem) if problem else _one_line(text)}." if problem or _is_text(response, text) else ""
    )
    message = f"{call.what} was answered with {status}{_phrase(status)}.{said} {aftermath}"
    kind = APIAuthError if status in _AUTH else APIRateLimitError if status == _TOO_MANY else APIStatusError
    return kind(
        message,
        status_code=status,
        problem=problem,
        body_excerpt=None if problem else text[:_EXCERPT] or None,
        retry_after_s=_wait_s(response),
        disposition=call.disposition("yes") if unsure else None,
        method=call.method,
        url=response.url,
    )


def _wait_s(response: Response) -> float | None:
    asked_s = retry_after_s(response.headers, clock.utcnow())
    if asked_s is None and response.status_code == _TOO_MANY:
        return reset_after_s(response.headers, clock.utcnow) or None
    return asked_s


def _phrase(status: int) -> str:
    return f" {_PHRASES[status]}" if status in _PHRASES else ""


def _problem(response: Response) -> dict[str, Any] | None:
    """Return the RFC 9457 body, if the answer has one."""
    if "application/problem+json" not in response.headers.get("content-type", "").lower():
        return None
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _is_text(response: Response, text: str) -> bool:
    kind = response.headers.get("content-type", "").lower()
    return (kind.startswith("text/") or "json" in kind) and bool(text.strip())


def _one_line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split()).rstrip(".")
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"


def _summary(problem: dict[str, Any]) -> str:
    texts = [problem.get(name) for name in ("title", "detail")]
    return ": ".join(text.rstrip(".") for text in texts if isinstance(text, str) and text)[:_EXCERPT] or "nothing"
