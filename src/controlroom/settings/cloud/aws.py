"""The synchronous driver: botocore performs the calls, one client for each service and region, a thread for each call."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

import botocore.config
import botocore.loaders
import botocore.session
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from controlroom import clock
from controlroom.clock import current_deadline
from controlroom.errors import APITimeoutError, ControlRoomError, DeadlineExceededError, ShutdownRequested
from controlroom.policy.deadlines import Deadline
from controlroom.policy.flow import drive
from controlroom.settings.cloud.calls import Answer, Call, Together, understood
from controlroom.settings.cloud.classify import classified, unclear
from controlroom.settings.cloud.policy import CloudPolicy
from controlroom.settings.cloud.threads import at_once
from controlroom.settings.cloud.trying import Pause, judged_by, trying

__all__ = ["Aws", "answered", "knowing_models", "limit_of", "options", "region_of", "too_late", "unheard", "unlogged"]

_unlogged: ContextVar[bool] = ContextVar("controlroom_cloud_unlogged", default=False)


class Aws:
    """Performs the steps of one `fetching`. Made for one load: a client keeps credentials and the endpoint it was made with.

    Args:
        policy: Timeouts, attempts, backoff.
        connect: Returns a client, given service, region and timeouts; botocore's own way when not given.
    """

    def __init__(self, policy: CloudPolicy, connect: Callable[[str, str, CloudPolicy], Any] | None = None) -> None:
        self._policy = policy
        self._connect = connect or _Session().client
        self._clients: dict[tuple[str, str], Any] = {}

    def perform(self, step: Together) -> list[Answer | ControlRoomError]:
        """Return for each call its answer, or the error that ended its tries."""
        limit, deadline = limit_of(self._policy), current_deadline()
        if limit.is_over:
            return [too_late(call.action, limit) for call in step.calls]
        # Clients are made here: a botocore session is not to be shared between threads, its clients are.
        prepared = [self._client(call) for call in step.calls]
        jobs = [partial(self._tried, call, client, deadline) for call, client in zip(step.calls, prepared, strict=True)]
        ended = at_once(jobs, limit)
        return [ended.get(number) or unheard(call.action) for number, call in enumerate(step.calls)]

    def _client(self, call: Call) -> Any:
        """Return the client for *call*, or the error why there is none."""
        key = (call.service, call.region)
        if key not in self._clients:
            try:
                self._clients[key] = self._connect(*key, self._policy)
            except (BotoCoreError, OSError, ValueError) as error:  # ValueError: an endpoint that is no URL
                return classified(error, call, call.region)
        return self._clients[key]

    def _tried(self, call: Call, client: Any, deadline: Deadline | None) -> Answer | ControlRoomError:
        if isinstance(client, ControlRoomError):
            return client

        def perform(step: Call | Pause) -> Answer | None:
            if isinstance(step, Pause):
                clock.sleep(step.seconds)
                return None
            return _asked(step, client, deadline)

        try:
            return drive(trying(call, self._policy, judged_by(self._policy, deadline)), perform)
        except ShutdownRequested:
            raise
        except ControlRoomError as error:
            return error


class _Session:
    """One botocore session, made when it is first needed."""

    def __init__(self) -> None:
        self._session: botocore.session.Session | None = None

    def client(self, service: str, region: str, policy: CloudPolicy) -> Any:
        session = self._session = self._session or knowing_models(botocore.session.get_session())
        config = botocore.config.Config(**options(policy))
        return session.create_client(service, region_name=region or region_of(session), config=config)


def _asked(call: Call, client: Any, deadline: Deadline | None) -> Answer:
    if deadline is not None:
        deadline.require(call.action)
    region, url = client.meta.region_name, client.meta.endpoint_url
    try:
        with unlogged():
            data = getattr(client, xform_name(call.operation))(**call.parameters)
    except (BotoCoreError, ClientError, OSError) as error:
        ours = classified(error, call, region, url)
        raise ours from ours.__cause__
    return answered(call, data, region, url)


def answered(call: Call, data: Any, region: str, url: str) -> Answer:
    """Return *data* as the answer to *call*, if it is one."""
    if not understood(call, data):
        raise unclear(call, url)
    return Answer(data, region)


def limit_of(policy: CloudPolicy) -> Deadline:
    """Return until when calls that begin now may be under way: what drips keeps every timeout of its own."""
    each_s = policy.connect_s + policy.read_s + policy.backoff.cap_s
    return Deadline.after(policy.attempts * each_s + 1, clock.monotonic_s).tightest(current_deadline())


def too_late(what: str, limit: Deadline) -> ControlRoomError:
    """Return the error for *what*, for which nothing of *limit* is left."""
    try:
        limit.require(what)
    except DeadlineExceededError as error:
        return error
    return unheard(what)


def unheard(what: str) -> APITimeoutError:
    """Return the error for *what*, which had not ended when it was time to go on."""
    message = f"{what} was not answered before its time was over. Nothing was loaded; running it again later can help."
    return APITimeoutError(message, phase="total", sent="unknown", method="POST")


def options(policy: CloudPolicy) -> dict[str, Any]:
    """Return what a client is configured with, in either colour."""
    deadline = current_deadline()
    left_s = float("inf") if deadline is None else max(deadline.remaining_s(), 0.001)  # zero would mean no limit
    return {
        "connect_timeout": min(policy.connect_s, left_s),
        "read_timeout": min(policy.read_s, left_s),
        "retries": {"total_max_attempts": 1},  # `trying` does that, within the deadline, and says so
        "max_pool_connections": 16,
    }


def region_of(session: Any) -> str | None:
    """Return the region that the configuration names: AWS_REGION too, which other SDKs and hosts of AWS use."""
    return session.get_config_variable("region") or os.environ.get("AWS_REGION") or None


@cache
def _models() -> botocore.loaders.Loader:
    return botocore.loaders.create_loader(os.environ.get("AWS_DATA_PATH"))


def knowing_models(session: Any) -> Any:
    """Return *session*, new, with the descriptions of services that were read before: most of what a client costs."""
    session.register_component("data_loader", _models())
    return session


class _OutOfTheLog(logging.Filter):
    """botocore logs every answer at DEBUG, before anybody can know that there is a secret in it."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - which one does not matter
        return not _unlogged.get()


for _name in ("botocore.parsers", "aiobotocore.parsers", "botocore.auth"):
    logging.getLogger(_name).addFilter(_OutOfTheLog())
del _name


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep what botocore says of answers and signatures in this context out of the log."""
    token = _unlogged.set(True)
    try:
        yield
    finally:
        _unlogged.reset(token)
