"""Processes for the tests of what processes share: each asks a server through a limit or a token store.

Takes one JSON object of arguments, loads what a call needs once, forks, says which processes there are, and waits for a line
on stdin, so that all begin together. Writes what came of each as one JSON line: null of one that died.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

from controlroom.http import (
    ApiClient,
    AsyncApiClient,
    OAuth2ClientCredentials,
    OAuth2RefreshToken,
    RateLimit,
    Timeouts,
    library,
)


def place(text: str | None, colour: str) -> Any:
    """A path as it is; a database where the text is a URL."""
    if text is None or "://" not in text:
        return text
    from controlroom.database import AsyncDatabase, Database  # a worker of a file starts sooner without

    return (AsyncDatabase if colour == "async" else Database)(text)


def client(options: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"timeouts": Timeouts(total_s=options.get("total_s", 60.0))}
    if (limit := options.get("limit")) is not None:
        found["rate_limit"] = RateLimit(**{**limit, "shared": place(limit.get("shared"), options["colour"])})
    if (store := options.get("store")) is not None:
        store = place(store, options["colour"])
        who = (f"{options['url']}/token", "client", "s3cret-of-client")
        given = options.get("refresh_token")
        found["auth"] = (
            OAuth2ClientCredentials(*who, store=store)
            if given is None
            else OAuth2RefreshToken(*who, given, store=store)
        )
    return found


class Watched(library.HTTPTransport):
    """Sockets, and the instants at which requests left."""

    def __init__(self) -> None:
        super().__init__()
        self.left_s: list[float] = []

    def handle_request(self, request: library.Request) -> library.Response:
        self.left_s.append(time.monotonic())
        return super().handle_request(request)


class AsyncWatched(library.AsyncHTTPTransport):
    """As above."""

    def __init__(self) -> None:
        super().__init__()
        self.left_s: list[float] = []

    async def handle_async_request(self, request: library.Request) -> library.Response:
        self.left_s.append(time.monotonic())
        return await super().handle_async_request(request)


def ask(options: dict[str, Any]) -> tuple[list[float], list[Any]]:
    watched = Watched()
    with ApiClient(options["url"], transport=watched, **client(options)) as api:
        answers = [api.get("/x") for _ in range(options["calls"])]
    return watched.left_s, [answer.json() for answer in answers]


async def ask_async(options: dict[str, Any]) -> tuple[list[float], list[Any]]:
    watched = AsyncWatched()
    async with AsyncApiClient(options["url"], transport=watched, **client(options)) as api:
        answers = await asyncio.gather(*(api.get("/x") for _ in range(options["calls"])))
    return watched.left_s, [answer.json() for answer in answers]


def child(options: dict[str, Any], go: Any, result: Path) -> None:
    go.wait()
    found = asyncio.run(ask_async(options)) if options["colour"] == "async" else ask(options)
    result.write_text(json.dumps(found), encoding="utf-8")


def main(options: dict[str, Any]) -> None:
    with ApiClient(options["url"]) as api:
        api.get("/warm")
    if "://" in json.dumps([options.get("store"), (options.get("limit") or {}).get("shared")]):
        import controlroom.database.registers  # noqa: F401 - loaded before the fork
    fork = multiprocessing.get_context("fork")
    go = fork.Event()
    results = [Path(options["folder"], f"result-{number}") for number in range(options["processes"])]
    children = [fork.Process(target=child, args=(options, go, result)) for result in results]
    for one in children:
        one.start()
    print(json.dumps([one.pid for one in children]), flush=True)
    sys.stdin.readline()
    go.set()
    for one in children:
        one.join()
    print(json.dumps([json.loads(path.read_text()) if path.exists() else None for path in results]), flush=True)


if __name__ == "__main__":
    os.setpgid(0, 0)  # one kill ends all
    main(json.loads(sys.argv[1]))
