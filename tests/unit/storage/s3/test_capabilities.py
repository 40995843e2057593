from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from controlroom.errors import FileOperationError, StorageAccessError
from controlroom.policy.s3_probing import Capability
from controlroom.storage.s3 import capabilities
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3.performer_async import AsyncS3Performer
from controlroom.storage.s3_keys import PROBES, S3Place
from tests.unit.storage.s3.scripted import COLOURS, AsyncScripted, Scripted, refusal

FINE = {"ETag": '"x"'}


@pytest.fixture(autouse=True)
def nothing_is_known_yet() -> Iterator[None]:
    capabilities._found.clear()
    yield
    capabilities._found.clear()


def ask(colour: str, scripted: Scripted, method: str, *arguments: Any, bucket: str = "bucket") -> Any:
    place, options = S3Place(bucket, "pre"), S3Options()
    if colour == "sync":
        performer = S3Performer(place, options)
        performer._client = scripted  # type: ignore[assignment]  # the double
        return getattr(performer.capabilities, method)(*arguments)
    twin = AsyncS3Performer(place, options)
    twin._client = AsyncScripted(scripted)  # type: ignore[assignment]  # the double
    return asyncio.run(getattr(twin.capabilities, method)(*arguments))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("second", "offered"),
    [(refusal("PreconditionFailed", 412), True), (FINE, False), (refusal("NotImplemented", 501), False)],
    ids=["refused", "ignored", "unknown"],
)
def test_a_condition_is_tried_once_and_remembered(colour: str, second: Any, offered: bool) -> None:
    scripted = Scripted(FINE, second, {}, {})

    assert ask(colour, scripted, "has", Capability.PUT_IF_ABSENT) is offered
    assert ask(colour, scripted, "offers", "PUT_IF_ABSENT") is offered
    assert [operation for operation, _ in scripted.asked] == [
        "put_object",
        "put_object",
        "delete_object",
        "delete_object",
    ]
    assert all(params["Key"].startswith(f"pre/{PROBES}") for _, params in scripted.asked)


@pytest.mark.parametrize("colour", COLOURS)
def test_what_the_server_ignores_is_refused_by_name(colour: str) -> None:
    with pytest.raises(FileOperationError, match="DeleteObject with If-Match"):
        ask(colour, Scripted(FINE, {}, {}, {}), "require", Capability.DELETE_IF_MATCH, "s3://bucket/key")


@pytest.mark.parametrize("colour", COLOURS)
def test_who_may_not_try_has_found_nothing_out(colour: str) -> None:
    scripted = Scripted(refusal("AccessDenied", 403), {}, {}, FINE, refusal("PreconditionFailed", 412), {}, {})

    with pytest.raises(StorageAccessError):
        ask(colour, scripted, "has", Capability.PUT_IF_ABSENT)
    assert ask(colour, scripted, "has", Capability.PUT_IF_ABSENT) is True


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("host", ["s3.eu-west-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"])
def test_nothing_is_tried_on_aws(colour: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.storage.s3.scripted.ENDPOINT", f"https://{host}")

    assert all(ask(colour, Scripted(), "has", capability) for capability in Capability)
    assert not ask(colour, Scripted(), "has", Capability.TAGS, bucket="data--euw1-az1--x-s3")


def test_a_server_that_calls_itself_like_aws_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.storage.s3.scripted.ENDPOINT", "https://amazonaws.com.example.org")

    assert ask("sync", Scripted(FINE, FINE, {}, {}), "has", Capability.PUT_IF_ABSENT) is False
