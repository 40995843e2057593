"""The asynchronous driver: aiobotocore performs the calls, each in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self

import aiobotocore.config
import aiobotocore.session
from aiobotocore.session import AioSession
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.errors import ControlRoomError, ShutdownRequested
from controlroom.policy.deadlines import Deadline
from controlroom.policy.flow import drive_async
from controlroom.settings.cloud.aws import (
    answered,
    knowing_models,
    limit_of,
    options,
    region_of,
    too_late,
    unheard,
    unlogged,
)
from controlroom.settings.cloud.calls import Answer, Call, Together
from controlroom.settings.cloud.classify import classified
from controlroom.settings.cloud.policy import CloudPolicy
from controlroom.settings.cloud.trying import Pause, judged_by, trying

__all__ = ["AsyncAws"]

_MOST_AT_ONCE = 8

Connect = Callable[[str, str, CloudPolicy], AbstractAsyncContextManager[Any]]


class AsyncAws:
    """Performs the steps of one `fetching`, as `Aws` does; ``async with`` closes its clients.

    Args:
        policy: Timeouts, attempts, backoff.
        connect: Returns a client, given service, region and timeouts; aiobotocore's own way when not given.
    """

    def __init__(self, policy: CloudPolicy, connect: Connect | None = None) -> None:
        self._policy = policy
        self._connect = connect or _Session().client
        self._clients: dict[tuple[str, str], Any] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def perform(self, step: Together) -> list[Answer | ControlRoomError]:
        """Return for each call its answer, or the error that ended its tries."""
        limit, deadline = limit_of(self._policy), current_deadline()
        if limit.is_over:
            return [too_late(call.action, limit) for call in step.calls]
        prepared = [await self._client(call) for call in step.calls]
        room = asyncio.Semaphore(_MOST_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._in_time(call, client, deadline, limit, room))
                    for call, client in zip(step.calls, prepared, strict=True)
                ]
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # a shutdown, or a bug; what AWS did is a result
        return [task.result() for task in tasks]

    async def _client(self, call: Call) -> Any:
        """Return the client for *call*, or the error why there is none."""
        key = (call.service, call.region)
        if key not in self._clients:
            try:
                self._clients[key] = await self._open.enter_async_context(self._connect(*key, self._policy))
            except (BotoCoreError, OSError, ValueError) as error:  # ValueError: an endpoint that is no URL
                return classified(error, call, call.region)
        return self._clients[key]

    async def _in_time(
        self, call: Call, client: Any, deadline: Deadline | None, limit: Deadline, room: asyncio.Semaphore
    ) -> Answer | ControlRoomError:
        if isinstance(client, ControlRoomError):
            return client
        try:
            async with asyncio.timeout(limit.remaining_s()), room:
                return await self._tried(call, client, deadline)
        except TimeoutError:
            return unheard(call.action)

    async def _tried(self, call: Call, client: Any, deadline: Deadline | None) -> Answer | ControlRoomError:
        async def perform(step: Call | Pause) -> Answer | None:
            if isinstance(step, Pause):
                await clock.asleep(step.seconds)
                return None
            return await _asked(step, client, deadline)

        try:
            return await drive_async(trying(call, self._policy, judged_by(self._policy, deadline)), perform)
        except ShutdownRequested:
            raise
        except ControlRoomError as error:
            return error


class _Session:
    """One aiobotocore session, made when it is first needed."""

    def __init__(self) -> None:
        self._session: AioSession | None = None

    def client(self, service: str, region: str, policy: CloudPolicy) -> AbstractAsyncContextManager[Any]:
        session = self._session = self._session or knowing_models(aiobotocore.session.get_session())
        config = aiobotocore.config.AioConfig(**options(policy))
        client: AbstractAsyncContextManager[Any] = session.create_client(
            service, region_name=region or region_of(session), config=config
        )
        return client


async def _asked(call: Call, client: Any, deadline: Deadline | None) -> Answer:
    if deadline is not None:
        deadline.require(call.action)
    region, url = client.meta.region_name, client.meta.endpoint_url
    try:
        with unlogged():
            data = await getattr(client, xform_name(call.operation))(**call.parameters)
    except (BotoCoreError, ClientError, OSError) as error:
        ours = classified(error, call, region, url)
        raise ours from ours.__cause__
    return answered(call, data, region, url)
