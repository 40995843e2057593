"""Both colours of the client behind one blocking face, so that each test is written once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controlroom.http import ApiClient, AsyncApiClient, Endpoint, Page, Response

COLOURS = ("sync", "async")


@dataclass
class Outcome:
    """What a walk handed out, and how it ended."""

    pages: list[Page[Any]] = field(default_factory=list)
    error: Exception | None = None

    @property
    def records(self) -> list[Any]:
        return [record for page in self.pages for record in page.records]


def walk(
    colour: str,
    url: str,
    endpoint: Endpoint[Any],
    *,
    params: Mapping[str, Any] | None = None,
    resume: Mapping[str, Any] | None = None,
    take: int | None = None,
    prefetch: int = 0,
    path: Mapping[str, object] | None = None,
    **client: Any,
) -> Outcome:
    """Walk to the end, to an error, or until *take* pages were taken."""
    outcome = Outcome()

    def sync() -> None:
        with ApiClient(url, **client) as api:
            for page in api.pages(endpoint, params=params, resume=resume, prefetch=prefetch, **(path or {})):
                outcome.pages.append(page)
                if len(outcome.pages) == take:
                    break

    async def asynchronous() -> None:
        async with AsyncApiClient(url, **client) as api:
            async for page in api.pages(endpoint, params=params, resume=resume, prefetch=prefetch, **(path or {})):
                outcome.pages.append(page)
                if len(outcome.pages) == take:
                    break

    try:
        sync() if colour == "sync" else asyncio.run(asynchronous())
    except Exception as error:
        outcome.error = error
    return outcome


def ask(colour: str, url: str, method: str = "GET", path: str = "/", *, client: Any = None, **options: Any) -> Response:
    """Make one call."""

    async def asynchronous() -> Response:
        async with AsyncApiClient(url, **(client or {})) as api:
            return await api.request(method, path, **options)

    if colour == "async":
        return asyncio.run(asynchronous())
    with ApiClient(url, **(client or {})) as api:
        return api.request(method, path, **options)
