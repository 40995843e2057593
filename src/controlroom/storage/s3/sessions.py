"""Where credentials come from: what `aws configure` and the AWS command line would use, unless a store is told otherwise."""

from __future__ import annotations

import os
from functools import cache
from typing import Any, Final

import botocore.config
import botocore.loaders
import botocore.session
from botocore import UNSIGNED
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.useragent import sanitize_user_agent_string_component

import controlroom
from controlroom.redaction import register_secret
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.timestamps import stated_time

__all__ = ["SESSION_NAME", "arguments", "botocore_session", "configuration", "keep_secret", "prepared", "user_agent"]

_METADATA_ATTEMPTS: Final = 2  # of one second each: outside of EC2 nobody answers there
# The threads and tasks of the caller share them; those that find none wait or connect anew.
_FEWEST_CONNECTIONS: Final = 32
SESSION_NAME: Final = "controlroom"
"""Of an assumed role, in the logs of AWS."""


def botocore_session(options: S3Options) -> Any:
    """Return a session of botocore as *options* say. Not to be shared between threads, as its clients may be.

    Raises:
        BotoCoreError: Of botocore: there is no such profile, its files cannot be read, …
    """
    session = prepared(botocore.session.Session(profile=options.profile), options, botocore.config.Config)
    if options.role_arn is not None:
        fetcher = AssumeRoleCredentialFetcher(
            session.create_client,
            session.get_credentials(),
            options.role_arn,
            extra_args={"RoleSessionName": SESSION_NAME},
        )
        refreshable = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
        session._credentials = refreshable  # noqa: SLF001 - botocore has no public place for what refreshes itself
    return session


def prepared(session: Any, options: S3Options, config: Any) -> Any:
    """Return *session*, of either colour, with what both have in common.

    Args:
        session: Newly made.
        options: Of the store.
        config: The class of configurations, of the same colour.
    """
    session.register_component("data_loader", _models())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=stated_time)
    if "AWS_METADATA_SERVICE_NUM_ATTEMPTS" not in os.environ:
        session.set_config_variable("metadata_service_num_attempts", _METADATA_ATTEMPTS)
    if region := options.region or session.get_config_variable("region") or os.environ.get("AWS_REGION"):
        session.set_config_variable("region", region)  # of the clients that fetch credentials, too
    # Of the clients that fetch credentials, too: STS and SSO would wait a minute, five times.
    session.set_default_client_config(
        config(
            connect_timeout=options.timeouts.connect_s,
            read_timeout=options.timeouts.read_s,
            retries={"total_max_attempts": 1},  # RetryPolicy does that, within the deadline, and says so
        )
    )
    if options.access_key_id is not None:
        session.set_credentials(options.access_key_id, options.secret_access_key, options.session_token)
    return session


@cache
def _models() -> Any:
    """Descriptions of services: most of what a client costs, in time and in memory."""
    return botocore.loaders.create_loader(os.environ.get("AWS_DATA_PATH"))


def arguments(options: S3Options) -> dict[str, Any]:
    """Return the arguments of ``create_client`` besides its configuration."""
    given: dict[str, Any] = {"service_name": "s3", "endpoint_url": options.endpoint_url}
    if options.verify is not True:
        given["verify"] = options.verify and os.fspath(options.verify)
    return given


def configuration(options: S3Options) -> dict[str, Any]:
    """Return the arguments of botocore's ``Config``, the same in both colours."""
    given: dict[str, Any] = {"max_pool_connections": max(_FEWEST_CONNECTIONS, 2 * options.parallel)}
    if options.addressing != "auto":  # else what ~/.aws/config says of it holds
        given["s3"] = {"addressing_style": options.addressing}
    if options.anonymous:
        given["signature_version"] = UNSIGNED
    if options.checksums != "auto":
        when = "when_supported" if options.checksums == "required" else "when_required"
        given |= {"request_checksum_calculation": when, "response_checksum_validation": when}
    return given


def user_agent(session: Any) -> str:
    """Return how the clients of *session* call themselves: botocore would put the same together anew, twice a request."""
    app = sanitize_user_agent_string_component(session.get_config_variable("user_agent_appid") or "", allow_hash=True)
    known = session.user_agent().removesuffix(f" {session.user_agent_extra}")  # which is appended once more
    return f"controlroom/{controlroom.__version__} {known}{app and f' app/{app}'}"


def keep_secret(frozen: Any) -> None:
    """Keep what is secret of *frozen* credentials, wherever they came from, out of every log and message."""
    for secret in (frozen.secret_key, frozen.token):
        if secret:
            register_secret(secret)
