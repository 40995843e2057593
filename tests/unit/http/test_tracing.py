"""Spans as OpenTelemetry's own SDK receives them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from controlroom.errors import APIConnectionError, APIStatusError
from controlroom.http import ApiClient, ApiKeyAuth, AsyncApiClient, Endpoint, LinkHeaderPagination, tracing
from controlroom.policy import Backoff
from controlroom.redaction import forget_secrets
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS, ask

BASE = "https://api.example.com"
AT_ONCE = RetryPolicy(attempts=2, backoff=Backoff(initial_s=0.01, jitter="none"))


@pytest.fixture(autouse=True)
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", lambda: provider.get_tracer("controlroom.http"))
    with ManualClock():
        yield exporter
    forget_secrets()


def sent(spans: InMemorySpanExporter) -> list[tuple[str, Any, bool]]:
    return [told(span) for span in spans.get_finished_spans()]


def told(span: ReadableSpan) -> tuple[str, Any, bool]:
    attributes = span.attributes or {}
    outcome = attributes.get("error.type", attributes.get("http.response.status_code"))
    return span.name, outcome, span.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("colour", COLOURS)
def test_each_request_is_a_span_retries_and_redirects_included(colour: str, spans: InMemorySpanExporter) -> None:
    answers = iter(
        [httpx.Response(503), httpx.Response(302, headers={"Location": "/y"}), httpx.Response(200, text="ok")]
    )

    ask(
        colour,
        BASE,
        path="/x?a=1",
        client={"transport": httpx.MockTransport(lambda _: next(answers)), "retry": AT_ONCE},
    )

    assert sent(spans) == [("GET", "503", True), ("GET", 302, False), ("GET", 200, False)]
    first = spans.get_finished_spans()[0]
    assert first.kind is SpanKind.CLIENT
    assert dict(first.attributes or {}) | {"http.response.body.size": 0} == {
        "http.request.method": "GET",
        "url.full": f"{BASE}/x?a=1",
        "server.address": "api.example.com",
        "server.port": 443,
        "http.response.status_code": 503,
        "http.response.body.size": 0,
        "error.type": "503",
    }


@pytest.mark.parametrize("colour", COLOURS)
def test_a_connection_that_fails_ends_its_span_with_the_error(colour: str, spans: InMemorySpanExporter) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(APIConnectionError):
        ask(colour, BASE, client={"transport": httpx.MockTransport(refuse), "retry": None})

    assert sent(spans) == [("GET", "ConnectError", True)]


def test_a_call_that_is_cancelled_ends_its_span(spans: InMemorySpanExporter) -> None:
    async def main() -> None:
        async def hang(request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

        async with AsyncApiClient(BASE, transport=httpx.MockTransport(hang)) as api:
            task = asyncio.ensure_future(api.get("/x"))
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())

    assert sent(spans) == [("GET", "CancelledError", True)]


def test_the_server_learns_whose_child_its_work_is_and_a_foreign_one_does_not(spans: InMemorySpanExporter) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        link = {} if len(seen) > 1 else {"Link": '<https://cdn.example.com/y>; rel="next"'}
        return httpx.Response(200, json=[len(seen)], headers=link)

    with ApiClient(BASE, transport=httpx.MockTransport(answer), allowed_hosts=["cdn.example.com"]) as api:
        list(api.records(Endpoint("/x", pagination=LinkHeaderPagination())))

    own, foreign = spans.get_finished_spans()
    assert own.context is not None
    parent = f"00-{trace.format_trace_id(own.context.trace_id)}-{trace.format_span_id(own.context.span_id)}"
    assert seen[0].headers["traceparent"].rpartition("-")[0] == parent
    assert "traceparent" not in seen[1].headers
    assert (foreign.attributes or {})["server.address"] == "cdn.example.com"


def test_a_key_in_the_query_is_in_no_span(spans: InMemorySpanExporter) -> None:
    auth = ApiKeyAuth("k3y-in-the-query", param="key")
    refusing = httpx.MockTransport(lambda _: httpx.Response(400))
    with ApiClient(BASE, auth=auth, transport=refusing, retry=None) as api, pytest.raises(APIStatusError):
        api.get("/x")

    assert "k3y-in-the-query" not in str([span.to_json() for span in spans.get_finished_spans()])


def test_without_the_api_nothing_is_traced_and_nothing_breaks(
    monkeypatch: pytest.MonkeyPatch, spans: InMemorySpanExporter
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(tracing, "find_spec", lambda name: None)
    tracing._tracer.cache_clear()
    with ApiClient(BASE, transport=httpx.MockTransport(lambda _: httpx.Response(200))) as api:
        api.get("/x")
    tracing._tracer.cache_clear()

    assert sent(spans) == []


def test_with_the_api_alone_it_is_asked_for_a_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    tracing._tracer.cache_clear()

    assert tracing._tracer() is not None
