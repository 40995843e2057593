"""What an external API can do to us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack

from controlroom.errors.root import ControlRoomError, ErrorContext, common_context
from controlroom.errors.text import kept, plain
from controlroom.errors.values import EX_DATAERR, EX_NOPERM, EX_UNAVAILABLE, Disposition


class APIErrorContext(ErrorContext, total=False):
    """Keyword arguments that every `ExternalAPIError` takes."""

    method: str | None
    url: str | None
    checkpoint: Mapping[str, Any] | None


Sent = Literal["no", "yes", "unknown"]
Phase = Literal["connect", "read", "write", "pool", "total"]


class ExternalAPIError(ControlRoomError):
    """A call to an API failed. ``.method`` and ``.url`` (secrets masked) say which; ``.checkpoint`` resumes a walk."""

    final_exit_code = EX_UNAVAILABLE

    def __init__(self, message: str, **context: Unpack[APIErrorContext]) -> None:
        method, url, checkpoint = context.pop("method", None), context.pop("url", None), context.pop("checkpoint", None)
        super().__init__(message, **common_context(context))
        self.method: str | None = kept(method)
        self.url: str | None = kept(url)
        self.checkpoint: dict[str, Any] | None = None if checkpoint is None else plain(checkpoint)


class APIConnectionError(ExternalAPIError):
    """No connection, or it was lost. ``.sent``: had the request left ("no", "yes", "unknown")?"""

    default_disposition = Disposition.RETRY

    def __init__(self, message: str, *, sent: Sent = "unknown", **context: Unpack[APIErrorContext]) -> None:
        super().__init__(message, **context)
        self.sent: Sent = kept(sent)


class APITimeoutError(ExternalAPIError):
    """A phase took too long: ``.phase`` is connect, read, write, pool or total; ``.sent`` as in a lost connection."""

    default_disposition = Disposition.RETRY

    def __init__(
        self, message: str, *, phase: Phase = "total", sent: Sent = "unknown", **context: Unpack[APIErrorContext]
    ) -> None:
        super().__init__(message, **context)
        self.phase: Phase = kept(phase)
        self.sent: Sent = kept(sent)


class APIStatusError(ExternalAPIError):
    """The server answered with an error status.

    ``.status_code``; ``.problem``: the RFC 9457 body, if it sent one; ``.body_excerpt``: the start of any other body.
    The disposition follows the status: 408, 429 and 5xx except 501 can be repeated (RFC 9110 §15), others not.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int = 0,
        problem: Mapping[str, Any] | None = None,
        body_excerpt: str | None = None,
        **context: Unpack[APIErrorContext],
    ) -> None:
        super().__init__(message, **context)
        by_status = context.get("disposition") is None and self.default_disposition is Disposition.STOP
        if by_status and _is_transient(status_code):
            self.disposition = Disposition.RETRY
        self.status_code: int = kept(status_code)
        self.problem: dict[str, Any] | None = kept(problem)
        self.body_excerpt: str | None = kept(body_excerpt)


def _is_transient(status_code: int) -> bool:
    return status_code in {408, 429} or (500 <= status_code <= 599 and status_code != 501)  # noqa: PLR2004 - RFC 9110


class APIAuthError(APIStatusError):
    """401 or 403: the credentials are missing, expired or not enough."""

    final_exit_code = EX_NOPERM


class APIRateLimitError(APIStatusError):
    """429: too many requests. ``.retry_after_s`` is what the server asked for, if it did."""

    default_disposition = Disposition.RETRY


class APIContractError(ExternalAPIError):
    """The answer is not what was agreed: not JSON, wrong shape, over the size limit. Never retried."""

    final_exit_code = EX_DATAERR

    def __init__(self, message: str, *, body_excerpt: str | None = None, **context: Unpack[APIErrorContext]) -> None:
        super().__init__(message, **context)
        self.body_excerpt: str | None = kept(body_excerpt)


class PaginationError(APIContractError):
    """A walk over pages cannot go on truthfully."""


class CheckpointRejectedError(PaginationError):
    """The server refuses the position that a checkpoint names; it may have expired. ``.status_code`` is what it said."""

    def __init__(self, message: str, *, status_code: int = 0, **context: Unpack[APIErrorContext]) -> None:
        super().__init__(message, **context)
        self.status_code: int = kept(status_code)


class PaginationLoopError(PaginationError):
    """A cursor, a link or a page came back a second time."""


class IncompletePaginationError(PaginationError):
    """The walk ended with another number of records than the server stated: ``.expected``, ``.received``."""

    def __init__(
        self, message: str, *, expected: int = 0, received: int = 0, **context: Unpack[APIErrorContext]
    ) -> None:
        super().__init__(message, **context)
        self.expected: int = kept(expected)
        self.received: int = kept(received)


class CircuitOpenError(ExternalAPIError):
    """Not called: this origin failed too often a moment ago."""

    default_disposition = Disposition.RETRY
