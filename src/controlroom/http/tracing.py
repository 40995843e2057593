"""One OpenTelemetry span for each request that is sent, where OpenTelemetry's API is installed (extra ``otel``).

Names follow the semantic conventions for HTTP client spans (opentelemetry.io/docs/specs/semconv/http/http-spans). What a URL
may not show, a span may not either.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from controlroom.http.addresses import origin_of
from controlroom.http.calls import Call
from controlroom.http.messages import Request, Response
from controlroom.redaction import redact_text

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["Traced"]

_FIRST_ERROR = 400


@cache
def _tracer() -> Any:
    """Return OpenTelemetry's tracer, or None where nobody installed it."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - only where it is installed

    return trace.get_tracer("controlroom.http")


class Traced:
    """The span of one request to our own origin, or to a foreign one; nothing where nobody traces."""

    __slots__ = ("_span",)

    def __init__(self, call: Call, request: Request, *, own: bool) -> None:
        tracer = _tracer()
        self._span: Span | None = None if tracer is None else _begun(tracer, call, request, own=own)

    def answered(self, response: Response) -> None:
        """End the span with what came back."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - as above

            self._span.set_attribute("http.response.status_code", response.status_code)
            self._span.set_attribute("http.response.body.size", len(response.content))
            if response.status_code >= _FIRST_ERROR:
                self._span.set_attribute("error.type", str(response.status_code))
                self._span.set_status(StatusCode.ERROR)
            self._span.end()

    def failed(self, error: BaseException) -> None:
        """End the span with what went wrong."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - as above

            self._span.set_attribute("error.type", type(error).__name__)
            self._span.set_status(StatusCode.ERROR)  # not record_exception(): it would print the error unmasked
            self._span.end()


def _begun(tracer: Any, call: Call, request: Request, *, own: bool) -> Span:
    from opentelemetry import propagate, trace  # noqa: PLC0415 - as above

    origin = origin_of(request.url)
    attributes = {
        "http.request.method": call.method,
        "url.full": redact_text(request.url),
        "server.address": origin.host,
        "server.port": origin.port,
    }
    span: Span = tracer.start_span(call.method, kind=trace.SpanKind.CLIENT, attributes=attributes)
    if own:  # W3C Trace Context, or whatever the application set; what is ours goes to no foreign host
        propagate.inject(request.headers, context=trace.set_span_in_context(span))
    return span
