"""Servers of the S3 protocol that are silent, drip, break off, lie or lead astray: over real sockets, in both colours.

That each of these tests ends at all is half of what it shows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlroom.errors import (
    ConfigError,
    DeadlineExceededError,
    FileOperationError,
    StorageAccessError,
    StorageUnavailableError,
)
from controlroom.policy.backoff import Backoff
from controlroom.policy.object_calls import Call, Calls, code_of, may_have_happened
from controlroom.policy.s3_probing import Capability
from controlroom.retrying import RetryPolicy
from controlroom.storage import AsyncS3Store, S3Store, S3Timeouts
from controlroom.storage.s3 import capabilities
from tests.integration.http_certificates import new_authority
from tests.integration.http_server import RESET_ON_CLOSE, Answer, Asked, raw_server, read_request, serving
from tests.integration.s3_colours import COLOURS, HASTY, LOGIN, ask

pytestmark = pytest.mark.integration

PUT = Call("PutObject", {"Key": "key", "Body": b"0123456789"})
GET = Call("GetObject", {"Key": "key"})
HEAD = Call("HeadObject", {"Key": "key"})
LIST = Call("ListObjectsV2", {})
DELETE = Call("DeleteObject", {"Key": "key"})
FINE = {"ETag": '"x"'}
AT_ONCE = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.0, cap_s=0.0))
PATIENT = S3Timeouts(connect_s=30, read_s=30, call_s=60)


@pytest.fixture(autouse=True)
def nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the machine of the tests knows of AWS, and who its proxies are, is of no concern."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def said(code: str, *, status: int, more: str = "", headers: dict[str, str] | None = None) -> Answer:
    """A refusal as S3 puts it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as told</Message>{more}</Error>".encode()
    return Answer(body, status, {"Content-Type": "application/xml", "x-amz-request-id": "REQ1", **(headers or {})})


