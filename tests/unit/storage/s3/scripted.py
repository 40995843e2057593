"""A client of S3 that answers what it was told, for both colours; no socket, no botocore client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from controlroom.policy.object_calls import Call, Calls
from controlroom.retrying import RetryPolicy
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3.performer_async import AsyncS3Performer
from controlroom.storage.s3_keys import S3Place

COLOURS = ["sync", "async"]
ENDPOINT = "http://127.0.0.1:9"


def refusal(code: str, status: int = 400, operation: str = "PutObject", **headers: str) -> ClientError:
    """What botocore raises for an answer of S3."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    about = {"HTTPStatusCode": status, "HTTPHeaders": named, "RequestId": "REQ1", "HostId": "HOST1"}
    return ClientError({"Error": {"Code": code, "Message": "as told"}, "ResponseMetadata": about}, operation)


class Scripted:
    """Answers each call with the next of *answers*: a dict, an exception to raise, or a function of the parameters."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.renewed = 0

    def answer(self, operation: str, params: dict[str, Any]) -> Any:
        self.asked.append((operation, params))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer(params) if callable(answer) else answer

    def get(self) -> Any:
        return self

    def renew(self) -> None:
        self.renewed += 1

    def close(self) -> None:
        """Nothing is open."""

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_"):
            raise AttributeError(operation)
        return lambda **params: self.answer(operation, params)

    @property
    def meta(self) -> Any:
        return type("Meta", (), {"endpoint_url": ENDPOINT})


class AsyncScripted:
    def __init__(self, scripted: Scripted) -> None:
        self._scripted = scripted

    def at_hand(self) -> Any:
        return None

    async def get(self) -> Any:
        return self

    async def renew(self) -> None:
        self._scripted.renew()

    async def aclose(self) -> None:
        """Nothing is open."""

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        async def ask(**params: Any) -> Any:
            await asyncio.sleep(0)
            return self._scripted.answer(operation, params)

        return ask

    @property
    def meta(self) -> Any:
        return self._scripted.meta


def perform(
    colour: str, scripted: Scripted, *steps: Call | Calls, retry: RetryPolicy | None = None, **options: Any
) -> list[Any]:
    """What each of *steps* gave, or the exception that it raised."""
    place = S3Place("bucket", "pre")
    given = S3Options(retry=retry or RetryPolicy(), **options)
    if colour == "async":
        return asyncio.run(_perform_async(AsyncS3Performer(place, given), scripted, steps))
    performer = S3Performer(place, given)
    performer._client = scripted  # type: ignore[assignment]  # the double
    outcomes: list[Any] = []
    for step in steps:
        try:
            outcomes.append(performer.perform(step))
        except BaseException as error:
            outcomes.append(error)
    return outcomes


async def _perform_async(performer: AsyncS3Performer, scripted: Scripted, steps: tuple[Call | Calls, ...]) -> list[Any]:
    performer._client = AsyncScripted(scripted)  # type: ignore[assignment]  # the double
    outcomes: list[Any] = []
    for step in steps:
        try:
            outcomes.append(await performer.perform(step))
        except BaseException as error:
            outcomes.append(error)
    return outcomes
