"""Cloud references against an emulator of AWS over HTTP, and against servers that lie, hang and break off."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import pytest
from pydantic import SecretStr

from controlroom.clock import deadline
from controlroom.errors import (
    APIConnectionError,
    APIContractError,
    APIRateLimitError,
    APIStatusError,
    APITimeoutError,
    ConfigError,
    ControlRoomError,
    DeadlineExceededError,
    Disposition,
)
from controlroom.policy.backoff import Backoff
from controlroom.redaction import forget_secrets
from controlroom.settings import BaseSettings, load_settings
from controlroom.settings.cloud.policy import CloudPolicy
from controlroom.settings.cloud.rotation import forget_cached_secrets
from controlroom.settings.loading_async import aload_settings
from tests.integration.http_server import Answer, Asked, raw_server, read_request, serving
from tests.unit.settings.cloud_contract import CloudContract, load
from tests.unit.settings.cloud_doubles import COLOURS, Load

__all__ = ["TestTheEmulator", "load"]

pytestmark = pytest.mark.integration

# Ends with whoever started it: nobody else holds the other end of its stdin.
_EMULATOR = """
import os, sys, threading
from werkzeug.serving import make_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

application = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
"""


class One(BaseSettings):
    value: str


class Hidden(BaseSettings):
    token: SecretStr


QUICK = CloudPolicy(backoff=Backoff(initial_s=0.01, cap_s=0.01), connect_s=10, read_s=10, attempts=3)


@pytest.fixture(autouse=True)
def of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """No configuration of AWS but the test's own, an empty working directory, an empty cache."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "APP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-tests")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    forget_cached_secrets()
    yield
    forget_cached_secrets()
    forget_secrets()


@pytest.fixture
def here(tmp_path: Any) -> Any:
    return tmp_path


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed: pip install 'moto[server]'")
    command = [sys.executable, "-c", _EMULATOR]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@dataclass
class Emulated:
    """The emulator, as the contract wants to fill it."""

    url: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = botocore.session.get_session().create_client(service, endpoint_url=self.url)
        return self.clients[service]

    def put_secret(self, name: str, value: str | bytes) -> str:
        kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        client = self.client("secretsmanager")
        try:
            arn: str = client.create_secret(Name=name, **{kind: value})["ARN"]
        except client.exceptions.ResourceExistsException:
            arn = client.put_secret_value(SecretId=name, **{kind: value})["ARN"]
        return arn

    def put_parameter(self, name: str, value: str, kind: str = "SecureString") -> None:
        self.client("ssm").put_parameter(Name=name, Value=value, Type=kind, Overwrite=True)


_filled: dict[str, Emulated] = {}


@pytest.fixture
def cloud(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Emulated:
    request = urllib.request.Request(f"{emulator}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator)
    return _filled.setdefault(emulator, Emulated(emulator))


class TestTheEmulator(CloudContract):
    pass


def of_aws(error: str, status: int) -> Answer:
    return Answer({"__type": error, "message": "AWS said so."}, status, {"Content-Type": "application/x-amz-json-1.1"})


def secret(value: str, **more: Any) -> Answer:
    return Answer({"ARN": "arn", "Name": "n", "SecretString": value}, **more)


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Asked]]]:
    """Give it the answers of an AWS, the last one for all that follow; it returns the list of what was asked."""
    opened = []

    def lie(*answers: Answer) -> list[Asked]:
        server = serving(lambda asked: answers[min(asked.number, len(answers)) - 1])
        opened.append(server)
        running = server.__enter__()
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        return running.asked

    yield lie
    for server in opened:
        server.__exit__(None, None, None)


