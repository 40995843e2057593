"""Signatures for AWS, checked by a reading of the specification that is not botocore's."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote

import httpx
import pytest

from controlroom.errors import ConfigError
from controlroom.http import ApiClient, AsyncApiClient, AwsSigV4Auth
from controlroom.redaction import forget_secrets, redact_text
from tests.integration.http_colours import COLOURS

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BASE = "https://search.example.com"


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """No credentials of whoever runs the tests."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield
    forget_secrets()


def signature(request: httpx.Request, region: str, service: str) -> str:
    """What AWS computes of a request as it came: "Create a signed AWS API request", steps 1 to 4."""
    fields = dict(part.strip().split("=", 1) for part in request.headers["authorization"].partition(" ")[2].split(","))
    signed = fields["SignedHeaders"].split(";")
    query = sorted(parse_qsl(request.url.query.decode(), keep_blank_values=True))
    canonical = "\n".join(
        [
            request.method,
            quote(request.url.path, safe="/-_.~"),
            "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(request.content).hexdigest(),
        ]
    )
    moment = request.headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    assert fields["Credential"] == f"{KEY}/{scope}"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, text.encode(), "sha256").hexdigest()
    assert {"host", "x-amz-date"} <= set(signed)
    return "right" if expected == fields["Signature"] else "wrong"


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("service", ["es", "s3"])
def test_what_arrives_is_signed_as_the_specification_says(colour: str, service: str) -> None:
    auth = AwsSigV4Auth(service, region="eu-central-1", access_key=KEY, secret_key=SECRET)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=signature(request, "eu-central-1", service))

    async def asynchronous() -> Any:
        async with AsyncApiClient(BASE, auth=auth, transport=httpx.MockTransport(answer)) as api:
            return (await api.post("/index/_search", json={"q": "é"}, params={"b": "2 3", "a": "x/y~"})).json()

    with ApiClient(BASE, auth=auth, transport=httpx.MockTransport(answer), params={"api_key": "also signed"}) as api:
        assert api.get("/", params={"empty": ""}).json() == "right"
        if colour == "sync":
            assert api.post("/index/_search", json={"q": "é"}, params={"b": "2 3", "a": "x/y~"}).json() == "right"
    if colour == "async":
        assert asyncio.run(asynchronous()) == "right"


def test_temporary_credentials_send_their_token_and_all_of_them_are_masked() -> None:
    seen: list[httpx.Request] = []
    token = "session-token-of-an-hour"
    auth = AwsSigV4Auth("es", region="eu-central-1", access_key=KEY, secret_key=SECRET, session_token=token)
    transport = httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(200))
    with ApiClient(BASE, auth=auth, transport=transport) as api:
        api.get("/")

    assert seen[0].headers["x-amz-security-token"] == token
    shown = redact_text(json.dumps([SECRET, token])) + repr(auth)
    assert SECRET not in shown
    assert token not in shown


def test_without_keys_botocore_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")

    assert AwsSigV4Auth("es").secrets == {SECRET}
    assert "eu-west-1" in repr(AwsSigV4Auth("es"))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"region": "eu-west-1"}, "No credentials to sign"),
        ({"access_key": KEY, "secret_key": SECRET}, "No region to sign"),
        ({"access_key": KEY}, "go together"),
        ({"profile": "absent"}, "cannot be set up"),
        ({"region": "eu-west-1", "access_key": KEY, "secret_key": ""}, "secret key is empty"),
    ],
)
def test_what_cannot_sign_is_refused_before_anything_is_sent(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        AwsSigV4Auth("es", **arguments)


def test_a_client_that_signs_nothing_loads_nothing_of_aws() -> None:
    program = "import sys, controlroom.http; sys.exit(any('botocore' in name for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
