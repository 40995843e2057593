"""Which calls fetch a set of secrets, and what their answers say. Pure: no AWS library, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controlroom.errors import (
    APIAuthError,
    APIContractError,
    APIStatusError,
    ConfigError,
    ControlRoomError,
    Disposition,
)
from controlroom.policy.flow import Flow
from controlroom.redaction import register_secret
from controlroom.settings.cloud.references import Secret

__all__ = ["Answer", "Call", "Outcome", "Together", "Value", "fetching", "understood"]

_MOST_SECRETS = 20  # API reference of BatchGetSecretValue
_MOST_PARAMETERS = 10  # API reference of GetParameters
_SUFFIX_LENGTH = len("-AbCdEf")  # Secrets Manager ends an ARN with it; an ARN without it is good for asking


@dataclass(frozen=True, slots=True)
class Call:
    """One request to AWS: as IAM names it, ``service:Operation``; for which secrets."""

    operation: str
    parameters: Mapping[str, Any] = field(hash=False)
    secrets: tuple[Secret, ...]

    @property
    def service(self) -> str:
        """The service as botocore names it."""
        return self.secrets[0].service

    @property
    def region(self) -> str:
        """The region that the secrets name; empty where the configuration of this process decides."""
        return self.secrets[0].region

    @property
    def action(self) -> str:
        """The permission that it takes."""
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class Together:
    """A step: perform these calls at the same time. Its result: for each an `Answer`, or what went wrong."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What AWS answered, and from where."""

    data: Mapping[str, Any] = field(repr=False)
    region: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """What AWS keeps under one name.

    Attributes:
        text: The value.
        secret: AWS was told to keep it as a secret. A parameter that is not a SecureString is configuration.
        several: It is a StringList: items with commas between them.
    """

    text: str = field(repr=False)
    secret: bool = True
    several: bool = False

    def __post_init__(self) -> None:
        """Register it before anybody can say anything about it."""
        if self.secret:
            register_secret(self.text)


Outcome = Value | ControlRoomError


def fetching(secrets: Iterable[Secret]) -> Flow[Together, dict[Secret, Outcome]]:
    """Ask for *secrets*, many in a call; ask for one alone where its batch left it without an answer.

    Returns:
        For each of *secrets* its value, or the error that says why there is none.
    """
    found: dict[Secret, Outcome] = {}
    calls = tuple(_batches(sorted(secrets)))
    while calls:
        outcomes = yield Together(calls)
        again: list[Call] = []
        for call, outcome in zip(calls, outcomes, strict=True):
            told = dict(_told(call, outcome))
            found |= told
            again += [_alone(secret) for secret in call.secrets if secret not in told]
        calls = tuple(again)
    return found


def _batches(secrets: Sequence[Secret]) -> Iterator[Call]:
    together: dict[tuple[str, str], list[Secret]] = {}
    for secret in secrets:
        if secret.stage or secret.version:
            yield _alone(secret)  # a batch knows current versions only
        else:
            together.setdefault((secret.service, secret.region), []).append(secret)
    for (service, _), group in together.items():
        most = _MOST_SECRETS if service == "secretsmanager" else _MOST_PARAMETERS
        for start in range(0, len(group), most):
            yield _batch(tuple(group[start : start + most]))


def _batch(secrets: tuple[Secret, ...]) -> Call:
    names = [secret.name for secret in secrets]
    if secrets[0].service == "ssm":
        return Call("GetParameters", {"Names": names, "WithDecryption": True}, secrets)
    if len(secrets) == 1:
        return _alone(secrets[0])
    return Call("BatchGetSecretValue", {"SecretIdList": names}, secrets)


def _alone(secret: Secret) -> Call:
    if secret.service == "ssm":
        # Not GetParameter: that would take another permission than the batch.
        return Call("GetParameters", {"Names": [secret.name], "WithDecryption": True}, (secret,))
    wanted = {"SecretId": secret.name, "VersionStage": secret.stage, "VersionId": secret.version}
    return Call("GetSecretValue", {name: value for name, value in wanted.items() if value}, (secret,))


def understood(call: Call, data: Mapping[str, Any]) -> bool:
    """Tell whether *data* has the shape of an answer to *call*: one that was cut, or is a proxy's page, has not."""
    match call.operation:
        case "BatchGetSecretValue":
            return isinstance(data.get("SecretValues"), list)
        case "GetParameters":
            return isinstance(data.get("Parameters"), list)
        case _:
            return isinstance(data.get("SecretString"), str) or isinstance(data.get("SecretBinary"), bytes)


def _told(call: Call, outcome: Answer | ControlRoomError) -> Iterator[tuple[Secret, Outcome]]:
    """Yield what is known of the secrets of *call* now. Those that it leaves out are to be asked for one by one."""
    alone = len(call.secrets) == 1
    if isinstance(outcome, ControlRoomError):
        if alone or not _may_be_about_one(outcome):
            yield from ((secret, outcome) for secret in call.secrets)
    elif call.operation == "GetParameters":
        yield from _parameters(call, outcome)
    elif call.operation == "BatchGetSecretValue":
        values = [item for item in outcome.data["SecretValues"] if isinstance(item, Mapping)]
        for secret in call.secrets:
            item = next((item for item in values if _is_meant(secret, item)), {})
            if isinstance(item.get("SecretString"), str):
                yield secret, Value(item["SecretString"])
    else:
        yield call.secrets[0], _secret_value(outcome.data)


def _may_be_about_one(error: ControlRoomError) -> bool:
    """Tell whether the batch may have failed for what one name in it, or its own permission, lacks."""
    return error.disposition is not Disposition.RETRY and isinstance(error, APIAuthError | APIStatusError | ConfigError)


def _secret_value(data: Mapping[str, Any]) -> Outcome:
    if isinstance(data.get("SecretString"), str):
        return Value(data["SecretString"])
    register_secret(data["SecretBinary"])
    return ConfigError("It is binary, and settings are text: store it as text (SecretString).")


def _parameters(call: Call, answer: Answer) -> Iterator[tuple[Secret, Outcome]]:
    absent = answer.data.get("InvalidParameters") or ()
    items = [item for item in answer.data["Parameters"] if isinstance(item, Mapping)]
    alone = len(call.secrets) == 1
    for secret in call.secrets:
        item = next((item for item in items if _is_named(secret, item)), items[0] if alone and items else {})
        if isinstance(item.get("Value"), str):
            kind = item.get("Type")
            yield (
                secret,
                Value(item["Value"], secret=kind not in {"String", "StringList"}, several=kind == "StringList"),
            )
        elif secret.name in absent:
            where = f" in {answer.region}" if answer.region else ""
            yield secret, ConfigError(f"There is no such parameter{where}. Create it, or correct the name.")
        elif alone:
            yield secret, APIContractError("AWS answered without this parameter.", disposition=Disposition.RETRY)


def _is_meant(secret: Secret, item: Mapping[str, Any]) -> bool:
    arn = str(item.get("ARN"))
    return secret.name in {item.get("Name"), arn, arn[:-_SUFFIX_LENGTH]}


def _is_named(secret: Secret, item: Mapping[str, Any]) -> bool:
    selector = item.get("Selector") or ""
    spellings = {f"{item.get(key)}{after}" for key in ("Name", "ARN") for after in (selector, "")}
    return secret.name in spellings