@pytest.mark.parametrize(
    "passing",
    [
        of_aws("ThrottlingException", 400),
        Answer(b"", 429),
        of_aws("InternalServiceError", 500),
        Answer(b"<html>Bad gateway</html>", 502),
        secret("half-canary" * 100, cut=True),
        Answer(b"<html>Please log in</html>", 200),
        Answer(b'{"SecretString": "cut-canar', 200),
        Answer({"SecretString": 7}, 200),
    ],
    ids=["throttled", "429", "500", "502 of a proxy", "cut", "portal", "cut and not said", "wrong type"],
)
def test_what_passes_by_itself_is_asked_again(
    lying: Callable[..., list[Asked]], load: Load, passing: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    asked = lying(passing, secret("good-value"))

    assert load(One, value="aws-sm://n", cloud=QUICK) == One(value="good-value")
    assert len(asked) == 2
    assert [record.getMessage() for record in caplog.records if "retry_scheduled" in record.getMessage()]


@pytest.mark.parametrize(
    ("lasting", "kind"),
    [
        (of_aws("ThrottlingException", 400), APIRateLimitError),
        (of_aws("InternalServiceError", 500), APIStatusError),
        (secret("half-canary" * 100, cut=True), APIConnectionError | APIContractError),
        (Answer(b'{"SecretString": "cut-canar', 200), APIContractError),
    ],
    ids=["throttled", "500", "cut", "cut and not said"],
)
def test_what_does_not_pass_is_an_outage_that_says_retry_and_shows_nothing(
    lying: Callable[..., list[Asked]], load: Load, lasting: Answer, kind: type[ControlRoomError]
) -> None:
    asked = lying(lasting)

    with pytest.raises(ControlRoomError) as caught:
        load(Hidden, token="aws-sm://prod/n", cloud=QUICK)

    error = caught.value
    assert isinstance(error, kind)
    assert error.disposition is Disposition.RETRY
    assert error.exit_code == 75
    assert len(error.attempts) == len(asked) == QUICK.attempts
    assert "aws-sm://prod/n" in str(error)
    assert "token" in error.__notes__[0]
    assert "canar" not in json.dumps(error.to_dict())


def test_an_outage_beside_another_problem_is_a_line_of_one_report(
    lying: Callable[..., list[Asked]], load: Load
) -> None:
    class Two(Hidden):
        size: int

    lying(of_aws("InternalServiceError", 500))

    with pytest.raises(ConfigError) as caught:
        load(Two, token="aws-sm://n", size="large", cloud=QUICK)

    assert [line.split()[0] for line in caught.value.problems] == ["token", "size"]


@pytest.mark.parametrize(
    ("code", "words", "named"),
    [
        (
            "AccessDeniedException",
            "User: arn:x is not authorized to perform: secretsmanager:GetSecretValue on resource: n",
            "secretsmanager:GetSecretValue",
        ),
        ("AccessDeniedException", "Access to KMS is not allowed; kms:Decrypt is missing", "kms:Decrypt"),
        ("AccessDeniedException", "No.", "secretsmanager:GetSecretValue"),
        ("DecryptionFailure", "No.", "kms:Decrypt"),
        ("UnrecognizedClientException", "No.", "credentials"),
        ("ExpiredTokenException", "No.", "credentials"),
        ("InvalidRequestException", "It is marked for deletion.", "InvalidRequestException"),
    ],
)
def test_a_refusal_names_what_to_allow(
    lying: Callable[..., list[Asked]], load: Load, code: str, words: str, named: str
) -> None:
    lying(Answer({"__type": code, "Message": words}, 400))

    with pytest.raises(ConfigError) as caught:
        load(One, value="aws-sm://n", cloud=QUICK)

    (line,) = caught.value.problems
    assert named in line
    assert caught.value.exit_code == 78


def test_a_batch_that_is_denied_is_asked_one_by_one(lying: Callable[..., list[Asked]], load: Load) -> None:
    class Two(One):
        other: str

    asked = lying(of_aws("AccessDeniedException", 400), secret("v"))

    loaded = load(Two, value="aws-sm://a", other="aws-sm://b", cloud=QUICK)

    assert loaded == Two(value="v", other="v")
    assert [each.headers["x-amz-target"].rpartition(".")[2] for each in asked] == [
        "BatchGetSecretValue",
        "GetSecretValue",
        "GetSecretValue",
    ]


def test_without_credentials_nothing_is_asked(
    lying: Callable[..., list[Asked]], load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = lying(secret("v"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(ConfigError, match="no AWS credentials"):
        load(One, value="aws-sm://n", cloud=QUICK)

    assert asked == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AWS_DEFAULT_REGION", None, "AWS_DEFAULT_REGION"),
        ("AWS_PROFILE", "nobody", "AWS_PROFILE"),
        ("AWS_ENDPOINT_URL", "no url", "configuration"),
    ],
)
def test_a_wrong_configuration_of_aws_is_a_line_of_the_report(
    load: Load, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, words: str
) -> None:
    monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match=words):
        load(One, value="aws-sm://n", cloud=QUICK)


def test_the_region_of_a_host_of_aws_is_enough(cloud: Emulated, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.put_secret("n", "found")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert load(One, value="aws-sm://n") == One(value="found")


def test_nobody_listens(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")

        with pytest.raises(APIConnectionError) as caught:
            load(One, value="aws-sm://n", cloud=QUICK)

    assert caught.value.sent == "no"


def _silent(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    over.wait(20)


def _dripping(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not over.wait(0.05):
        connection.sendall(b" ")


def test_a_server_that_says_nothing_ends_at_the_read_timeout(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(_silent) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)

        with pytest.raises(APITimeoutError) as caught:
            load(One, value="aws-sm://n", cloud=CloudPolicy(read_s=0.2, attempts=1))

    assert caught.value.phase == "read"


@pytest.mark.parametrize("talk", [_silent, _dripping])
def test_the_deadline_ends_what_keeps_every_timeout(
    load: Load, monkeypatch: pytest.MonkeyPatch, talk: Callable[..., None]
) -> None:
    with raw_server(talk) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)

        with deadline(0.5), pytest.raises((APITimeoutError, DeadlineExceededError)) as caught:
            load(One, value="aws-sm://n", cloud=CloudPolicy(read_s=30))

    assert caught.value.disposition is Disposition.RETRY


def test_what_follows_a_deadline_that_has_passed_is_not_asked(lying: Callable[..., list[Asked]], load: Load) -> None:
    asked = lying(secret("v"))

    with deadline(0), pytest.raises(DeadlineExceededError):
        load(One, value="aws-sm://n")

    assert asked == []


async def _happened(event: threading.Event) -> None:
    """Wait, as one task beside others, for what a server's thread tells."""
    while not event.is_set():  # noqa: ASYNC110 - it is set by a thread that knows of no loop
        await asyncio.sleep(0.01)


def test_while_aws_is_asked_other_tasks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    was_asked, may_answer = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Answer:
        was_asked.set()
        return secret("v" if may_answer.wait(30) else "nobody ran beside it")

    async def beside() -> None:
        await _happened(was_asked)
        may_answer.set()

    async def both() -> One:
        loaded, _ = await asyncio.gather(
            aload_settings(One, value="aws-sm://n", cloud=CloudPolicy(read_s=60)), beside()
        )
        return loaded

    with serving(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert asyncio.run(both()) == One(value="v")


def test_a_cancelled_load_is_cancelled_and_the_next_one_asks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    was_asked = threading.Event()

    def hears(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        was_asked.set()
        over.wait(20)

    async def cancelled() -> bool:
        loading = asyncio.create_task(aload_settings(One, value="aws-sm://n", cloud=CloudPolicy(read_s=60)))
        await _happened(was_asked)
        loading.cancel()
        await asyncio.wait([loading])
        return loading.cancelled()

    with raw_server(hears) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert asyncio.run(cancelled())
    with serving(lambda _: secret("v")) as server:
        # The same key of the cache: had the first load left its flight behind, this one would wait for it.
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert load_settings(One, value="aws-sm://n") == One(value="v")


@pytest.mark.parametrize("load", COLOURS)
def test_botocores_own_log_shows_no_answer(cloud: Emulated, load: Load, caplog: pytest.LogCaptureFixture) -> None:
    cloud.put_secret("n", "hunter2-canary")
    caplog.clear()

    with caplog.at_level(logging.DEBUG):
        load(Hidden, token="aws-sm://n")

    assert caplog.records  # it does log, only not that
    assert "canary" not in caplog.text
    assert "of-the-tests" not in caplog.text


def test_a_forked_child_fetches_for_itself(lying: Callable[..., list[Asked]]) -> None:
    asked = lying(secret("before"), secret("after"))
    load_settings(One, value="aws-sm://n")

    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on: the test's own server is a thread
        child = os.fork()
    if child == 0:  # pragma: no cover - another process
        value = load_settings(One, value="aws-sm://n").value
        os.write(write, value.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as told:
        assert told.read() == "after"
    assert load_settings(One, value="aws-sm://n").value == "before"
    assert len(asked) == 2


def test_nothing_of_aws_is_imported_before_a_text_is_a_reference() -> None:
    program = """
import sys
from controlroom.settings import BaseSettings, load_settings, explain_settings
class S(BaseSettings):
    value: str = "aws-sm: no reference"
load_settings(S)
def loaded(): return sorted({name.partition(".")[0] for name in sys.modules} & {"botocore", "aiobotocore", "aiohttp", "urllib3"})
assert loaded() == [], loaded()
try:
    load_settings(S, value="aws-sm://?")
except Exception: pass
assert loaded() == [], loaded()
try:
    load_settings(S, value="aws-sm://n?region=xx-west-1", cloud=None)
except Exception: pass
assert "botocore" in loaded() and "aiobotocore" not in loaded(), loaded()
"""
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    environment.pop("AWS_ACCESS_KEY_ID")
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
