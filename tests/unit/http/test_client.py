"""What the client sends, to whom, how often, and what it says when that fails: over a double of the network."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import httpx
import pytest

from controlroom import clock
from controlroom.errors import (
    APIAuthError,
    APIConnectionError,
    APIContractError,
    APIRateLimitError,
    APIStatusError,
    APITimeoutError,
    ConfigError,
    ControlRoomError,
    DataError,
    DeadlineExceededError,
    Disposition,
    PaginationError,
)
from controlroom.http import (
    ApiClient,
    ApiKeyAuth,
    AsyncApiClient,
    BasicAuth,
    BearerAuth,
    CursorPagination,
    Endpoint,
    LinkHeaderPagination,
    NextUrlPagination,
    PageNumberPagination,
    RateLimit,
    Request,
    Response,
    Timeouts,
)
from controlroom.policy import Backoff
from controlroom.redaction import forget_secrets
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS, ask, walk

BASE = "https://api.example.com/v1"
SECRET = "s3cret-t0ken"
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def manual() -> Iterator[ManualClock]:
    with ManualClock() as clock_:
        yield clock_
    forget_secrets()


class Recorder:
    """A handler that answers one thing after the other (the last one for ever) and keeps what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers[min(len(self.seen), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else httpx.Response(answer)


def asked(
    colour: str, handler: Handler, method: str = "GET", path: str = "/x", *, client: Any = None, **options: Any
) -> Response:
    arguments = {"transport": httpx.MockTransport(handler), **(client or {})}
    return ask(colour, BASE, method, path, client=arguments, **options)


def failed(colour: str, handler: Handler, method: str = "GET", path: str = "/x", **more: Any) -> Any:
    with pytest.raises(ControlRoomError) as raised:
        asked(colour, handler, method, path, **more)
    return raised.value


def ok(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"ok": True})


# What is sent


@pytest.mark.parametrize("colour", COLOURS)
def test_a_request_carries_what_it_was_given_and_nothing_twice(colour: str) -> None:
    server = Recorder(ok)

    response = asked(
        colour,
        server,
        "post",
        "/orders?x=1",
        json={"a": "é"},
        params={"q": ["a b", 2], "none": None},
        headers={"X-Trace": "7"},
        client={"headers": {"X-Client": "c"}, "params": {"version": 3}, "auth": BearerAuth(SECRET)},
    )

    (request,) = server.seen
    assert request.method == "POST"
    assert str(request.url) == f"{BASE}/orders?x=1&version=3&q=a%20b&q=2"
    assert request.content == '{"a":"é"}'.encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == "10"
    assert request.headers["host"] == "api.example.com"
    assert request.headers["x-trace"] == "7"
    assert request.headers["x-client"] == "c"
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["accept-encoding"].startswith("gzip, deflate")
    assert len(request.headers.get_list("accept")) == 1
    assert response.json() == {"ok": True}
    assert response.url == f"{BASE}/orders?x=1&version=3&q=a%20b&q=2"


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_the_shorthands_send_their_method(colour: str, method: str) -> None:
    server = Recorder(ok)

    async def asynchronous() -> None:
        async with AsyncApiClient(BASE, transport=httpx.MockTransport(server)) as api:
            await getattr(api, method)("/x", params={"a": 1})

    if colour == "async":
        asyncio.run(asynchronous())
    else:
        with ApiClient(BASE, transport=httpx.MockTransport(server)) as api:
            getattr(api, method)("/x", params={"a": 1})

    assert (server.seen[0].method, server.seen[0].url.query) == (method.upper(), b"a=1")


def test_a_raw_body_is_sent_as_it_is() -> None:
    server = Recorder(ok)

    asked("sync", server, "PUT", content=b"\x00raw", headers={"Content-Type": "application/octet-stream"})

    assert server.seen[0].content == b"\x00raw"


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"json": {"a": 1}, "content": b"x"}, ConfigError),
        ({"json": {"a": float("nan")}}, DataError),
        ({"json": {"a": object()}}, DataError),
        ({"headers": {"X": "a\nb"}}, ConfigError),
        ({"headers": {"Authorization": "  "}}, ConfigError),
        ({"idempotency_key": "a\r\nb"}, ConfigError),
        ({"params": {"a": object()}}, ConfigError),
        ({"path": "https://other.example/x"}, ConfigError),
        ({"path": "http://api.example.com/v1/x"}, ConfigError),
        ({"path": "https://api.example.com@evil.example/"}, ConfigError),
        ({"path": "/a\nb"}, ConfigError),
        ({"method": "GET /"}, ConfigError),
        ({"path": "/" + "x" * 70_000}, ConfigError),
    ],
    ids=count(),
)
@pytest.mark.parametrize("colour", COLOURS)
def test_what_cannot_be_sent_is_refused_before_anything_is(arguments: dict[str, Any], kind: type, colour: str) -> None:
    server = Recorder(ok)

    error = failed(colour, server, **{"method": "POST", **arguments})

    assert type(error) is kind
    assert server.seen == []


