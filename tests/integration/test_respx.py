"""Other people's doubles in users' tests: respx in each of its ways, and doubles put in the place of httpx's transports.

Not among `test_http…`: respx patches httpx alone, so these have nothing to say about its fork.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpcore
import httpx
import pytest
import respx

from controlroom.errors import APIConnectionError, APIContractError, APIStatusError, APITimeoutError
from controlroom.http import ApiClient, AsyncApiClient, BearerAuth, Endpoint, LinkHeaderPagination, PageNumberPagination
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from tests.integration.http_colours import COLOURS, ask, walk
from tests.integration.http_server import Answer, serving

pytestmark = pytest.mark.integration

BASE = "https://api.example.test"
AT_ONCE = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.0))
WAYS = ("httpcore", "httpx")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def mocked(using: str, **options: Any) -> respx.MockRouter:
    return respx.mock(using=using, **options)


class Kept:
    """A client of either colour that lives longer than one call, blocking."""

    def __init__(self, colour: str, url: str = BASE, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.api: Any = (AsyncApiClient if colour == "async" else ApiClient)(url, **options)

    def get(self, path: str) -> Any:
        found = self.api.get(path)
        return self.loop.run_until_complete(found) if asyncio.iscoroutine(found) else found

    def close(self) -> None:
        if isinstance(self.api, AsyncApiClient):
            self.loop.run_until_complete(self.api.aclose())
        else:
            self.api.close()
        self.loop.close()


@pytest.fixture
def kept() -> Iterator[Callable[..., Kept]]:
    made: list[Kept] = []

    def make(*args: Any, **options: Any) -> Kept:
        made.append(Kept(*args, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"])
def test_every_method_is_seen_with_all_that_it_carries(method: str, using: str, colour: str) -> None:
    carries = {"json": {"a": "é"}} if method in {"POST", "PUT", "PATCH"} else {}
    with mocked(using) as router:
        route = router.request(method, f"{BASE}/v1/x", params={"q": "a b", "page": "1"}, headers={"X-Client": "me"})
        route.respond(201, json={"ok": True}, headers={"X-From": "respx"})
        client = {"headers": {"X-Client": "me"}, "auth": BearerAuth("t0ken-for-respx")}
        response = ask(colour, BASE, method, "/v1/x", client=client, params={"q": "a b", "page": 1}, **carries)

    request = route.calls.last.request
    assert (response.status_code, response.headers["x-from"]) == (201, "respx")
    assert request.headers["Authorization"] == "Bearer t0ken-for-respx"
    assert request.content == ('{"a":"é"}'.encode() if carries else b"")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
def test_a_walk_reads_pages_through_errors_and_redirects(using: str, colour: str) -> None:
    with mocked(using) as router:
        first = router.get(f"{BASE}/items", params__eq={}).mock(
            side_effect=[
                httpx.ConnectError("down"),
                httpx.Response(503, headers={"Retry-After": "0"}),
                httpx.Response(302, headers={"Location": "/v2/items"}),
            ]
        )
        router.get(f"{BASE}/v2/items", params__eq={}).respond(
            json=[1, 2], headers={"Link": '</v2/items?page=2>; rel="next"'}
        )
        router.get(f"{BASE}/v2/items", params={"page": "2"}).respond(json=[3])
        outcome = walk(colour, BASE, Endpoint("/items", pagination=LinkHeaderPagination()), retry=AT_ONCE)

    assert (outcome.error, outcome.records) == (None, [1, 2, 3])
    assert first.call_count == 3


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
@pytest.mark.parametrize("prefetch", [0, 3])
def test_a_counting_walk_is_answered_by_a_function(prefetch: int, using: str, colour: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        return httpx.Response(200, json=[number * 2, number * 2 + 1] if number < 5 else [])

    with mocked(using) as router:
        route = router.get(url__startswith=f"{BASE}/items").mock(side_effect=answer)
        endpoint = Endpoint("/items", pagination=PageNumberPagination(first=0))
        outcome = walk(colour, BASE, endpoint, prefetch=prefetch)

    assert (outcome.error, outcome.records) == (None, list(range(10)))
    assert route.call_count == 6


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
@pytest.mark.parametrize(
    ("raised", "error", "phase"),
    [
        (httpx.ConnectTimeout, APITimeoutError, "connect"),
        (httpx.ReadTimeout, APITimeoutError, "read"),
        (httpx.PoolTimeout, APITimeoutError, "pool"),
        (httpx.ConnectError, APIConnectionError, None),
        (httpx.RemoteProtocolError("cut"), APIConnectionError, None),
    ],
    ids=str,
)
def test_what_a_mock_raises_is_what_a_network_would(
    raised: Any, error: type[Exception], phase: str | None, using: str, colour: str
) -> None:
    with mocked(using) as router:
        route = router.get(f"{BASE}/x").mock(side_effect=raised)
        with pytest.raises(error) as found:
            ask(colour, BASE, path="/x", client={"retry": AT_ONCE})

    assert (route.call_count, getattr(found.value, "phase", None)) == (3, phase)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
def test_a_mock_that_begins_after_the_client_was_used_holds_and_its_end_ends_it(
    using: str, colour: str, kept: Callable[..., Kept]
) -> None:
    with serving(lambda _: Answer({"from": "the server"})) as server:
        client = kept(colour, server.url)
        assert client.get("/x").json() == {"from": "the server"}
        with mocked(using) as router:
            router.get(f"{server.url}/x").respond(json={"from": "the mock"})
            assert client.get("/x").json() == {"from": "the mock"}
        assert client.get("/x").json() == {"from": "the server"}
        with mocked("httpx" if using == "httpcore" else "httpcore") as router:
            router.get(f"{server.url}/x").respond(json={"from": "the other mock"})
            assert client.get("/x").json() == {"from": "the other mock"}

    assert len(server.asked) == 2


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
def test_a_client_made_under_a_mock_reaches_the_network_after_it(
    using: str, colour: str, kept: Callable[..., Kept]
) -> None:
    with serving(lambda _: Answer({"from": "the server"})) as server:
        client = kept(colour, server.url)
        with mocked(using) as router:
            router.get(f"{server.url}/x").respond(json={"from": "the mock"})
            assert client.get("/x").json() == {"from": "the mock"}
        assert client.get("/x").json() == {"from": "the server"}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
def test_what_is_let_through_reaches_the_server(using: str, colour: str) -> None:
    with serving(lambda asked: Answer({"asked": asked.path})) as server, mocked(using) as router:
        through = router.get(f"{server.url}/through").pass_through()
        router.route(host="127.0.0.1", path="/double").respond(json={"asked": "nobody"})

        assert ask(colour, server.url, path="/through").json() == {"asked": "/through"}
        assert ask(colour, server.url, path="/double").json() == {"asked": "nobody"}

    assert through.called  # twice with httpcore: respx counts the pool and the connection
    assert len(server.asked) == 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
def test_a_base_url_and_named_routes_are_matched(using: str, colour: str) -> None:
    with mocked(using, base_url=f"{BASE}/v1/") as router:
        router.get("items/7", name="item").respond(json={"id": 7})
        assert ask(colour, f"{BASE}/v1", path="items/7").json() == {"id": 7}
        assert router["item"].called


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("using", WAYS)
def test_what_was_not_called_and_what_was_not_expected_is_said_by_the_mock(using: str, colour: str) -> None:
    """Neither is an error of the network: it is not repeated, and not dressed up."""
    with mocked(using, assert_all_called=False) as router:
        router.get(f"{BASE}/expected").respond(200)
        with pytest.raises(AssertionError, match="not mocked"):
            ask(colour, BASE, path="/unexpected", client={"retry": AT_ONCE})

    with pytest.raises(AssertionError, match="were not called"), mocked(using, assert_all_called=True) as router:
        router.get(f"{BASE}/expected").respond(200)
        router.get(f"{BASE}/other").respond(200)
        ask(colour, BASE, path="/other")


@pytest.mark.parametrize("colour", COLOURS)
def test_the_pytest_fixture_answers(colour: str, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{BASE}/x").respond(404, json={"detail": "gone"})

    with pytest.raises(APIStatusError, match="gone"):
        ask(colour, BASE, path="/x")


@pytest.mark.respx(base_url=BASE, using="httpx")
@pytest.mark.parametrize("colour", COLOURS)
def test_the_pytest_fixture_answers_as_its_mark_says(colour: str, respx_mock: respx.MockRouter) -> None:
    respx_mock.get("/x").respond(json=[1])

    assert ask(colour, BASE, path="/x").json() == [1]


@respx.mock
@pytest.mark.parametrize("colour", COLOURS)
def test_what_is_odd_in_a_mocks_answer_is_judged_as_a_servers(colour: str) -> None:
    respx.get(f"{BASE}/bomb").respond(content=b"x" * 2_000)
    respx.get(f"{BASE}/empty").respond(204)
    respx.get(f"{BASE}/stream").mock(return_value=httpx.Response(200, stream=Pieces([b"[1", b",2]"])))
    respx.get(f"{BASE}/elsewhere").respond(302, headers={"Location": "https://evil.example.test/"})

    with pytest.raises(APIContractError, match="too large"):
        ask(colour, BASE, path="/bomb", client={"max_response_bytes": 1_000})
    assert (ask(colour, BASE, path="/empty").content, ask(colour, BASE, path="/stream").json()) == (b"", [1, 2])
    with pytest.raises(APIContractError, match="must not go"):
        ask(colour, BASE, path="/elsewhere", client={"auth": BearerAuth("t0ken-for-respx")})


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


# Doubles that a test writes itself


def answers(colour: str, seen: list[httpx.Request]) -> Callable[..., Any]:
    def answer(transport: Any, request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"n": len(seen)})

    async def answer_async(transport: Any, request: httpx.Request) -> httpx.Response:
        return answer(transport, request)

    return answer_async if colour == "async" else answer


@pytest.mark.parametrize("colour", COLOURS)
def test_a_function_in_the_place_of_the_transports_method_answers(
    colour: str, monkeypatch: pytest.MonkeyPatch, kept: Callable[..., Kept]
) -> None:
    seen: list[httpx.Request] = []
    with serving(lambda _: Answer({"n": 0})) as server:
        client = kept(colour, server.url)
        assert client.get("/x").json() == {"n": 0}
        if colour == "async":
            monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answers(colour, seen))
        else:
            monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answers(colour, seen))
        assert [client.get("/x").json() for _ in range(2)] == [{"n": 1}, {"n": 2}]

    assert [str(request.url) for request in seen] == [f"{server.url}/x"] * 2


@pytest.mark.parametrize("colour", COLOURS)
def test_a_method_of_the_pool_that_was_replaced_answers(
    colour: str, monkeypatch: pytest.MonkeyPatch, kept: Callable[..., Kept]
) -> None:
    """As recorders of traffic do it, one floor below httpx."""
    seen: list[bytes] = []

    def answer(pool: Any, request: httpcore.Request) -> httpcore.Response:
        seen.append(bytes(request.url))
        return httpcore.Response(200, headers=[(b"Content-Type", b"application/json")], content=b"[7]")

    async def answer_async(pool: Any, request: httpcore.Request) -> httpcore.Response:
        return answer(pool, request)

    client = kept(colour)
    if colour == "async":
        monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", answer_async)
    else:
        monkeypatch.setattr(httpcore.ConnectionPool, "handle_request", answer)

    assert client.get("/x").json() == [7]
    assert seen == [f"{BASE}/x".encode()]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_router_serves_as_a_given_transport(colour: str) -> None:
    router = respx.MockRouter(assert_all_called=False)
    router.get(f"{BASE}/x").mock(side_effect=[httpx.Response(503), httpx.Response(200, json=[1])])
    handler = router.async_handler if colour == "async" else router.handler

    response = ask(colour, BASE, path="/x", client={"transport": httpx.MockTransport(handler), "retry": AT_ONCE})

    assert response.json() == [1]
