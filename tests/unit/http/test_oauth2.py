"""Access tokens by client credentials: where they go, when they are renewed, and what is said when none is given."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from controlroom.errors import (
    APIAuthError,
    APIConnectionError,
    APIContractError,
    APIStatusError,
    ConfigError,
    ControlRoomError,
)
from controlroom.http import ApiClient, AsyncApiClient, Endpoint, LinkHeaderPagination, OAuth2ClientCredentials
from controlroom.policy import Backoff
from controlroom.redaction import forget_secrets, redact_text
from controlroom.retrying import RetryPolicy
from controlroom.testing import ManualClock
from tests.integration.http_colours import COLOURS

BASE = "https://api.example.com"
TOKENS = "https://login.example.com/token"
RETRIES = RetryPolicy(attempts=3, backoff=Backoff(initial_s=1, jitter="none"))


@pytest.fixture(autouse=True)
def manual() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock
    forget_secrets()


class World:
    """A server of tokens "t1", "t2" … and an API that takes those that it was not told to refuse."""

    def __init__(self, *, expires_in: Any = 3600, token_answers: tuple[Any, ...] = ()) -> None:
        self.expires_in = expires_in
        self.token_answers = list(token_answers)
        self.granted = 0
        self.refused: set[str] = set()
        self.token_requests: list[httpx.Request] = []
        self.calls: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "login.example.com":
            return self.grant(request)
        self.calls.append(request)
        bearer = request.headers.get("authorization", "")
        if bearer.removeprefix("Bearer ") in self.refused or not bearer:
            return httpx.Response(401, json={"error": "expired"})
        return httpx.Response(200, json={"token": bearer})

    def grant(self, request: httpx.Request) -> httpx.Response:
        self.token_requests.append(request)
        if self.token_answers:
            answer = self.token_answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        self.granted += 1
        grant = {"access_token": f"token-number-{self.granted}", "token_type": "bearer", "expires_in": self.expires_in}
        return httpx.Response(200, json={key: value for key, value in grant.items() if value is not None})


def credentials(**options: Any) -> OAuth2ClientCredentials:
    return OAuth2ClientCredentials(TOKENS, "the client", "s3cret/+ of the client", **options)


def ask(colour: str, world: World, auth: Any, method: str = "GET", **client: Any) -> Any:
    options = {"transport": httpx.MockTransport(world), "auth": auth, "retry": RETRIES, **client}

    async def asynchronous() -> Any:
        async with AsyncApiClient(BASE, **options) as api:
            return await api.request(method, "/x")

    try:
        if colour == "async":
            return asyncio.run(asynchronous())
        with ApiClient(BASE, **options) as api:
            return api.request(method, "/x")
    except ControlRoomError as error:
        return error


@pytest.mark.parametrize("colour", COLOURS)
def test_the_first_call_fetches_a_token_and_the_next_ones_use_it(colour: str) -> None:
    world, auth = World(), credentials(scope="read write", params={"audience": "orders"})

    answers = [ask(colour, world, auth).json() for _ in range(3)]

    assert answers == [{"token": "Bearer token-number-1"}] * 3
    (request,) = world.token_requests
    pair = base64.b64encode(b"the+client:s3cret%2F%2B+of+the+client").decode()
    assert request.headers["authorization"] == f"Basic {pair}"
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["read write"],
        "audience": ["orders"],
    }


def test_a_server_that_knows_only_form_fields_gets_them() -> None:
    world = World()
    ask("sync", world, credentials(send_in="body"))

    (request,) = world.token_requests
    assert "authorization" not in request.headers
    assert parse_qs(request.content.decode())["client_secret"] == ["s3cret/+ of the client"]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("expires_in", "used_until_s"), [(3600, 3540), ("600", 540), (100, 90), (None, 3540), (True, 3540), (-5, 3540)]
)
def test_a_token_is_renewed_shortly_before_it_expires(
    colour: str, expires_in: Any, used_until_s: float, manual: ManualClock
) -> None:
    world, auth = World(expires_in=expires_in), credentials()
    ask(colour, world, auth)
    manual.advance(used_until_s - 1)
    ask(colour, world, auth)
    assert world.granted == 1

    manual.advance(1)
    assert ask(colour, world, auth).json() == {"token": "Bearer token-number-2"}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_that_is_refused_is_replaced_once_and_the_call_repeated(colour: str, method: str) -> None:
    world, auth = World(), credentials()
    ask(colour, world, auth)
    world.refused = {"token-number-1"}

    assert ask(colour, world, auth, method).json() == {"token": "Bearer token-number-2"}
    assert len(world.calls) == 3


@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_that_refuses_every_token_is_believed_after_the_second(colour: str) -> None:
    world, auth = World(), credentials()
    world.refused = {f"token-number-{number}" for number in range(9)}

    error = ask(colour, world, auth)

    assert isinstance(error, APIAuthError)
    assert (world.granted, len(world.calls)) == (2, 2)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_credentials_that_are_refused_are_an_error_of_theirs_and_nothing_is_sent(colour: str, status: int) -> None:
    refused = httpx.Response(status, json={"error": "invalid_client", "error_description": "s3cret/+ of the client"})
    world = World(token_answers=(refused,))

    error = ask(colour, world, credentials())

    assert isinstance(error, APIAuthError)
    assert "gave no token to the client 'the client'" in error.message
    assert "invalid_client" in error.message
    assert (error.url, world.calls, len(world.token_requests)) == (TOKENS, [], 1)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("failure", [httpx.Response(503), httpx.ReadTimeout("slow")], ids=["503", "timeout"])
def test_a_post_is_repeated_where_only_its_sign_in_failed(colour: str, failure: Any) -> None:
    world = World(token_answers=(failure,))

    assert ask(colour, world, credentials(), "POST").status_code == 200
    assert (len(world.token_requests), len(world.calls)) == (2, 1)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_of_tokens_that_stays_away_is_the_error_that_goes_up(colour: str) -> None:
    world = World(token_answers=tuple(httpx.ConnectError("refused") for _ in range(3)))

    error = ask(colour, world, credentials())

    assert isinstance(error, APIConnectionError)
    assert (len(error.attempts), world.calls) == (3, [])


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"token": "x"}),
        httpx.Response(200, json={"access_token": "", "token_type": "bearer"}),
        httpx.Response(200, json={"access_token": "abcdefgh", "token_type": "mac"}),
        httpx.Response(200, json=["abcdefgh"]),
        httpx.Response(200, content=b"<html>"),
    ],
    ids=["no token", "empty", "mac", "a list", "html"],
)
def test_an_answer_without_a_bearer_token_is_a_broken_contract(answer: httpx.Response) -> None:
    world = World(token_answers=(answer,))

    assert isinstance(ask("sync", world, credentials()), APIContractError)
    assert world.calls == []


def test_a_fetch_that_failed_leaves_room_for_the_next() -> None:
    world, auth = World(token_answers=(httpx.Response(404),)), credentials()

    assert isinstance(ask("sync", world, auth), APIStatusError)
    assert ask("sync", world, auth).status_code == 200


def test_a_token_goes_to_no_other_origin() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "cdn.example.com":
            assert "authorization" not in request.headers
            return httpx.Response(401 if request.url.path == "/refuses" else 200, json=[2])
        if request.url.host == "login.example.com":
            return httpx.Response(200, json={"access_token": "abcdefgh"})
        return httpx.Response(
            200, json=[1], headers={"Link": f'<https://cdn.example.com{request.url.path}>; rel="next"'}
        )

    with ApiClient(
        BASE, transport=httpx.MockTransport(answer), auth=credentials(), allowed_hosts=["cdn.example.com"]
    ) as api:
        assert list(api.records(Endpoint("/x", pagination=LinkHeaderPagination()))) == [1, 2]
        with pytest.raises(APIAuthError):
            list(api.records(Endpoint("/refuses", pagination=LinkHeaderPagination())))


def test_secret_and_token_are_shown_nowhere() -> None:
    world, auth = World(), credentials()
    ask("sync", world, auth)

    shown = redact_text(json.dumps([repr(auth), "token-number-1", "s3cret/+ of the client", str(auth.secrets)]))

    assert "token-number-1" not in shown
    assert "s3cret" not in shown
    assert auth.secrets == {"token-number-1", "s3cret/+ of the client"}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"token_url": "http://login.example.com/token"}, "not https"),
        ({"token_url": "login.example.com"}, "cannot be used"),
        ({"client_secret": " "}, "client secret is empty"),
        ({"send_in": "query"}, "send_in='query'"),
    ],
)
def test_impossible_credentials_are_refused(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        OAuth2ClientCredentials(**{"token_url": TOKENS, "client_id": "c", "client_secret": "s3cret", **arguments})


def test_on_this_machine_a_token_may_be_fetched_without_tls() -> None:
    assert "127.0.0.1" in repr(OAuth2ClientCredentials("http://127.0.0.1:8080/token", "c", "s3cret"))


def test_an_abandoned_sign_in_may_be_collected_wherever_another_one_is() -> None:
    """The collector may run inside of the lock, and close a flow there that gives its turn back."""
    auth = OAuth2ClientCredentials(TOKENS, "client", "s3cret")

    class Collecting(float):
        def __lt__(self, other: float) -> bool:
            auth.release()
            return super().__lt__(other)

    asking = threading.Thread(target=auth.wanted, args=(Collecting(1.0), 1.0), daemon=True)
    asking.start()
    asking.join(10)

    assert not asking.is_alive()