def silent(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    over.wait()


def dripping(beginning: bytes, drop: bytes) -> Any:
    """Never silent for long, and never done."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(beginning)
        while not over.wait(0.02):
            connection.sendall(drop)

    return talk


def saying(answer: bytes) -> Any:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(answer)

    return talk


UNENDING = {
    "silence": silent,
    "a head that drips": dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"y"),
    "interim answers": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body that drips": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n<", b" "),
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("talk", UNENDING.values(), ids=UNENDING)
@pytest.mark.parametrize("call", [PUT, LIST], ids=lambda call: call.operation)
def test_a_server_without_end_does_not_hold_a_call(colour: str, talk: Any, call: Call) -> None:
    with raw_server(talk) as url:
        [error] = ask(colour, url, call, timeouts=HASTY)

    assert isinstance(error, StorageUnavailableError)
    assert error.sent == "unknown"
    assert "got no answer in time" in error.message
    assert ("may have taken effect" in error.message) == (call is PUT)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("drop", "read_s", "read_within_s"), [(b"x", 60, 0.5), (b"", 0.3, 60)], ids=["drips", "stops"])
def test_the_body_of_an_object_is_read_within_limits(
    colour: str, drop: bytes, read_s: float, read_within_s: float
) -> None:
    with raw_server(dripping(b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 1000000\r\n\r\nxx", drop)) as url:
        [error] = ask(colour, url, GET, timeouts=S3Timeouts(read_s=read_s), read_within_s=read_within_s)

    assert isinstance(error, StorageUnavailableError)
    assert "GetObject got no answer in time" in error.message


@pytest.mark.parametrize("colour", COLOURS)
def test_a_server_that_takes_nothing_does_not_hold_an_upload(colour: str) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        over.wait()

    with raw_server(talk) as url:
        [error] = ask(
            colour, url, Call("PutObject", {"Key": "key", "Body": bytes(16 * 2**20)}), timeouts=S3Timeouts(read_s=1)
        )

    assert isinstance(error, StorageUnavailableError)
    assert error.sent == "unknown"
    assert "got no answer in time" in error.message


@pytest.mark.parametrize("colour", COLOURS)
def test_an_upload_may_take_longer_than_connecting(colour: str) -> None:
    # urllib3 sends under the timeout for connecting: all of it.
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        left = 4 * 2**20
        while left > 0:
            over.wait(0.01)
            piece = connection.recv(65536)
            left -= len(piece) if piece else left
        connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')

    call = Call("PutObject", {"Key": "key", "Body": bytes(4 * 2**20)})
    with raw_server(talk) as url:
        [answer] = ask(colour, url, call, timeouts=S3Timeouts(connect_s=0.3, read_s=30, call_s=60))

    assert answer["ETag"] == '"x"'


@pytest.mark.parametrize("colour", COLOURS)
def test_the_ambient_deadline_cuts_a_call_and_forbids_the_next(colour: str) -> None:
    with raw_server(silent) as url:
        first, second = ask(colour, url, PUT, PUT, timeouts=PATIENT, retry=AT_ONCE, within_s=0.5)

    assert isinstance(first, StorageUnavailableError)
    assert may_have_happened(first)
    assert len(first.attempts) == 1
    assert isinstance(second, DeadlineExceededError)
    assert not may_have_happened(second)


@pytest.mark.parametrize("colour", COLOURS)
def test_where_nobody_listens_nothing_was_sent(colour: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    [error] = ask(colour, url, PUT, retry=AT_ONCE)

    assert isinstance(error, StorageUnavailableError)
    assert error.sent == "no"
    assert len(error.attempts) == 3
    assert not may_have_happened(error)


def resetting(connection: socket.socket, over: threading.Event) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


BROKEN = {
    "a reset": resetting,
    "a hang-up": saying(b""),
    "half a head": saying(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<ListBucketResult>"),
    "no HTTP": saying(b"220 smtp.example.com ESMTP\r\n"),
    "no length that could be": saying(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
    "chunks that are none": saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "half a refusal": saying(b"HTTP/1.1 503 Slow\r\nContent-Length: 1000\r\n\r\n<Error><Code>Slo"),
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("talk", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("call", [LIST, GET], ids=lambda call: call.operation)
def test_what_breaks_off_is_told_as_that(colour: str, talk: Any, call: Call) -> None:
    if call is GET and talk is BROKEN["no length that could be"]:
        pytest.skip("botocore stumbles over it with the answer in its hands; the collector closes the connection")
    with raw_server(talk) as url:
        [error] = ask(colour, url, call, timeouts=PATIENT)

    assert isinstance(error, StorageUnavailableError), error
    assert error.sent == "unknown"


LIES = {
    "a page": b"<html><body>Welcome to the hotel. Log in.</body></html>",
    "no XML": b"\xff\xfe\x00garbage",
    "a bomb": b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
    "nothing": b"",
    "JSON": b'{"error": "no"}',
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_what_is_no_answer_of_s3_is_taken_for_none(colour: str, lie: bytes) -> None:
    with serving(lambda asked: Answer(lie, headers={"Content-Type": "application/xml"})) as server:
        outcomes = ask(colour, server.url, LIST, PUT, HEAD, GET, Call("CreateMultipartUpload", {"Key": "key"}))

    for outcome in outcomes:
        assert isinstance(outcome, StorageUnavailableError), outcome
        assert outcome.sent == "unknown"


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("status", [302, 400, 404, 418, 429, 500, 503, 507, 599])
def test_no_refusal_however_garbled_becomes_anything_but_one_of_our_errors(colour: str, status: int) -> None:
    lies = list(LIES.values())
    with serving(lambda asked: Answer(lies[asked.number % len(lies)], status)) as server:
        outcomes = ask(colour, server.url, *[LIST, PUT, HEAD, GET, DELETE] * 2)

    for outcome in outcomes:
        assert isinstance(outcome, FileOperationError | ConfigError), outcome


@pytest.mark.parametrize("colour", COLOURS)
def test_a_request_whose_connection_was_closed_meanwhile_is_not_sent_again_behind_our_back(colour: str) -> None:
    # aiohttp would: a PUT is idempotent, it says. But whether the first one arrived decides who won.
    seen: list[bytes] = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        seen.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 0\r\n\r\n")
        seen.append(read_request(connection))  # and hang up

    with raw_server(talk) as url:
        first, second = ask(colour, url, PUT, PUT)

    assert isinstance(first, dict)
    assert isinstance(second, StorageUnavailableError)
    assert second.sent == "unknown"
    assert len(seen) == 2


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_leads_nobody_to_another_server(colour: str, status: int) -> None:
    with (
        serving(lambda asked: Answer(b"")) as elsewhere,
        serving(lambda asked: Answer(b"", status, {"Location": f"{elsewhere.url}/stolen"})) as server,
    ):
        [outcome] = ask(colour, server.url, GET, session_token="token-of-these-tests")

    assert elsewhere.asked == []
    assert isinstance(outcome, ConfigError | FileOperationError)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("code", "status"), [("AuthorizationHeaderMalformed", 400), ("PermanentRedirect", 301), ("301", 301)]
)
def test_a_bucket_in_another_region_is_followed_once_and_remembered(colour: str, code: str, status: int) -> None:
    def answer(asked: Asked) -> Answer:
        if "/us-west-2/s3/" in asked.headers["authorization"]:
            return Answer(b"", headers=FINE)
        named = {"x-amz-bucket-region": "us-west-2"}
        return (
            Answer(b"", status, named)
            if code == "301"
            else said(code, status=status, more="<Region>us-west-2</Region>", headers=named)
        )

    with serving(answer) as server:
        first, second = ask(colour, server.url, PUT, PUT)

    assert first["ETag"] == second["ETag"] == '"x"'
    assert len(server.asked) == 3
    assert server.asked[1].body == PUT.params["Body"]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_bucket_that_is_nowhere_does_not_lead_in_circles(colour: str) -> None:
    def answer(asked: Asked) -> Answer:
        region = "eu-west-1" if "us-west-2" in asked.headers["authorization"] else "us-west-2"
        return said("PermanentRedirect", status=301, headers={"x-amz-bucket-region": region})

    with serving(answer) as server:
        [error] = ask(colour, server.url, GET)

    assert isinstance(error, ConfigError)
    assert "The bucket is in eu-west-1" in error.message
    assert len(server.asked) == 2


@pytest.mark.parametrize("colour", COLOURS)
def test_credentials_that_expired_are_looked_for_anew_once(colour: str, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIDOLD\naws_secret_access_key = old-secret-of-tests\n")

    def answer(asked: Asked) -> Answer:
        if "AKIDOLD" not in asked.headers["authorization"]:
            return Answer(b"", headers=FINE)
        file.write_text("[default]\naws_access_key_id = AKIDNEW\naws_secret_access_key = new-secret-of-tests\n")
        return said("ExpiredToken", status=400)

    unset = dict.fromkeys(LOGIN) | {"region": "us-east-1"}
    with serving(answer) as server:
        first, second = ask(colour, server.url, PUT, PUT, **unset)

    assert first["ETag"] == second["ETag"] == '"x"'
    assert len(server.asked) == 3


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(("code", "status"), [("ExpiredToken", 400), ("RequestTimeTooSkewed", 403)])
def test_what_stays_expired_is_asked_twice_and_no_more(colour: str, code: str, status: int) -> None:
    with serving(lambda asked: said(code, status=status)) as server:
        [error] = ask(colour, server.url, PUT, retry=AT_ONCE)

    assert isinstance(error, StorageAccessError)
    assert code_of(error) == code
    assert len(server.asked) == 2


ROLE = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>AKIDROLE{number}</AccessKeyId><SecretAccessKey>secret-of-the-role</SecretAccessKey>
<SessionToken>token-of-the-role</SessionToken><Expiration>{expires}</Expiration></Credentials>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/controlroom</Arn><AssumedRoleId>x</AssumedRoleId>
</AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"""


@pytest.mark.parametrize("colour", COLOURS)
def test_a_role_is_assumed_once_for_many_calls(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    roles: list[Asked] = []

    def sts(asked: Asked) -> Answer:
        roles.append(asked)
        return Answer(
            ROLE.format(number=len(roles), expires="2099-01-01T00:00:00Z").encode(),
            headers={"Content-Type": "text/xml"},
        )

    with serving(sts) as security, serving(lambda asked: Answer(b"", headers=FINE)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", security.url)
        first, second = ask(colour, server.url, PUT, PUT, role_arn="arn:aws:iam::123456789012:role/r")

    assert first["ETag"] == second["ETag"]
    assert len(roles) == 1
    assert b"RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr" in roles[0].body
    assert all("AKIDROLE1" in asked.headers["authorization"] for asked in server.asked)
    assert all(asked.headers["x-amz-security-token"] == "token-of-the-role" for asked in server.asked)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_role_is_assumed_anew_before_its_credentials_expire(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    roles: list[int] = []

    def sts(asked: Asked) -> Answer:
        roles.append(len(roles) + 1)
        expires = datetime.now(UTC) + (timedelta(seconds=30) if len(roles) == 1 else timedelta(hours=1))
        return Answer(ROLE.format(number=len(roles), expires=expires.isoformat()).encode())

    with serving(sts) as security, serving(lambda asked: Answer(b"", headers=FINE)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", security.url)
        ask(colour, server.url, PUT, PUT, role_arn="arn:aws:iam::123456789012:role/r")

    assert roles == [1, 2]
    assert all("AKIDROLE2" in asked.headers["authorization"] for asked in server.asked)


@pytest.mark.parametrize("colour", COLOURS)
def test_whoever_has_no_credentials_is_told_what_to_do_and_does_not_wait(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with raw_server(silent) as metadata:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
        monkeypatch.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1")
        [error] = ask(colour, "http://127.0.0.1:9", PUT, **(dict.fromkeys(LOGIN) | {"region": "us-east-1"}))

    assert isinstance(error, ConfigError)
    assert "aws configure" in error.message


@pytest.mark.parametrize("colour", COLOURS)
def test_anonymous_requests_are_not_signed(colour: str) -> None:
    with serving(lambda asked: Answer(b"hello", headers=FINE)) as server:
        [answer] = ask(colour, server.url, GET, anonymous=True, region="us-east-1")

    assert answer["Body"] == b"hello"
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("colour", COLOURS)
def test_the_endpoint_of_the_environment_is_used(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda asked: Answer(b"hello", headers=FINE)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        [answer] = ask(colour, None, GET)

    assert answer["Body"] == b"hello"
    assert server.asked[0].path == "/bucket/key"


@pytest.mark.parametrize("colour", COLOURS)
def test_requester_pays_and_addressing_are_what_was_chosen(colour: str) -> None:
    with serving(lambda asked: Answer(b"hello", headers=FINE)) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        [answer] = ask(colour, url, GET, requester_pays=True, addressing="path")

    assert answer["Body"] == b"hello"
    assert server.asked[0].path == "/bucket/key"
    assert server.asked[0].headers["x-amz-request-payer"] == "requester"


@pytest.mark.parametrize("colour", COLOURS)
def test_nothing_waits_for_an_interim_answer(colour: str) -> None:
    with serving(lambda asked: Answer(b"", headers=FINE)) as server:
        ask(colour, server.url, PUT, Call("UploadPart", {"Key": "k", "UploadId": "u", "PartNumber": 1, "Body": b"x"}))

    assert [asked.headers.get("expect") for asked in server.asked] == [None, None]


@pytest.mark.parametrize("colour", COLOURS)
def test_the_first_failure_stops_the_other_calls_and_is_the_one_raised(colour: str) -> None:
    begun = threading.Semaphore(0)
    over = threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("/bad"):
            for _ in range(3):
                begun.acquire()
            return said("AccessDenied", status=403)
        begun.release()
        over.wait()
        return Answer(b"")

    calls = Calls(
        (
            *(Call("HeadObject", {"Key": f"good-{number}"}) for number in range(3)),
            Call("HeadObject", {"Key": "bad"}),
            *[HEAD] * 40,
        )
    )
    with serving(answer) as server:
        threading.Timer(30, over.set)
        [error] = _with_release(
            lambda: ask(colour, server.url, calls, parallel=4, timeouts=S3Timeouts(read_s=2, call_s=4)), over
        )
        asked = len(server.asked)

    assert isinstance(error, StorageAccessError)
    assert asked <= 8


def _with_release(work: Any, over: threading.Event) -> Any:
    try:
        return work()
    finally:
        over.set()


def test_a_cancelled_call_that_gets_no_answer_ends_all_the_same() -> None:
    hung_up = threading.Event()

    def talk(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        asked.set()
        if not connection.recv(1):
            hung_up.set()

    async def cancel() -> None:
        async with AsyncS3Store("bucket", endpoint_url=url, timeouts=S3Timeouts(read_s=1), **LOGIN) as store:
            task = asyncio.create_task(store._performer.perform(PUT))
            await asyncio.to_thread(asked.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(hung_up.wait, 30)

    asked = threading.Event()
    with raw_server(talk) as url:
        asyncio.run(cancel())


UPLOAD = b"<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>"


@pytest.mark.parametrize(
    ("call", "after"), [(PUT, []), (Call("CreateMultipartUpload", {"Key": "key"}), ["DELETE"])], ids=["PUT", "POST"]
)
def test_a_cancelled_call_waits_for_what_has_left_already(call: Call, after: list[str]) -> None:
    # Else it would take effect after everybody was told that it had ended; and nobody could abort the upload.
    asked, cancelled = threading.Event(), threading.Event()

    def answer(_: Asked) -> Answer:
        asked.set()
        cancelled.wait()
        return Answer(UPLOAD, headers={**FINE, "Content-Type": "application/xml"})

    async def cancel(url: str) -> None:
        async with AsyncS3Store("bucket", endpoint_url=url, **LOGIN) as store:
            task = asyncio.create_task(store._performer.perform(call))
            await asyncio.to_thread(asked.wait)
            task.cancel()
            await asyncio.sleep(0)  # it is told
            task.cancel()
            assert not task.done()
            cancelled.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    with serving(answer) as server:
        asyncio.run(cancel(server.url))

    assert [asked.method for asked in server.asked[1:]] == after
    assert all(asked.query["uploadId"] == "u-1" for asked in server.asked[1:])


def test_a_store_that_nobody_closed_leaves_nothing_behind_when_its_loop_ends(recwarn: pytest.WarningsRecorder) -> None:
    async def use(store: AsyncS3Store) -> int:
        await store._performer.perform(HEAD)
        return len(store._performer._client._held)

    with serving(lambda asked: Answer(b"", headers=FINE)) as server:
        store = AsyncS3Store("bucket", endpoint_url=server.url, **LOGIN)
        assert [asyncio.run(use(store)) for _ in range(3)] == [1, 1, 1]

    assert [str(one.message) for one in recwarn] == []


def test_many_threads_make_one_client_and_a_child_its_own() -> None:
    with (
        serving(lambda asked: Answer(b"", headers=FINE)) as server,
        S3Store("bucket", endpoint_url=server.url, **LOGIN) as store,
    ):
        performer = store._performer
        clients: list[Any] = []
        barrier = threading.Barrier(8)

        def work() -> None:
            barrier.wait()
            performer.perform(HEAD)
            clients.append(performer._client.get())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        child = os.fork()
        if child == 0:
            same = performer._client.get() is clients[0]
            os._exit(0 if performer.perform(HEAD) and not same else 1)
        _, status = os.waitpid(child, 0)

    assert len(set(map(id, clients))) == 1
    assert os.waitstatus_to_exitcode(status) == 0


ASK_IN_A_CHILD = """
import sys
from tests.integration.s3_colours import ask
from controlroom.policy.object_calls import Call
colour, url, authority = sys.argv[1:]
for verify in (True, authority, False):
    [outcome] = ask(colour, url, Call("GetObject", {"Key": "key"}), verify=verify)
    print(outcome["Body"] if isinstance(outcome, dict) else outcome)
"""


@pytest.mark.parametrize("colour", COLOURS)
def test_a_certificate_of_nobody_known_is_refused_and_one_of_ours_accepted(colour: str, tmp_path: Path) -> None:
    # In a process of its own: what asyncio leaves open after a failed handshake would be held against the next test.
    authority = new_authority(tmp_path)
    context = authority.server_context(authority.issue("server"))

    def talk(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            read_request(secured)
            secured.sendall(b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")

    with raw_server(talk) as url:
        command = [sys.executable, "-c", ASK_IN_A_CHILD, colour, url.replace("http:", "https:"), str(authority.path)]
        ended = subprocess.run(
            command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=True
        )

    refused, *accepted = ended.stdout.splitlines()
    assert "certificate cannot be verified" in refused
    assert "verify=" in refused
    assert accepted == ["b'hello'", "b'hello'"]


def test_a_drip_under_tls_does_not_hold_a_call_either(tmp_path: Path) -> None:
    # Sockets of TLS are others than plain ones; where a task is cancelled, it makes no difference.
    authority = new_authority(tmp_path)
    context = authority.server_context(authority.issue("server"))
    drip = dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"y")

    def talk(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            drip(secured, over)

    with raw_server(talk) as url:
        [error] = ask("sync", url.replace("http:", "https:"), LIST, verify=authority.path, timeouts=HASTY)

    assert isinstance(error, StorageUnavailableError)


@pytest.mark.parametrize("colour", COLOURS)
def test_not_even_at_debug_does_a_secret_reach_the_log(
    colour: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sts(asked: Asked) -> Answer:
        return Answer(ROLE.format(number=1, expires="2099-01-01T00:00:00Z").encode())

    with (
        caplog.at_level(logging.DEBUG),
        serving(sts) as security,
        serving(lambda asked: said("AccessDenied", status=403)) as server,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", security.url)
        body = Call("PutObject", {"Key": "key", "Body": b"content-of-somebody"})
        [error] = ask(colour, server.url, body, session_token="token-of-these-tests")
        [other] = ask(colour, server.url, body, role_arn="arn:aws:iam::123456789012:role/r")

    assert isinstance(error, StorageAccessError)
    assert isinstance(other, StorageAccessError)
    for secret in ("secret-of-", "token-of-", "Signature=", "content-of-somebody"):
        assert secret not in caplog.text
        assert secret not in str(error.to_dict())


LACKING = {
    # It looks first and completes then: of several at once several win. And the bucket keeps no versions.
    "seaweedfs_server": {Capability.VERSIONS, Capability.COMPLETE_IF_ABSENT, Capability.COMPLETE_IF_MATCH},
    "ministack_server": {Capability.VERSIONS, Capability.COPY_IF_ABSENT, Capability.FULL_OBJECT},
}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("server", LACKING)
def test_what_a_real_server_does_is_found_out_and_nothing_is_left(
    colour: str, server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capabilities, "_found", {})
    real = request.getfixturevalue(server)
    prefix = real.new_prefix()

    async def ask_async() -> set[Capability]:
        async with AsyncS3Store(real.bucket, prefix, **real.login()) as store:
            return {one for one in Capability if not await store._performer.capabilities.has(one)}

    if colour == "async":
        lacking = asyncio.run(ask_async())
    else:
        with S3Store(real.bucket, prefix, **real.login()) as store:
            lacking = {one for one in Capability if not store._performer.capabilities.has(one)}

    assert lacking == LACKING[server]
    assert list(real.keys(real.bucket, prefix)) == []
    assert list(real.uploads(real.bucket, prefix)) == []
