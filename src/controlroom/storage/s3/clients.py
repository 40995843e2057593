"""botocore's client for S3: one for each store and process, made when it is first needed, used by all threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import botocore.config
from botocore.exceptions import BotoCoreError, InvalidEndpointConfigurationError
from botocore.handlers import add_expect_header, convert_body_to_file_like_object

from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.sessions import arguments, botocore_session, configuration, keep_secret, user_agent
from controlroom.storage.s3.silence import quietly
from controlroom.storage.s3.sockets import cut_to_deadlines

__all__ = ["S3Client", "credentials_of", "sign_with", "tamed", "usable_endpoint"]

_CRC32: Final = "x-amz-checksum-crc32"


class S3Client:
    """A client that is made when it is first needed, and anew in a forked child.

    Args:
        options: How to reach the store.
    """

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._client: Any = None
        self._process = 0

    def get(self) -> Any:
        """Return the client.

        Raises:
            BotoCoreError: Of botocore: its configuration is wrong, a role cannot be assumed, …
        """
        client = self._client
        if client is not None and self._process == os.getpid():
            return client
        if self._process not in (0, os.getpid()):
            self._lock = threading.Lock()  # a fork may have copied it while another thread held it
        with self._lock, quietly():
            if self._client is None or self._process != os.getpid():
                self._client, self._process = self._made(), os.getpid()
            return self._client

    def _made(self) -> Any:
        options = self._options
        session = botocore_session(options)
        config = botocore.config.Config(user_agent=user_agent(session), **configuration(options))
        with usable_endpoint():
            client = tamed(session.create_client(**arguments(options), config=config))
        cut_to_deadlines(client, options.timeouts.read_s)
        if (credentials := credentials_of(client)) is not None:
            keep_secret(credentials.get_frozen_credentials())
        return client

    def renew(self) -> None:
        """Look for credentials anew, since the server says that those in use have expired.

        The connections stay, and so do answers that are still being read.
        """
        with self._lock, quietly():
            if self._client is not None and self._process == os.getpid():
                fresh = botocore_session(self._options).get_credentials()
                if fresh is not None:
                    keep_secret(fresh.get_frozen_credentials())
                    sign_with(self._client, fresh)

    def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()


@contextmanager
def usable_endpoint() -> Iterator[None]:
    """Give the bare ValueError a name with which botocore says that an endpoint is none."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, BotoCoreError):
            raise
        raise InvalidEndpointConfigurationError(msg=str(error)) from error


def tamed(client: Any) -> Any:
    """Return *client*, of either colour, without what makes it hang or work in vain.

    ``Expect: 100-continue`` waits for an interim answer, in aiohttp without any limit (botocore issue 3613). And bytes need
    not look like a file.
    """
    events = client.meta.events
    events.unregister("before-call.s3", add_expect_header)
    for operation in ("PutObject", "UploadPart"):
        events.unregister(f"before-parameter-build.s3.{operation}", convert_body_to_file_like_object)
    events.register("before-sign.s3", _mind_checksum)
    return client


def _mind_checksum(request: Any, **_: Any) -> None:
    """Tell botocore of a CRC-32 that it did not compute itself: over TLS it then needs no SHA-256 of the body, too."""
    if _CRC32 in request.headers:
        request.context.setdefault("checksum", {}).setdefault("request_algorithm", {"in": "header", "name": _CRC32})


def credentials_of(client: Any) -> Any:
    """Return what *client*, of either colour, signs with; None where it signs nothing."""
    return client._request_signer._credentials  # noqa: SLF001 - botocore shows them nowhere


def sign_with(client: Any, credentials: Any) -> None:
    """Let *client*, of either colour, sign with *credentials* from now on."""
    client._request_signer._credentials = credentials  # noqa: SLF001 - as above
