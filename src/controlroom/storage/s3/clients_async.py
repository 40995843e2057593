"""aiobotocore's client for S3: one for each store and event loop, made when it is first needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiobotocore.session
from aiobotocore.credentials import AioAssumeRoleCredentialFetcher, AioDeferredRefreshableCredentials

from controlroom.storage.s3.clients import credentials_of, sign_with, tamed, usable_endpoint
from controlroom.storage.s3.http_async import KeptConfig, PlainSession
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.sessions import (
    SESSION_NAME,
    arguments,
    configuration,
    keep_secret,
    prepared,
    user_agent,
)
from controlroom.storage.s3.silence import quietly

__all__ = ["AsyncS3Client"]


@dataclass(slots=True)
class _Held:
    """What belongs to one event loop."""

    process: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    keeper: AsyncGenerator[Any, None] | None = None
    client: Any = None


class AsyncS3Client:
    """A client that is made when it is first needed, one for each event loop.

    One whose loop ends is closed by ``loop.shutdown_asyncgens()``, as `asyncio.run` calls it: no connection is left behind
    where nobody closed the store.

    Args:
        options: How to reach the store.
    """

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._held: dict[asyncio.AbstractEventLoop, _Held] = {}

    def at_hand(self) -> Any:
        """Return the client of this loop, or None: the short way."""
        held = self._held.get(asyncio.get_running_loop())
        return held.client if held is not None and held.process == os.getpid() else None

    async def get(self) -> Any:
        """Return the client of this loop.

        Raises:
            BotoCoreError: Of botocore: its configuration is wrong, a role cannot be assumed, …
        """
        held = self._of_this_loop()
        async with held.lock:
            if held.client is None:
                keeper = self._keeping()
                with quietly():
                    held.client = await anext(keeper)
                held.keeper = keeper
            return held.client

    def _of_this_loop(self) -> _Held:
        loop, process = asyncio.get_running_loop(), os.getpid()
        for other in [other for other in self._held if other.is_closed()]:
            self._held.pop(other, None)
        held = self._held.get(loop)
        if held is None or held.process != process:
            held = self._held[loop] = _Held(process)
        return held

    async def _keeping(self) -> AsyncGenerator[Any, None]:
        """Yield a client once; close it when this generator is closed, which the loop does at its end if nobody did."""
        options = self._options
        session = await self._session()
        config = KeptConfig(http_session_cls=PlainSession, user_agent=user_agent(session), **configuration(options))
        async with AsyncExitStack() as stack:
            with usable_endpoint():
                client = await stack.enter_async_context(session.create_client(**arguments(options), config=config))
            if (credentials := credentials_of(client)) is not None:
                keep_secret(await credentials.get_frozen_credentials())
            try:
                yield tamed(client)
            finally:
                self._forget(client)

    def _forget(self, client: Any) -> None:
        for held in list(self._held.values()):
            if held.client is client:
                held.client = held.keeper = None

    async def _session(self) -> Any:
        options = self._options
        session = prepared(aiobotocore.session.AioSession(profile=options.profile), options, KeptConfig)
        if options.role_arn is not None:
            fetcher = AioAssumeRoleCredentialFetcher(
                session.create_client,
                await session.get_credentials(),
                options.role_arn,
                extra_args={"RoleSessionName": SESSION_NAME},
            )
            refreshable = AioDeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
            session._credentials = refreshable  # noqa: SLF001 - as in `sessions`
        return session

    async def renew(self) -> None:
        """Look for credentials anew, since the server says that those in use have expired."""
        held = self._of_this_loop()
        async with held.lock:
            if held.client is None:
                return
            with quietly():
                fresh = await (await self._session()).get_credentials()
                if fresh is not None:
                    keep_secret(await fresh.get_frozen_credentials())
                    sign_with(held.client, fresh)

    async def aclose(self) -> None:
        """Close the connections of this loop. The next call opens new ones."""
        held = self._held.pop(asyncio.get_running_loop(), None)
        if held is not None and held.keeper is not None and held.process == os.getpid():
            await held.keeper.aclose()
