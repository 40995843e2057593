from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controlroom import __version__
from controlroom.storage.s3.clients import S3Client
from controlroom.storage.s3.clients_async import AsyncS3Client
from controlroom.storage.s3.options import S3Options
from tests.unit.storage.s3.scripted import COLOURS

OPTIONS = S3Options(access_key_id="AKIDUNIT", secret_access_key="unit-hush-hush", region="eu-west-1")


class Asked(Exception):
    """Raised where a request would be sent."""


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("app", "told"), [("billing", " app/billing"), ("a\r\nX-Evil: b", " app/a--X-Evil--b"), ("", "")]
)
def test_requests_tell_who_asks(colour: str, app: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", app)
    agents: list[str] = []

    def look(request: Any, **_: Any) -> None:
        agents.append(request.headers["User-Agent"].decode())
        raise Asked

    if colour == "sync":
        client = S3Client(OPTIONS).get()
        client.meta.events.register("before-send.s3", look)
        with pytest.raises(Asked):
            client.list_buckets()
    else:
        asyncio.run(_look_async(look))
    library = "Botocore" if colour == "sync" else "aiobotocore"
    assert agents[0].startswith(f"controlroom/{__version__} {library}/")
    assert agents[0].count("otocore/") == (1 if colour == "sync" else 2), (
        "the library, and what it stands on, once each"
    )
    assert (told in agents[0]) if told else (" app/" not in agents[0])


async def _look_async(look: Any) -> None:
    holder = AsyncS3Client(OPTIONS)
    client = await holder.get()
    client.meta.events.register("before-send.s3", look)
    with pytest.raises(Asked):
        await client.list_buckets()
    await holder.aclose()
