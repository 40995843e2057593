"""One call as it was asked for, and whether it may be sent twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from controlroom.errors import CircuitOpenError, ControlRoomError, DataError, Disposition, ExternalAPIError
from controlroom.http.messages import Headers
from controlroom.redaction import redact_text

__all__ = ["Call", "CallOptions", "encoded"]

# RFC 9110 §9.2: safe or idempotent. TRACE is left out: nobody reads data with it.
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

Sent = Literal["no", "yes", "unknown"]


class CallOptions(TypedDict, total=False):
    """Keyword arguments of ``request`` and its shorthands.

    Attributes:
        params: Added to the query: texts, numbers, bools, lists of them; None is left out.
        json: The body, as JSON.
        content: The body, as it is; not together with *json*.
        headers: For this call, on top of the client's.
        idempotency_key: Sent as ``Idempotency-Key``, the same on each try; makes a POST or PATCH repeatable.
    """

    params: Mapping[str, Any] | None
    json: Any
    content: bytes | None
    headers: Mapping[str, str] | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """A request as asked for: without credentials, before redirects.

    Attributes:
        method: Upper case.
        url: Absolute, query included.
        headers: The caller's own, the content type and the idempotency key.
        content: The body.
        only_reads: The caller vouches that sending it twice is harmless, whatever the method.
    """

    method: str
    url: str
    headers: Headers = field(default_factory=Headers)
    content: bytes = field(default=b"", repr=False)
    only_reads: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether carrying it out twice equals carrying it out once."""
        return self.method in _REPEATABLE or self.only_reads or "Idempotency-Key" in self.headers

    @property
    def what(self) -> str:
        """The call for log lines and messages, secrets masked."""
        return f"{self.method} {redact_text(self.url)}"

    def may_retry(self, error: ControlRoomError) -> bool:
        """Tell whether this call may be sent again after *error*."""
        if not isinstance(error, ExternalAPIError):
            return False
        unsent = isinstance(error, CircuitOpenError) or getattr(error, "sent", "unknown") == "no"
        return self.is_repeatable or unsent

    def disposition(self, sent: Sent) -> Disposition | None:
        """Return what an interrupted call leaves behind: None where the error's own disposition holds."""
        return None if self.is_repeatable or sent == "no" else Disposition.RECONCILE

    def aftermath(self, sent: Sent) -> str:
        """Return the state left behind and the next act, as a sentence."""
        if sent == "no":
            return "Nothing was sent."
        if self.is_repeatable:
            return "Repeating it is harmless."
        return (
            "It may have been carried out: find out before repeating it. An idempotency_key would make it repeatable."
        )


def encoded(value: Any) -> bytes:
    """Return *value* as a JSON body.

    Raises:
        DataError: JSON has no form for it (a NaN, a date, an object).
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The body cannot be written as JSON: {error}. Nothing was sent."
        raise DataError(message) from error