# Credentials


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (lambda: {"auth": BearerAuth(SECRET)}, "authorization"),
        (lambda: {"auth": BasicAuth("ada", SECRET)}, "authorization"),
        (lambda: {"auth": ApiKeyAuth(SECRET, header="X-Key")}, "x-key"),
        (lambda: {"auth": ApiKeyAuth(SECRET, param="api_key")}, "query"),
        (lambda: {"headers": {"X-Auth-Token": SECRET}}, "x-auth-token"),
        (lambda: {"params": {"api_key": SECRET}}, "query"),
    ],
    ids=["bearer", "basic", "header", "param", "client header", "client param"],
)
class TestCredentials:
    @pytest.fixture
    def client(self, arguments: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Made when the test runs: it registers the secret, which the end of each test forgets."""
        return arguments()

    def test_they_are_sent_home(self, client: dict[str, Any], place: str) -> None:
        server = Recorder(ok)

        asked("sync", server, client=client)

        sent = str(server.seen[0].url) if place == "query" else server.seen[0].headers[place]
        assert SECRET in sent or "YWRhOnMzY3JldC10MGtlbg==" in sent

    @pytest.mark.parametrize("colour", COLOURS)
    @pytest.mark.parametrize(
        "target",
        [
            "https://other.example/y",
            "http://api.example.com/v1/y",
            "https://api.example.com:444/y",
            "//other.example/y",
        ],
    )
    def test_a_redirect_to_another_origin_is_not_followed(
        self, client: dict[str, Any], place: str, colour: str, target: str
    ) -> None:
        server = Recorder(lambda _: httpx.Response(302, headers={"Location": target}), ok)

        error = failed(colour, server, client=client)

        assert type(error) is APIContractError
        assert len(server.seen) == 1

    @pytest.mark.parametrize("colour", COLOURS)
    def test_an_allowed_host_is_asked_without_them(self, client: dict[str, Any], place: str, colour: str) -> None:
        server = Recorder(lambda _: httpx.Response(302, headers={"Location": "https://cdn.example/y?a=1"}), ok)

        asked(
            colour,
            server,
            headers={"Cookie": "session=1", "X-Own": "1", "Accept": "text/csv", "Authorization": "Bearer other-t0ken"},
            client={**client, "allowed_hosts": ["CDN.example"]},
        )

        text = f"{server.seen[1].url} {server.seen[1].headers.raw}"
        assert server.seen[1].url.host == "cdn.example"
        assert server.seen[1].headers["host"] == "cdn.example"
        assert server.seen[1].headers["accept"] == "text/csv"
        assert SECRET not in text
        assert "YWRhOnMz" not in text
        assert not {"authorization", "cookie", "x-own", "x-key", "x-auth-token"} & set(server.seen[1].headers)

    @pytest.mark.parametrize("colour", COLOURS)
    def test_they_are_shown_nowhere(
        self, client: dict[str, Any], place: str, colour: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)

        def echo(request: httpx.Request) -> httpx.Response:
            return httpx.Response(400, json={"url": str(request.url), "sent": dict(request.headers)})

        error = failed(colour, echo, client=client)
        api = ApiClient(BASE, **client)

        texts = [str(error), repr(error), json.dumps(error.to_dict()), repr(api), str(api), caplog.text]
        texts += [repr(api._configuration), pickle.dumps(error).decode("latin-1")]
        assert all(SECRET not in text and "YWRhOnMzY3JldC10MGtlbg" not in text for text in texts)

    def test_a_link_that_repeats_them_is_cleaned_and_they_are_sent_again(
        self, client: dict[str, Any], place: str
    ) -> None:
        def server(request: httpx.Request) -> httpx.Response:
            if place == "query":
                assert request.url.params.get_list("api_key") == [SECRET]
            following = None if "page" in request.url.params else f"/v1/x?page=2&api_key={SECRET}&token={SECRET}"
            return httpx.Response(200, json={"items": [len(request.url.params)], "next": following})

        endpoint = Endpoint("/x", records="items", pagination=NextUrlPagination("next"))
        with ApiClient(BASE, transport=httpx.MockTransport(server), **client) as api:
            pages = list(api.pages(endpoint))
            resumed = list(api.pages(endpoint, resume=pages[0].checkpoint))

        assert pages[0].checkpoint["next"] == {"url": "/v1/x?page=2"}
        assert [page.records for page in resumed] == [page.records for page in pages[1:]]


def test_a_callable_may_set_credentials_and_sees_each_try_anew() -> None:
    server = Recorder(503, ok)
    signed = iter(range(10))

    def sign(request: Request) -> None:
        assert (request.method, request.url, request.content) == ("PUT", f"{BASE}/x", b"body")
        request.headers["X-Signature"] = f"n{next(signed)}"

    asked("sync", server, "PUT", content=b"body", client={"auth": sign})

    assert [request.headers["x-signature"] for request in server.seen] == ["n0", "n1"]


def test_a_callable_that_returns_no_request_is_refused() -> None:
    error = failed("sync", Recorder(ok), client={"auth": lambda request: {"X-Key": "1"}})

    assert type(error) is ConfigError


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: BearerAuth(""),
        lambda: BearerAuth(None),
        lambda: BasicAuth("a:b", "x"),
        lambda: BasicAuth("a", " "),
        lambda: ApiKeyAuth("k"),
        lambda: ApiKeyAuth("k", header="a", param="b"),
        lambda: ApiClient("api.example.com"),
        lambda: ApiClient("ftp://api.example.com"),
        lambda: ApiClient("https://ada:p4ssw0rd-x@api.example.com"),
        lambda: ApiClient("https://api.example.com?x=1"),
        lambda: ApiClient(BASE, headers={"X": "a\nb"}),
        lambda: ApiClient(BASE, max_response_bytes=0),
        lambda: Timeouts(read_s=0),
        lambda: Timeouts(total_s=float("inf")),
        lambda: Endpoint("/x", pagination=PageNumberPagination),
        lambda: Endpoint("/x", pagination=object()),
        lambda: Endpoint("/x", method="GET /"),
    ],
    ids=count(),
)
def test_what_is_wrong_in_the_configuration_is_said_at_once(wrong: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        wrong()

    assert "p4ssw0rd-x" not in str(refused.value)


def test_a_settings_secret_can_be_handed_over_unopened() -> None:
    class SecretStr:
        def get_secret_value(self) -> str:
            return SECRET

    server = Recorder(ok)
    asked("sync", server, client={"auth": BearerAuth(SecretStr())})

    assert server.seen[0].headers["authorization"] == f"Bearer {SECRET}"


# Redirects


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/v1/y", "y", "https://api.example.com/v1/y#part"])
def test_a_redirect_at_home_is_followed_with_credentials(colour: str, status: int, location: str) -> None:
    server = Recorder(lambda _: httpx.Response(status, headers={"Location": location}), ok)

    response = asked(colour, server, client={"auth": BearerAuth(SECRET)})

    assert str(server.seen[1].url) == "https://api.example.com/v1/y"
    assert server.seen[1].headers["authorization"] == f"Bearer {SECRET}"
    assert response.url == "https://api.example.com/v1/y"


@pytest.mark.parametrize(("redirects", "followed"), [(5, True), (6, False)])
def test_five_redirects_are_enough(redirects: int, followed: bool) -> None:
    server = Recorder(*[lambda _: httpx.Response(302, headers={"Location": "/v1/x"})] * redirects, ok)

    if followed:
        assert asked("sync", server).status_code == 200
    else:
        assert "more than 5" in failed("sync", server).message
    assert len(server.seen) == 6


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_is_not_sent_on_to_elsewhere(method: str) -> None:
    server = Recorder(lambda _: httpx.Response(303, headers={"Location": "/v1/orders/7"}))

    response = asked("sync", server, method)

    assert (response.status_code, response.headers["location"], len(server.seen)) == (303, "/v1/orders/7", 1)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_write_that_was_sent_elsewhere_is_not_taken_for_done(status: int, method: str, colour: str) -> None:
    """From http to https, or to the path with a slash at its end: what most of them mean."""
    server = Recorder(lambda _: httpx.Response(status, headers={"Location": "/v1/orders/"}))

    error = failed(colour, server, method)

    assert type(error) is APIContractError
    assert "not carried out" in error.message
    assert len(server.seen) == 1


def test_a_308_that_leads_nowhere_is_an_answer() -> None:
    """Resumable uploads say so: go on."""
    server = Recorder(lambda _: httpx.Response(308, headers={"Range": "bytes=0-42"}))

    assert asked("sync", server, "PUT").headers["range"] == "bytes=0-42"


@pytest.mark.parametrize(
    "location", [None, "https://[broken", "javascript:alert(1)", "https://evil.example\\@api.example.com/"]
)
def test_a_redirect_that_leads_nowhere(location: str | None) -> None:
    server = Recorder(lambda _: httpx.Response(302, headers={} if location is None else {"Location": location}))

    if location is None:
        assert asked("sync", server).status_code == 302
    else:
        assert type(failed("sync", server)) is APIContractError


# Retries


TRANSIENT = [408, 429, 500, 502, 503, 504, 507, 599]
LASTING = [400, 401, 403, 404, 405, 409, 410, 422, 425, 501]
SAFE = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]
UNSAFE = ["POST", "PATCH"]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("status", TRANSIENT)
@pytest.mark.parametrize("method", SAFE)
def test_a_transient_status_is_repeated_for_methods_that_may_be(colour: str, status: int, method: str) -> None:
    server = Recorder(status, status, ok)

    asked(colour, server, method)

    assert len(server.seen) == 3


@pytest.mark.parametrize("status", LASTING)
@pytest.mark.parametrize("method", SAFE + UNSAFE)
def test_a_lasting_status_is_not_repeated(status: int, method: str) -> None:
    server = Recorder(status)

    error = failed("sync", server, method)

    assert (len(server.seen), error.status_code) == (1, status)
    assert error.disposition is Disposition.STOP
    assert type(error) is (APIAuthError if status in (401, 403) else APIStatusError)


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("status", TRANSIENT)
def test_a_write_without_key_is_sent_once_and_an_outer_policy_must_not_repeat_what_may_be_done(
    method: str, status: int
) -> None:
    server = Recorder(status, ok)

    error = failed("sync", server, method)

    assert len(server.seen) == 1
    refused = status in (408, 429)
    assert error.disposition is (Disposition.RETRY if refused else Disposition.RECONCILE)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("method", UNSAFE)
def test_a_write_with_a_key_is_repeated_with_the_same_key(colour: str, method: str) -> None:
    server = Recorder(503, httpx.ReadTimeout("slow"), ok)

    asked(colour, server, method, json={"a": 1}, idempotency_key="order-7")

    assert [request.headers["idempotency-key"] for request in server.seen] == ["order-7"] * 3
    assert {request.content for request in server.seen} == {b'{"a":1}'}


NEVER_SENT = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.PoolTimeout("busy"),
    httpx.ProxyError("403"),
]
SENT = [httpx.ReadTimeout("slow"), httpx.ReadError("reset"), httpx.RemoteProtocolError("cut"), httpx.CloseError("x")]
UNKNOWN = [httpx.WriteTimeout("slow"), httpx.WriteError("pipe"), OSError("odd"), TimeoutError("odd")]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("error", NEVER_SENT + SENT + UNKNOWN, ids=lambda error: type(error).__name__)
def test_a_lost_read_is_repeated(colour: str, error: Exception) -> None:
    server = Recorder(error, ok)

    asked(colour, server)

    assert len(server.seen) == 2


@pytest.mark.parametrize("error", NEVER_SENT, ids=lambda error: type(error).__name__)
def test_what_was_never_sent_is_repeated_whatever_the_method(error: Exception) -> None:
    server = Recorder(error, ok)

    asked("sync", server, "POST")

    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("error", "sent"),
    [(e, "yes") for e in SENT] + [(e, "unknown") for e in UNKNOWN],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_write_whose_answer_is_lost_is_not_repeated_but_reconciled(error: Exception, sent: str) -> None:
    server = Recorder(error, ok)

    raised = failed("sync", server, "POST")

    assert len(server.seen) == 1
    assert isinstance(raised, APITimeoutError | APIConnectionError)
    assert (raised.disposition, raised.sent) == (Disposition.RECONCILE, sent)
    assert "find out" in raised.message
    assert raised.__cause__ is error


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        (httpx.ConnectTimeout("x"), "connect"),
        (httpx.ReadTimeout("x"), "read"),
        (httpx.WriteTimeout("x"), "write"),
        (httpx.PoolTimeout("x"), "pool"),
    ],
    ids=["connect", "read", "write", "pool"],
)
def test_a_timeout_names_its_phase(error: Exception, phase: str) -> None:
    assert failed("sync", Recorder(error), client={"retry": None}).phase == phase


def test_an_outer_policy_does_not_apply_a_write_twice() -> None:
    server = Recorder(httpx.ReadTimeout("slow"), ok)
    outer = RetryPolicy(attempts=5)

    with pytest.raises(APITimeoutError), ApiClient(BASE, transport=httpx.MockTransport(server)) as api:
        outer.call(api.post, "/orders", json={})

    assert len(server.seen) == 1


def test_a_certificate_that_cannot_be_trusted_is_not_asked_again() -> None:
    import ssl

    error = httpx.ConnectError("verify failed")
    error.__cause__ = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    server = Recorder(error)

    assert failed("sync", server).disposition is Disposition.STOP
    assert len(server.seen) == 1


def test_a_bug_in_a_transport_is_not_dressed_up_as_a_network_error() -> None:
    with pytest.raises(ZeroDivisionError):
        asked("sync", lambda _: 1 // 0)  # type: ignore[arg-type,return-value]  # the bug


@pytest.mark.parametrize("colour", COLOURS)
def test_attempts_are_counted_and_the_error_tells_them(colour: str) -> None:
    server = Recorder(503)

    error = failed(colour, server, client={"retry": RetryPolicy(attempts=3, backoff=Backoff(jitter="none"))})

    assert len(server.seen) == 3
    assert [attempt.wait_s for attempt in error.attempts] == [1.0, 2.0, None]


def test_no_policy_is_one_try() -> None:
    server = Recorder(503)

    failed("sync", server, client={"retry": None})

    assert len(server.seen) == 1


def test_the_users_own_narrowing_of_retries_holds_too() -> None:
    server = Recorder(503)
    never = RetryPolicy(only_if=lambda error: False)

    failed("sync", server, client={"retry": never})

    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("colour", COLOURS)
def test_retry_after_is_waited_exactly(colour: str, status: int, manual: ManualClock) -> None:
    server = Recorder(lambda _: httpx.Response(status, headers={"Retry-After": "17"}), ok)

    asked(colour, server)

    assert manual.sleeps == [17.0]


@pytest.mark.parametrize("colour", COLOURS)
def test_retry_after_beyond_the_total_gives_up_at_once(colour: str, manual: ManualClock) -> None:
    server = Recorder(lambda _: httpx.Response(429, headers={"Retry-After": "61"}))

    error = failed(colour, server)

    assert type(error) is APIRateLimitError
    assert error.retry_after_s == 61.0
    assert (len(server.seen), manual.sleeps) == (1, [])


@pytest.mark.parametrize("colour", COLOURS)
def test_the_total_ends_a_series_of_waits(colour: str, manual: ManualClock) -> None:
    server = Recorder(lambda _: httpx.Response(503, headers={"Retry-After": "4"}))

    failed(colour, server, client={"timeouts": Timeouts(total_s=10), "retry": RetryPolicy(attempts=100)})

    assert manual.sleeps == [4.0, 4.0]


@pytest.mark.parametrize("colour", COLOURS)
def test_the_ambient_deadline_is_tighter_than_the_total(colour: str, manual: ManualClock) -> None:
    server = Recorder(lambda _: httpx.Response(503, headers={"Retry-After": "4"}))

    with clock.deadline(6):
        failed(colour, server)

    assert manual.sleeps == [4.0]


@pytest.mark.parametrize("colour", COLOURS)
def test_after_the_deadline_nothing_is_sent(colour: str) -> None:
    server = Recorder(ok)

    with clock.deadline(0):
        error = failed(colour, server)

    assert type(error) is DeadlineExceededError
    assert server.seen == []


@pytest.mark.parametrize("colour", COLOURS)
def test_each_phase_is_cut_to_what_is_left(colour: str, manual: ManualClock) -> None:
    def late(request: httpx.Request) -> httpx.Response:
        manual.advance(2.5)
        return httpx.Response(503, headers={"Retry-After": "1"})

    server = Recorder(late, ok)
    with clock.deadline(6):
        asked(colour, server)

    assert server.seen[0].extensions["timeout"] == {"connect": 3.0, "read": 5.0, "write": 5.0, "pool": 3.0}
    assert server.seen[1].extensions["timeout"] == {"connect": 2.5, "read": 2.5, "write": 2.5, "pool": 2.5}


def test_the_deadline_of_a_call_does_not_leak_into_what_follows() -> None:
    asked("sync", Recorder(ok))

    assert clock.current_deadline() is None


# Rate limits


@pytest.mark.parametrize("colour", COLOURS)
def test_requests_keep_their_distance_retries_and_redirects_included(colour: str, manual: ManualClock) -> None:
    moved = lambda _: httpx.Response(302, headers={"Location": "/v1/y"})  # noqa: E731 - one of three answers
    server = Recorder(moved, lambda _: httpx.Response(503, headers={"Retry-After": "0"}), moved, ok)

    asked(colour, server, client={"rate_limit": RateLimit(2, per_s=10)})

    assert manual.monotonic_s() == 15.0
    assert len(server.seen) == 4


@pytest.mark.parametrize("colour", COLOURS)
def test_a_place_that_comes_after_the_deadline_is_not_waited_for(colour: str, manual: ManualClock) -> None:
    limit = RateLimit(1, per_s=100)
    server = Recorder(ok)
    asked(colour, server, client={"rate_limit": limit})

    error = failed(colour, server, client={"rate_limit": limit})

    assert type(error) is DeadlineExceededError
    assert (error.needed_s, manual.sleeps, len(server.seen)) == (100.0, [], 1)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("limited", [False, True])
def test_a_server_that_takes_no_more_is_left_alone_until_it_does(
    colour: str, limited: bool, manual: ManualClock
) -> None:
    limit = RateLimit(1000) if limited else None
    used_up = httpx.Response(200, json=[1], headers={"RateLimit": '"default";r=0;t=20', "Link": '</v1/y>; rel="next"'})
    server = Recorder(lambda _: used_up, lambda _: httpx.Response(200, json=[2]))

    outcome = walk(
        colour,
        BASE,
        Endpoint("/x", pagination=LinkHeaderPagination()),
        transport=httpx.MockTransport(server),
        rate_limit=limit,
    )

    assert (outcome.error, outcome.records) == (None, [1, 2])
    assert manual.sleeps == [20.0]


def test_what_a_foreign_host_says_about_its_limits_does_not_hold_back_ours(manual: ManualClock) -> None:
    elsewhere = httpx.Response(200, json=[2], headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "20"})
    link = {"Link": '<https://cdn.example.com/y>; rel="next"'}
    server = Recorder(lambda _: httpx.Response(200, json=[1], headers=link), lambda _: elsewhere, ok)

    with ApiClient(BASE, transport=httpx.MockTransport(server), allowed_hosts=["cdn.example.com"]) as api:
        assert list(api.records(Endpoint("/x", pagination=LinkHeaderPagination()))) == [1, 2]
        api.get("/z")

    assert manual.sleeps == []


def test_retry_after_holds_back_everybody_who_shares_the_limit(manual: ManualClock) -> None:
    limit = RateLimit(1000)
    refused = Recorder(lambda _: httpx.Response(429, headers={"Retry-After": "30"}))
    failed("sync", refused, client={"rate_limit": limit, "retry": None})

    asked("sync", Recorder(ok), client={"rate_limit": limit})

    assert manual.sleeps == [30.0]


USED_UP = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3600"}


@pytest.mark.parametrize("colour", COLOURS)
def test_retry_after_overrules_the_reset_of_a_limit(colour: str, manual: ManualClock) -> None:
    server = Recorder(lambda _: httpx.Response(429, headers={"Retry-After": "2", **USED_UP}), ok)

    asked(colour, server)

    assert manual.sleeps == [2.0]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_429_that_states_a_far_reset_only_says_when_to_come_back(colour: str, manual: ManualClock) -> None:
    server = Recorder(lambda _: httpx.Response(429, headers=USED_UP))

    error = failed(colour, server)

    assert type(error) is APIRateLimitError
    assert (error.retry_after_s, manual.sleeps, len(server.seen)) == (3600.0, [], 1)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_walk_that_a_used_up_limit_ends_can_be_resumed(colour: str, manual: ManualClock) -> None:
    pages = {None: httpx.Response(200, json={"data": [1], "next": "b"}, headers=USED_UP)}
    endpoint = Endpoint("/x", records="data", pagination=CursorPagination("cursor", "next"))
    server = Recorder(lambda request: pages[request.url.params.get("cursor")])

    outcome = walk(colour, BASE, endpoint, transport=httpx.MockTransport(server))

    assert outcome.records == [1]
    assert isinstance(outcome.error, DeadlineExceededError)
    assert outcome.error.checkpoint is not None
    assert pickle.loads(pickle.dumps(outcome.error)).checkpoint["next"] == {"params": {"cursor": "b"}}
    assert manual.sleeps == []


@pytest.mark.parametrize("colour", COLOURS)
def test_a_key_of_this_walk_that_the_server_repeats_in_its_links_is_in_no_checkpoint(colour: str) -> None:
    def page(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("p", 1))
        assert request.url.params.get_list("api_key") == ["walk-key-1"]
        body = {"data": [number], "next": None if number == 3 else f"/v1/x?api_key=walk-key-1&p={number + 1}"}
        return httpx.Response(200, json=body)

    endpoint = Endpoint("/x", records="data", pagination=NextUrlPagination("next"), params={"api_key": "walk-key-1"})
    whole = walk(colour, BASE, endpoint, transport=httpx.MockTransport(page))
    with ApiClient(BASE, transport=httpx.MockTransport(page)) as api:
        first = next(iter(api.pages(endpoint)))
        resumed = list(api.pages(endpoint, resume=first.checkpoint))

    assert (whole.error, whole.records) == (None, [1, 2, 3])
    assert [page.records for page in resumed] == [[2], [3]]
    assert "walk-key-1" not in json.dumps([first.checkpoint, *(page.checkpoint for page in resumed)])
    assert "walk-key-1" not in json.dumps([page.start for page in resumed])


# What errors say


@pytest.mark.parametrize("colour", COLOURS)
def test_a_problem_is_read_and_an_excerpt_of_anything_else_kept(colour: str) -> None:
    problem = {"type": "about:blank", "title": "Out of credit", "detail": "Balance is 30.", "balance": 30}

    def problematic(_: httpx.Request) -> httpx.Response:
        return httpx.Response(402, json=problem, headers={"Content-Type": "application/problem+json; charset=utf-8"})

    error = failed(colour, problematic)
    other = failed(colour, lambda _: httpx.Response(400, html="<h1>" + "x" * 900))

    assert error.problem == problem
    assert "Out of credit: Balance is 30" in error.message
    assert (other.problem, other.body_excerpt) == (None, "<h1>" + "x" * 496)


@pytest.mark.parametrize("body", [b"not json", b"[1]", b"[" * 100_000, b""], ids=count())
def test_a_broken_problem_does_not_hide_the_status(body: bytes) -> None:
    error = failed(
        "sync", lambda _: httpx.Response(400, content=body, headers={"Content-Type": "application/problem+json"})
    )

    assert (error.status_code, error.problem) == (400, None)


class CutBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b'{"half": '
        raise httpx.RemoteProtocolError("cut")

    async def __aiter__(self) -> Any:
        yield b'{"half": '
        raise httpx.RemoteProtocolError("cut")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_status_is_known_even_when_its_body_is_cut(colour: str) -> None:
    """A refusal must not turn into "the effect is unknown"."""
    error = failed(colour, lambda _: httpx.Response(422, stream=CutBody()), "POST")

    assert (type(error), error.status_code, error.disposition) == (APIStatusError, 422, Disposition.STOP)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_body_cut_short_is_within_the_retry(colour: str) -> None:
    server = Recorder(lambda _: httpx.Response(200, stream=CutBody()), ok)

    assert asked(colour, server).json() == {"ok": True}
    assert type(failed(colour, Recorder(lambda _: httpx.Response(200, stream=CutBody())))) is APIConnectionError


@pytest.mark.parametrize("colour", COLOURS)
def test_errors_survive_a_process(colour: str) -> None:
    error = failed(colour, Recorder(503), client={"retry": RetryPolicy(attempts=2)})

    twin = pickle.loads(pickle.dumps(error))

    assert twin.to_dict() == error.to_dict()
    assert len(twin.attempts) == 2


def test_httpx_logs_no_url(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    asked("sync", Recorder(ok), params={"q": "visible"})

    assert [record for record in caplog.records if record.name.startswith("httpx")] == []
    assert "request_finished" in caplog.text


# Walks


def test_a_page_over_the_limit_raises_out_of_the_walk() -> None:
    endpoint = Endpoint("/x")
    outcome = walk(
        "sync",
        BASE,
        endpoint,
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json=["x" * 100])),
        max_response_bytes=50,
    )

    assert type(outcome.error) is APIContractError


@pytest.mark.parametrize("colour", COLOURS)
def test_a_post_endpoint_pages_through_its_body(colour: str) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        assert (request.method, body["query"], request.url.query) == ("POST", "x", b"version=1")
        after = body.get("after", 0)
        return httpx.Response(200, json={"hits": [after], "after": after + 1 if after < 2 else None})

    endpoint = Endpoint(
        "/search", method="post", json={"query": "x"}, records="hits", pagination=CursorPagination("after", "after")
    )
    outcome = walk(colour, BASE, endpoint, transport=httpx.MockTransport(server), params={"version": 1})

    assert (outcome.records, outcome.error) == ([0, 1, 2], None)


@pytest.mark.parametrize("only_reads", [True, False])
def test_a_search_by_post_is_repeated_only_where_the_user_vouches_for_it(only_reads: bool) -> None:
    server = Recorder(503, lambda _: httpx.Response(200, json=[1]))
    endpoint = Endpoint("/search", method="POST", json={}, only_reads=only_reads)

    outcome = walk("sync", BASE, endpoint, transport=httpx.MockTransport(server))

    assert (outcome.error is None) is only_reads
    assert len(server.seen) == 1 + only_reads


@pytest.mark.parametrize("colour", COLOURS)
def test_a_link_to_an_allowed_host_is_walked_without_credentials(colour: str) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        home = request.url.host == "api.example.com"
        assert ("authorization" in request.headers) is home
        return httpx.Response(
            200, json={"items": [1 if home else 2], "next": "https://cdn.example/2" if home else None}
        )

    endpoint = Endpoint("/x", records="items", pagination=NextUrlPagination("next"))
    arguments = {"transport": httpx.MockTransport(server), "auth": BearerAuth(SECRET)}

    assert walk(colour, BASE, endpoint, allowed_hosts=["cdn.example"], **arguments).records == [1, 2]
    refused = walk(colour, BASE, endpoint, **arguments)
    assert type(refused.error) is PaginationError
    assert "allowed_hosts" in str(refused.error)


def test_the_arguments_of_a_walk_are_checked_when_it_is_asked_for() -> None:
    with ApiClient(BASE, transport=httpx.MockTransport(ok)) as api:
        for wrong in ({"nobody": 1}, {}):
            with pytest.raises(ConfigError, match="user"):
                api.pages(Endpoint("/u/{user}"), **wrong)
        with pytest.raises(ConfigError, match="cannot be walked"):
            api.records(Endpoint("https://other.example/x"))
        with pytest.raises(ConfigError, match="checkpoint"):
            api.pages(Endpoint("/x"), resume={"version": 9})


def test_walks_tell_their_pages_and_their_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    walk("sync", BASE, Endpoint("/x"), transport=httpx.MockTransport(lambda _: httpx.Response(200, json=[1, 2])))

    assert "page=1 endpoint=/x records=2" in caplog.text
    assert "endpoint=/x pages=1 records=2 expected=null verified=false" in caplog.text


def test_a_telling_parameter_of_a_walk_is_masked_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outcome = walk(
        "sync",
        BASE,
        Endpoint("/x", params={"api_key": SECRET}),
        transport=httpx.MockTransport(lambda request: httpx.Response(200, json={"you sent": str(request.url)})),
    )

    assert type(outcome.error) is APIContractError
    assert SECRET not in f"{caplog.text} {outcome.error.to_dict()}"


# Life


@pytest.mark.parametrize("colour", COLOURS)
def test_a_closed_client_says_so(colour: str) -> None:
    async def asynchronous() -> None:
        api = AsyncApiClient(BASE, transport=httpx.MockTransport(ok))
        await api.aclose()
        await api.aclose()
        await api.get("/x")

    def sync() -> None:
        api = ApiClient(BASE, transport=httpx.MockTransport(ok))
        api.close()
        api.close()
        api.get("/x")

    with pytest.raises(ConfigError, match="closed"):
        sync() if colour == "sync" else asyncio.run(asynchronous())


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("proxy", ["gopher://proxy.example", "http://proxy.example:port"])
def test_a_proxy_that_cannot_be_used_is_said_so(colour: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    with pytest.raises(ConfigError, match="proxy"):
        ask(colour, BASE)


def test_the_given_transport_is_closed_with_the_client_used_or_not() -> None:
    closed = []

    class Transport(httpx.BaseTransport):
        def close(self) -> None:
            closed.append(True)

    with ApiClient(BASE, transport=Transport()):
        pass

    assert closed == [True]


def test_a_client_is_used_by_many_threads_at_once() -> None:
    server = Recorder(ok)
    found: list[Any] = []
    with ApiClient(BASE, transport=httpx.MockTransport(server)) as api:
        threads = [threading.Thread(target=lambda: found.append(api.get("/x").json())) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == [{"ok": True}] * 20


# Declared clients


class Blog(ApiClient):
    posts = Endpoint("/users/{user}/posts", records="data", pagination=CursorPagination("cursor", "next"))


class AsyncBlog(AsyncApiClient):
    posts = Endpoint("/users/{user}/posts", records="data", pagination=CursorPagination("cursor", "next"))


def blog(request: httpx.Request) -> httpx.Response:
    assert request.url.path == "/v1/users/ada%20l/posts" or request.url.raw_path.startswith(b"/v1/users/ada%20l/posts")
    params: Mapping[str, str] = request.url.params
    number = int(params.get("cursor", "1"))
    return httpx.Response(
        200, json={"data": [f"{params.get('tag')}{number}"], "next": number + 1 if number < 3 else None}
    )


def test_a_declared_client_is_called_by_endpoint() -> None:
    with Blog(BASE, transport=httpx.MockTransport(blog)) as api:
        pages = list(api.posts.pages(user="ada l", params={"tag": "t"}))

        assert list(api.posts(user="ada l")) == ["None1", "None2", "None3"]
        assert [page.records for page in pages] == [["t1"], ["t2"], ["t3"]]
        resumed = api.posts.pages(user="ada l", params={"tag": "t"}, resume=pages[0].checkpoint)
        assert [page.number for page in resumed] == [2, 3]
        assert list(api.records(Blog.posts, user="ada l")) == ["None1", "None2", "None3"]


def test_a_declared_asynchronous_client_is_its_twin() -> None:
    async def use() -> tuple[list[Any], list[int]]:
        async with AsyncBlog(BASE, transport=httpx.MockTransport(blog)) as api:
            records = [record async for record in api.posts(user="ada l")]
            return records, [page.number async for page in api.posts.pages(user="ada l")]

    assert asyncio.run(use()) == (["None1", "None2", "None3"], [1, 2, 3])


def test_an_endpoint_declared_elsewhere_stays_an_endpoint() -> None:
    class Catalogue:
        posts = Endpoint("/posts")

    assert isinstance(Catalogue().posts, Endpoint)
    assert isinstance(Catalogue.posts, Endpoint)
    assert isinstance(Blog.posts, Endpoint)
