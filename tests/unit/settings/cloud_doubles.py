"""A double of Secrets Manager and the Parameter Store, at the place of botocore's and aiobotocore's clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controlroom.settings import BaseSettings, load_settings
from controlroom.settings.cloud import aws as sync_driver
from controlroom.settings.cloud import aws_async as async_driver
from controlroom.settings.loading_async import aload_settings

REGION = "eu-west-1"
ACCOUNT = "123456789012"

Load = Callable[..., BaseSettings]


def load_async(model: type[BaseSettings], **arguments: Any) -> BaseSettings:
    return asyncio.run(aload_settings(model, **arguments))


COLOURS = [pytest.param(load_settings, id="sync"), pytest.param(load_async, id="async")]


def refusal(code: str, operation: str = "GetSecretValue", status: int = 400, words: str = "No.") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": words}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )


@dataclass
class Asked:
    """One call, as it came."""

    operation: str
    region: str
    parameters: dict[str, Any]
    thread: int

    @property
    def names(self) -> list[str]:
        given = self.parameters
        return given.get("Names") or given.get("SecretIdList") or [given["SecretId"]]


@dataclass
class FakeAws:
    """Keeps secrets and parameters, and answers as AWS does; `refuse` may raise instead."""

    secrets: dict[str, list[str | bytes]] = field(default_factory=dict)
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    refuse: Callable[[Asked], None] = field(default=lambda _: None)
    lie: Callable[[Asked, dict[str, Any]], dict[str, Any]] = field(default=lambda _, truth: truth)
    configured: list[dict[str, Any]] = field(default_factory=list)

    def put_secret(self, name: str, value: str | bytes) -> str:
        self.secrets.setdefault(name, []).append(value)
        return self.arn(name)

    def put_parameter(self, name: str, value: str, kind: str = "SecureString") -> None:
        self.parameters[name] = (kind, value)

    def arn(self, name: str) -> str:
        return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"

    def operations(self) -> list[str]:
        return [asked.operation for asked in self.asked]

    def answer(self, region: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        asked = Asked(operation, region, parameters, threading.get_ident())
        self.asked.append(asked)
        self.refuse(asked)
        return self.lie(asked, getattr(self, f"_{operation}")(**parameters))

    def _GetSecretValue(self, SecretId: str, VersionStage: str = "", VersionId: str = "") -> dict[str, Any]:  # noqa: N802, N803 - as AWS spells them
        name = next((name for name in self.secrets if SecretId in {name, self.arn(name), self.arn(name)[:-7]}), None)
        versions = self.secrets.get(name or "", [])
        wanted = -2 if VersionStage == "AWSPREVIOUS" else int(VersionId[-1]) if VersionId else -1
        if len(versions) < abs(wanted):
            raise refusal("ResourceNotFoundException")
        value = versions[wanted]
        kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        return {"ARN": self.arn(name or ""), "Name": name, kind: value}

    def _BatchGetSecretValue(self, SecretIdList: list[str]) -> dict[str, Any]:  # noqa: N802, N803 - as AWS spells them
        if len(SecretIdList) > 20:
            raise refusal("InvalidParameterException", "BatchGetSecretValue")
        values, errors = [], []
        for name in SecretIdList:
            try:
                values.append(self._GetSecretValue(name))
            except ClientError as error:
                errors.append({"SecretId": name, "ErrorCode": error.response["Error"]["Code"], "Message": "No."})
        return {"SecretValues": values, "Errors": errors}

    def _GetParameters(self, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N802, N803 - as AWS spells them
        if len(Names) > 10:
            raise refusal("ValidationException", "GetParameters")
        found = [name for name in Names if name.partition(":")[0] in self.parameters]
        items = []
        for name in found:
            bare, colon, selector = name.partition(":")
            kind, value = self.parameters[bare]
            items.append(
                {"Name": bare, "Type": kind, "Value": value, "Selector": f"{colon}{selector}"}
                if WithDecryption or kind != "SecureString"
                else {"Name": bare, "Type": kind, "Value": "AQICAH-not-decrypted"}
            )
        return {"Parameters": items, "InvalidParameters": [name for name in Names if name not in found]}


_METHODS = {
    "get_secret_value": "GetSecretValue",
    "batch_get_secret_value": "BatchGetSecretValue",
    "get_parameters": "GetParameters",
}


def _client(fake: FakeAws, region: str, *, is_async: bool) -> Any:
    region = region or REGION

    def method(operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            return fake.answer(region, operation, parameters)

        async def acall(**parameters: Any) -> Any:
            await asyncio.sleep(0)
            return fake.answer(region, operation, parameters)

        return acall if is_async else call

    meta = SimpleNamespace(region_name=region, endpoint_url=f"https://aws.{region}.example")
    return SimpleNamespace(meta=meta, **{name: method(operation) for name, operation in _METHODS.items()})


def installed(fake: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """Put *fake* in the place of AWS for both drivers."""

    def connect(_: object, service: str, region: str, policy: Any) -> Any:
        fake.configured.append(sync_driver.options(policy))
        return _client(fake, region, is_async=False)

    @asynccontextmanager
    async def aconnect(_: object, service: str, region: str, policy: Any) -> AsyncIterator[Any]:
        fake.configured.append(sync_driver.options(policy))
        yield _client(fake, region, is_async=True)

    monkeypatch.setattr(sync_driver._Session, "client", connect)
    monkeypatch.setattr(async_driver._Session, "client", aconnect)
    return fake


DOCUMENT = (
    '{"username": "app", "password": "hunter2-canary", "port": 5432, "ratio": 1.10, "on": true, "none": null,'
    ' "a.b": "dotted", "deep": {"er": ["x"]}}'
)
