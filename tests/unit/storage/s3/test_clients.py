"""What a client of botocore or aiobotocore is made of: nothing is sent here."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError
from botocore.handlers import add_expect_header

from controlroom.redaction import redact_text
from controlroom.storage.s3.clients import S3Client, credentials_of
from controlroom.storage.s3.clients_async import AsyncS3Client
from controlroom.storage.s3.options import S3Options, S3Timeouts
from tests.unit.storage.s3.scripted import COLOURS

LOGIN: dict[str, Any] = {"access_key_id": "AKIDUNIT", "secret_access_key": "unit-hush-hush", "region": "eu-west-1"}


@pytest.fixture(autouse=True)
def nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def made(colour: str, **options: Any) -> dict[str, Any]:
    """What is to be known of a client with *options*."""
    if colour == "sync":
        client = S3Client(S3Options(**options)).get()
        credentials = credentials_of(client)
        return _facts(client, credentials and credentials.get_frozen_credentials())
    return asyncio.run(_made_async(S3Options(**options)))


async def _made_async(options: S3Options) -> dict[str, Any]:
    holder = AsyncS3Client(options)
    client = await holder.get()
    credentials = credentials_of(client)
    facts = _facts(client, credentials and await credentials.get_frozen_credentials())
    await holder.aclose()
    return facts


def _facts(client: Any, frozen: Any) -> dict[str, Any]:
    events = client.meta.events._emitter._lookup_cache, client.meta.events
    return {
        "key": frozen and frozen.access_key,
        "token": frozen and frozen.token,
        "region": client.meta.region_name,
        "endpoint": client.meta.endpoint_url,
        "config": client.meta.config,
        "events": events,
    }


@pytest.mark.parametrize("colour", COLOURS)
def test_what_was_given_is_used_and_kept_out_of_every_message(colour: str) -> None:
    facts = made(colour, **LOGIN, timeouts=S3Timeouts(connect_s=1.5, read_s=2.5), endpoint_url="http://localhost:9")

    assert (facts["key"], facts["region"], facts["endpoint"]) == ("AKIDUNIT", "eu-west-1", "http://localhost:9")
    assert facts["config"].connect_timeout == 1.5
    assert facts["config"].read_timeout == 2.5
    assert facts["config"].retries["total_max_attempts"] == 1
    assert redact_text("unit-hush-hush") != "unit-hush-hush"


@pytest.mark.parametrize("colour", COLOURS)
def test_the_environment_is_used_where_nothing_was_given(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-hush-hush")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env-token-hush")
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:7")
    facts = made(colour)

    assert (facts["key"], facts["token"]) == ("AKIDENV", "env-token-hush")
    assert (facts["region"], facts["endpoint"]) == ("ap-south-1", "http://localhost:7")
    assert "hush" not in redact_text("env-hush-hush env-token-hush")


@pytest.mark.parametrize("colour", COLOURS)
def test_a_profile_is_used_with_all_that_it_says(colour: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile data]\nregion = eu-north-1\ns3 =\n  addressing_style = virtual\n")
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = B\n"
        "[data]\naws_access_key_id = AKIDDATA\naws_secret_access_key = data-hush-hush\n"
    )
    facts = made(colour, profile="data")

    assert (facts["key"], facts["region"]) == ("AKIDDATA", "eu-north-1")
    assert facts["config"].s3["addressing_style"] == "virtual"


@pytest.mark.parametrize("colour", COLOURS)
def test_options_win_over_the_environment(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-hush-hush")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    facts = made(colour, **LOGIN, addressing="path", checksums="when_required")

    assert (facts["key"], facts["region"]) == ("AKIDUNIT", "eu-west-1")
    assert facts["config"].s3["addressing_style"] == "path"
    assert facts["config"].request_checksum_calculation == "when_required"


@pytest.mark.parametrize("colour", COLOURS)
def test_nobody_asks_for_credentials_where_nothing_is_signed(colour: str) -> None:
    assert made(colour, anonymous=True, region="eu-west-1")["key"] is None


@pytest.mark.parametrize("colour", COLOURS)
def test_a_profile_that_is_not_there_is_said_by_botocore(colour: str) -> None:
    with pytest.raises(BotoCoreError, match="nobody"):
        made(colour, profile="nobody")


def test_the_handler_that_waits_for_an_interim_answer_is_there_to_be_removed() -> None:
    # Should botocore rename it, the import fails; should it register it elsewhere, the integration tests see the header.
    assert callable(add_expect_header)


def test_one_client_serves_a_process_and_is_made_anew_after_closing() -> None:
    holder = S3Client(S3Options(**LOGIN))
    first = holder.get()

    assert holder.get() is first
    holder.close()
    assert holder.get() is not first
    holder.close()


def test_each_loop_has_a_client_of_its_own() -> None:
    holder = AsyncS3Client(S3Options(**LOGIN))

    async def look() -> int:
        assert holder.at_hand() is None
        several = await asyncio.gather(*[holder.get() for _ in range(5)])
        assert len(set(map(id, several))) == 1
        assert holder.at_hand() is several[0]
        return id(asyncio.get_running_loop())

    asyncio.run(look())
    asyncio.run(look())

    assert len(holder._held) == 1
