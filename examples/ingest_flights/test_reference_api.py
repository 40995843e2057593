from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from reference_api import DEFAULT_FAULTS, DEMO_TOKEN, Fault, ReferenceAPI
from reference_faults import FaultPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "data" / "reference"
AUTHORISED = {"Authorization": f"Bearer {DEMO_TOKEN}"}
NETWORK_FAULTS = (ConnectionResetError, http.client.IncompleteRead)


def connect(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)


def get(
    client: http.client.HTTPConnection, target: str, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, Any]:
    client.request("GET", target, headers=AUTHORISED if headers is None else headers)
    response = client.getresponse()
    return response.status, response.headers, json.loads(response.read())


@pytest.fixture
def api() -> Iterator[ReferenceAPI]:
    with ReferenceAPI(REFERENCE, ()) as running:
        yield running


@pytest.fixture
def client(api: ReferenceAPI) -> Iterator[http.client.HTTPConnection]:
    with closing(connect(api.url)) as connection:
        yield connection


def walk(url: str, *, limit: int = 20) -> tuple[list[str], list[str]]:
    """The codes of all airports by a client that repeats what fails, and how each request ended."""
    codes: list[str] = []
    outcomes: list[str] = []
    cursor: str | None = ""
    with closing(connect(url)) as client:
        while cursor is not None and len(outcomes) < 50:
            target = f"/v1/airports?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
            try:
                status, _, body = get(client, target)
            except NETWORK_FAULTS as error:
                client.close()
                outcomes.append(type(error).__name__)
                continue
            outcomes.append(str(status))
            if status == 200:
                codes += [airport["iata"] for airport in body["data"]]
                cursor = body["meta"]["next"]
    return codes, outcomes


def test_one_walk_meets_all_four_faults_and_still_gets_every_airport_once() -> None:
    with ReferenceAPI(REFERENCE) as api:
        codes, outcomes = walk(api.url)
    assert len(codes) == 107
    assert codes == sorted(set(codes))
    assert " ".join(outcomes) == "200 429 200 503 ConnectionResetError 200 IncompleteRead 200 200 200"
    assert [(one.kind, one.request) for one in api.injected] == [(one.kind, one.request) for one in DEFAULT_FAULTS]
    assert api.requests == {"/v1/airports": 10}


def test_a_429_says_how_long_to_wait_and_keeps_the_connection() -> None:
    with ReferenceAPI(REFERENCE, [Fault("rate_limited", 1)]) as api, closing(connect(api.url)) as client:
        status, headers, body = get(client, "/v1/airports")
        before = client.sock
        assert (status, headers["Retry-After"], body["status"]) == (429, "1", 429)
        assert headers["Content-Type"] == "application/problem+json"
        assert get(client, "/v1/airports")[0] == 200
        assert client.sock is before


def test_a_503_comes_as_often_as_planned_then_ends() -> None:
    plan = [Fault("unavailable", 2, times=2)]
    with ReferenceAPI(REFERENCE, plan) as api, closing(connect(api.url)) as client:
        answers = [get(client, "/v1/airports") for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 503, 503, 200]
    assert "Retry-After" not in answers[1][1]
    assert [one.request for one in api.injected] == [2, 3]


def test_a_reset_is_a_true_rst_without_one_byte_of_an_answer() -> None:
    with ReferenceAPI(REFERENCE, [Fault("reset", 1)]) as api:
        with closing(connect(api.url)) as client:
            client.request("GET", "/v1/airports", headers=AUTHORISED)
            with pytest.raises(ConnectionResetError):
                client.sock.recv(1)
        with closing(connect(api.url)) as client:
            assert get(client, "/v1/airports")[0] == 200


def test_a_body_cut_short_promises_more_than_it_sends_and_ends_in_order() -> None:
    with ReferenceAPI(REFERENCE, [Fault("cut_short", 1)]) as api, closing(connect(api.url)) as client:
        client.request("GET", "/v1/airports", headers=AUTHORISED)
        response = client.getresponse()
        promised = int(response.headers["Content-Length"])
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
        client.close()
        whole = get(client, "/v1/airports")[2]
    assert response.status == 200
    assert len(caught.value.partial) == promised // 2
    assert len(whole["data"]) == 20


def test_many_threads_meet_each_planned_fault_exactly_once() -> None:
    plan = [Fault("unavailable", 10, times=5), Fault("rate_limited", 100), Fault("unavailable", 2, path="/v1/airlines")]
    with ReferenceAPI(REFERENCE, plan) as api, ThreadPoolExecutor(8) as pool:

        def ask(path: str) -> list[int]:
            with closing(connect(api.url)) as client:
                return [get(client, path)[0] for _ in range(25)]

        statuses = [status for some in pool.map(ask, ["/v1/airports", "/v1/airlines"] * 4) for status in some]
    assert (statuses.count(503), statuses.count(429), statuses.count(200)) == (6, 1, 193)
    met = {(one.path, one.kind, one.request) for one in api.injected}
    assert len(api.injected) == len(met) == 7
    assert api.requests == {"/v1/airports": 100, "/v1/airlines": 100}


@pytest.mark.parametrize("header", [None, "", "Bearer wrong", f"Basic {DEMO_TOKEN}", "Bearer", "Bearer tök"])
def test_a_request_without_the_token_gets_401_and_uses_up_no_fault(header: str | None) -> None:
    with ReferenceAPI(REFERENCE, [Fault("unavailable", 1)]) as api, closing(connect(api.url)) as client:
        status, headers, body = get(client, "/v1/airports", {} if header is None else {"Authorization": header})
        assert (status, headers["WWW-Authenticate"], body["title"]) == (401, "Bearer", "Unauthorized")
        assert get(client, "/v1/airports")[0] == 503
    assert api.requests == {"/v1/airports": 1}


