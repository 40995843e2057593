"""What a user gets wrong when calling a client: named at once, with the next act, and without a secret in it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from controlroom.clock import deadline
from controlroom.errors import APIStatusError, ConfigError
from controlroom.http import ApiClient, AsyncApiClient, CursorPagination, Endpoint, RateLimit, Timeouts
from controlroom.policy import Backoff
from controlroom.policy.deadlines import Deadline
from controlroom.policy.retry import RetryBudget
from controlroom.redaction import forget_secrets, register_secret
from controlroom.retrying import RetryPolicy
from tests.integration.http_colours import COLOURS, ask, walk

BASE = "https://api.example.com/v1"


@pytest.fixture(autouse=True)
def _fresh_registry() -> Iterator[None]:
    yield
    forget_secrets()


def asked(colour: str, answer: httpx.Response, **options: Any) -> list[httpx.Request]:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer

    client = {"transport": httpx.MockTransport(handler), "retry": None}
    try:
        ask(colour, BASE, client=client, **options)
    except TypeError as error:
        error.add_note(f"{len(seen)} sent")
        raise
    return seen


def refused(colour: str, answer: httpx.Response, **options: Any) -> APIStatusError:
    with pytest.raises(APIStatusError) as raised:
        asked(colour, answer, **options)
    return raised.value


@pytest.mark.parametrize("client", [ApiClient, AsyncApiClient])
@pytest.mark.parametrize("auth", ["t0ken-of-somebody", ("user", "t0ken-of-somebody"), httpx.BasicAuth("user", "pass")])
def test_what_is_no_auth_is_refused_at_once_and_not_shown(client: Any, auth: Any) -> None:
    with pytest.raises(ConfigError, match=r"auth is a \w+: give BearerAuth\(token\)") as raised:
        client(BASE, auth=auth)

    assert "t0ken-of-somebody" not in str(raised.value)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("option", ["jsn", "idempotency_ky", "timeout"])
def test_a_misspelt_option_is_not_dropped_with_what_it_was_meant_to_send(colour: str, option: str) -> None:
    with pytest.raises(TypeError, match=rf"unexpected keyword arguments: {option}\. It takes params, json") as raised:
        asked(colour, httpx.Response(200), method="POST", **{option: {"a": 1}})

    assert raised.value.__notes__ == ["0 sent"]


@pytest.mark.parametrize("client", [ApiClient, AsyncApiClient])
@pytest.mark.parametrize(
    "url",
    [
        "https://bob:hunter2-s3cr3t/XY@x.example/",
        "https://bob:hunter2-s3cr3t@x.example/",
        "https://bob:hunter2-s3cr3t/X@Y@x.example/",
        "bob:hunter2-s3cr3t@x.example",
        "https://x.example:hunter2-s3cr3t/",
        "https://[hunter2-s3cr3t",
    ],
)
def test_a_password_in_the_base_url_is_not_quoted_in_part(client: Any, url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        client(url)

    error = raised.value
    texts = [str(error), repr(error), str(error.to_dict())]
    if "@" in url:
        texts += ["".join(traceback.format_exception(error)), repr(error.__context__)]
        assert not any("hunter2" in text.split("test_client_misuse.py")[0] for text in texts)
    assert error.__cause__ is None
    assert "integer value" not in "".join(texts)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("params", [{"a": "\ud800"}, {"\ud800": "a"}, {"a": ["b", "\ud800"]}])
def test_half_a_character_in_a_parameter_is_a_wrong_value_not_a_crash(colour: str, params: Any) -> None:
    with pytest.raises(ConfigError, match="half a character"):
        asked(colour, httpx.Response(200), params=params)


def test_half_a_character_in_a_path_argument_is_refused_too() -> None:
    with ApiClient(BASE) as api, pytest.raises(ConfigError, match="half a character"):
        api.pages(Endpoint("/{name}"), name="\ud800")


def _within(timeout_s: Any) -> None:
    with deadline(timeout_s):
        pass


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Timeouts(total_s=None),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: Timeouts(read_s="3"),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: Timeouts(read_s=True),
        lambda: _within("3"),
        lambda: _within(None),
        lambda: Deadline.after("3", lambda: 0.0),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: RetryPolicy(attempts="3"),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: RetryPolicy(attempts=2.5),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: RetryPolicy(max_elapsed_s=""),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: RetryPolicy(max_wait_s=None),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: RetryPolicy(backoff=3),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: RetryBudget("3", 1),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: Backoff(initial_s="1"),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: Backoff(factor=None),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: RateLimit("3"),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: ApiClient(BASE, retry=3),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: ApiClient(BASE, retry=0),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: ApiClient(BASE, timeouts=5),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: ApiClient(BASE, timeouts=0),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: AsyncApiClient(BASE, retry=3),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: AsyncApiClient(BASE, timeouts=5),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: ApiClient(BASE, rate_limit=5),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: ApiClient(None),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: ApiClient(BASE, allowed_hosts="cdn.example.com"),
        lambda: ApiClient(BASE, allowed_hosts=["https://cdn.example.com"]),
        lambda: ApiClient(BASE).get(None),  # type: ignore[arg-type]  # the wrong type is the case
        lambda: ApiClient(BASE).post("/", json={}, idempotency_key=" "),
        lambda: ApiClient(BASE).records(Endpoint("/{name}"), name=None),
        lambda: ApiClient(BASE).records(Endpoint("/{name}"), name=b"ada"),
        lambda: ApiClient(BASE).records(Endpoint("/{name}"), name=["ada"]),
    ],
    ids=count(),
)
def test_a_value_of_the_wrong_type_is_refused_where_it_is_given_with_what_to_give(wrong: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match=r"give|each limit is a number of seconds"):
        wrong()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("status", "act"),
    [(401, "Renew or correct the credentials."), (403, "Ask for the permission."), (404, "Correct the path.")],
)
def test_a_refusal_names_the_next_act_and_what_the_server_said(colour: str, status: int, act: str) -> None:
    error = refused(colour, httpx.Response(status, json={"reason": "scope missing", "access_token": "abc123xyz"}))

    assert error.message.endswith(f"The server refused it. {act}")
    assert '"reason":"scope missing"' in error.message.replace('": "', '":"')
    assert "abc123xyz" not in str(error.to_dict())


def test_a_body_in_a_message_is_one_short_line() -> None:
    error = refused("sync", httpx.Response(422, text="bad\r\n\x1b[31m" + "x" * 5_000))

    said = error.message.partition("It says: ")[2].partition(" The server")[0]
    assert said.startswith("bad [31mxxx")
    assert len(said) <= 201


def test_a_secret_that_an_excerpt_would_cut_in_two_is_masked_whole() -> None:
    register_secret("s3cr3t-part-one-and-part-two")
    for filler in (190, 490):
        error = refused("sync", httpx.Response(422, text="x" * filler + " s3cr3t-part-one-and-part-two"))

        assert "s3cr3t" not in str(error.to_dict())


def test_bytes_are_no_text_to_show() -> None:
    content = httpx.Response(422, content=b"\x00\x01binary", headers={"content-type": "application/octet-stream"})

    assert "It says" not in refused("sync", content).message


@pytest.mark.parametrize("colour", COLOURS)
def test_a_next_path_that_may_be_misspelt_is_told_once(colour: str, caplog: pytest.LogCaptureFixture) -> None:
    endpoint = Endpoint("/x", records="items", pagination=CursorPagination("cursor", "metaa.next"))
    body = {"items": [1], "meta": {"next": "b"}}

    outcome = walk(colour, BASE, endpoint, transport=httpx.MockTransport(lambda _: httpx.Response(200, json=body)))

    assert (outcome.records, outcome.error) == ([1], None)
    told = [record.getMessage() for record in caplog.records if "pagination_path_missing" in record.getMessage()]
    assert len(told) == 1
    assert "path=metaa.next" in told[0]


def test_an_argument_without_a_place_in_the_path_is_said_to_have_none() -> None:
    with ApiClient(BASE) as api, pytest.raises(ConfigError, match=r"The path /x .* It has no place for carrier\."):
        api.pages(Endpoint("/x"), carrier=2)


def test_a_path_in_the_place_of_an_endpoint_says_what_to_write() -> None:
    with (
        ApiClient(BASE) as api,
        pytest.raises(ConfigError, match=r"'/orders' is no endpoint: give Endpoint\('/orders', …\)"),
    ):
        api.pages("/orders")
