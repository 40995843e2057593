"""The walks that `api_walk` compares: by hand, over raw means, and by the peers that are installed."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import httpx

__all__ = ["by_hand", "peers", "raw_limits"]

Walk = Callable[[], None]


def by_hand(url: str, path: str, between: Callable[[], object] = lambda: None) -> Walk:
    """Return the loop that everybody writes first; *between* is what the consumer does with a page."""
    client = httpx.Client(base_url=url)

    def walk() -> None:
        params: dict[str, str] = {}
        while True:
            body = client.get(path, params=params).json()
            for _ in body["data"]:
                pass
            between()
            if body["meta"]["next"] is None:
                return
            params = {"cursor": body["meta"]["next"]}

    return walk


def raw_limits(url: str, path: str) -> dict[str, Walk]:
    """Return walks that do less than any client can: no URLs, no limits, no errors."""
    return {"http.client and json": _over_http_client(url, path), "a socket and json": _over_a_socket(url, path)}


def _over_http_client(url: str, path: str) -> Walk:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def body_of(target: str) -> bytes:
        connection.request("GET", target)
        return connection.getresponse().read()

    return _walk(path, body_of)


def _over_a_socket(url: str, path: str) -> Walk:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))

    def body_of(target: str) -> bytes:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        received = connection.recv(65_536)
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65_536)
        return body

    return _walk(path, body_of)


def _walk(path: str, body_of: Callable[[str], bytes]) -> Walk:
    def walk() -> None:
        target = path
        while True:
            body = json.loads(body_of(target))
            for _ in body["data"]:
                pass
            if body["meta"]["next"] is None:
                return
            target = f"{path}?cursor={body['meta']['next']}"

    return walk


def peers(url: str, path: str) -> dict[str, Walk]:
    """Return the walks of those peers that are installed."""
    made = {"requests": _requests, "dlt": _dlt, "singer_sdk": _singer}
    return {name: make(url, path) for name, make in made.items() if find_spec(name) is not None}


def _requests(url: str, path: str) -> Walk:
    import requests

    session = requests.Session()

    def walk() -> None:
        params: dict[str, str] = {}
        while True:
            body = session.get(url + path, params=params, timeout=10).json()
            for _ in body["data"]:
                pass
            if body["meta"]["next"] is None:
                return
            params = {"cursor": body["meta"]["next"]}

    return walk


def _dlt(url: str, path: str) -> Walk:
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

    client = RESTClient(
        base_url=url,
        paginator=JSONResponseCursorPaginator(cursor_path="meta.next", cursor_param="cursor"),
        data_selector="data",
    )

    def walk() -> None:
        for page in client.paginate(path):
            for _ in page:
                pass

    return walk


def _singer(url: str, path: str) -> Walk:
    from singer_sdk import RESTStream, Tap

    class Orders(RESTStream[str]):
        name = "orders"
        url_base = url
        records_jsonpath = "$.data[*]"
        next_page_token_jsonpath = "$.meta.next"  # noqa: S105 - a path, no secret
        schema = {"type": "object", "properties": {"id": {"type": "integer"}}}

        def get_url_params(self, context: Any, next_page_token: str | None) -> dict[str, str]:  # noqa: ARG002 - the SDK's
            return {} if next_page_token is None else {"cursor": next_page_token}

    class Orderly(Tap):
        name = "tap-orderly"
        config_jsonschema = {"type": "object", "properties": {}}

        def discover_streams(self) -> list[Any]:
            return []

    stream = Orders(Orderly(config={}), path=path)

    def walk() -> None:
        for _ in stream.request_records(None):
            pass

    return walk