def test_one_airport_by_its_code(client: http.client.HTTPConnection) -> None:
    status, headers, body = get(client, "/v1/airports/JFK")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert (body["icao"], body["tz"], body["lat"]) == ("KJFK", "America/New_York", 40.639928)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/airports/XXX", 404),
        ("/v1/airports/", 404),
        ("/v2", 404),
        ("//[", 404),
        ("/v1/airlines?page=5", 404),
        ("/v1/airlines?page=0", 400),
        ("/v1/airports?limit=101", 400),
        ("/v1/airports?limit=", 400),
        ("/v1/airports?limit=%C2%B2", 400),
        ("/v1/airports?limit=" + "9" * 5000, 400),
        ("/v1/airports?cursor=", 400),
        ("/v1/airports?cursor=a", 400),
        ("/v1/airports?cursor=%C3%A9", 400),
        ("/v1/airports?cursor=_____w==", 400),
        ("/v1/airports?cursor=YmVmb3JlOkpGSw==", 400),
    ],
)
def test_a_wrong_request_gets_problem_details(client: http.client.HTTPConnection, target: str, status: int) -> None:
    got, headers, body = get(client, target)
    assert (got, headers["Content-Type"]) == (status, "application/problem+json")
    assert body.keys() == {"type", "title", "status", "detail"}
    assert body["status"] == status


def test_an_unknown_method_gets_problem_details_too(client: http.client.HTTPConnection) -> None:
    client.request("POST", "/v1/airports", body=b"{}", headers=AUTHORISED)
    response = client.getresponse()
    assert (response.status, response.headers["Content-Type"]) == (501, "application/problem+json")
    assert json.loads(response.read())["status"] == 501


@pytest.mark.parametrize("limit", [1, 53, 100])
def test_every_page_size_gives_the_same_airports(api: ReferenceAPI, limit: int) -> None:
    codes, outcomes = [], 0
    cursor: str | None = ""
    with closing(connect(api.url)) as client:
        while cursor is not None:
            body = get(client, f"/v1/airports?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))[2]
            codes += [airport["iata"] for airport in body["data"]]
            cursor, outcomes = body["meta"]["next"], outcomes + 1
            assert body["meta"]["total"] == 107
    assert len(set(codes)) == len(codes) == 107
    assert outcomes == -(-107 // limit)


def test_airlines_by_page_number_and_by_link_header_agree(client: http.client.HTTPConnection) -> None:
    numbered = [get(client, f"/v1/airlines?page={page}")[2]["data"] for page in range(1, 5)]
    linked, target = [], "/v1/airlines?page=1"
    while target:
        _, headers, body = get(client, target)
        linked.append(body["data"])
        target = headers.get("Link", "<>").split(">")[0].removeprefix("<")
    assert linked == numbered
    assert [len(page) for page in numbered] == [5, 5, 5, 1]
    assert body["meta"] == {"page": 4, "pages": 4, "total": 16}


def test_the_injected_faults_can_be_read_over_http_without_being_counted() -> None:
    with ReferenceAPI(REFERENCE, [Fault("unavailable", 1)]) as api, closing(connect(api.url)) as client:
        get(client, "/v1/airports?limit=3")
        _, _, body = get(client, "/injected")
    expected = {"kind": "unavailable", "request": 1, "path": "/v1/airports", "target": "/v1/airports?limit=3"}
    assert body == {"data": [expected]}
    assert api.requests == {"/v1/airports": 1}


def test_closing_does_not_wait_for_idle_or_half_spoken_clients() -> None:
    before = threading.active_count()
    with ReferenceAPI(REFERENCE, ()) as api:
        idle, half, silent = connect(api.url), connect(api.url), connect(api.url)
        get(idle, "/v1/airports")
        half.connect()
        half.sock.sendall(b"GET /v1/airports HT")
        silent.connect()
        get(idle, "/v1/airports")
    for client in (idle, half, silent):
        client.close()
    assert threading.active_count() == before
    api.close()
    with pytest.raises(RuntimeError, match="only inside"):
        _ = api.url


def test_an_address_freed_by_closing_refuses_connections() -> None:
    with ReferenceAPI(REFERENCE, ()) as api:
        url = api.url
    with closing(connect(url)) as client, pytest.raises(ConnectionRefusedError):
        client.connect()


def test_clients_that_vanish_make_no_noise_and_no_warnings(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ReferenceAPI(REFERENCE) as api:
            for _ in range(20):
                with closing(connect(api.url)) as client:
                    client.request("GET", "/v1/airports?limit=100", headers=AUTHORISED)
                    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            walk(api.url)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_as_a_process_it_prints_its_url_serves_and_ends_cleanly(stop: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-X", "dev", str(HERE / "reference_api.py"), "--fault", "unavailable@1x2"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with closing(connect(url)) as client:
            assert [get(client, "/v1/airports")[0] for _ in range(3)] == [503, 503, 200]
            process.send_signal(stop)
            rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize("text", ["reset@0", "reset@1x0", "flood@1", "@1"])
def test_a_fault_that_cannot_happen_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="kind is one of"):
        Fault.parse(text)


def test_two_faults_for_one_request_are_refused() -> None:
    with pytest.raises(ValueError, match="another fault"):
        FaultPlan([Fault("reset", 1, times=3), Fault("reset", 3)])
