"""botocore at DEBUG writes whole requests and answers into the log: bodies, signatures, session tokens, fresh credentials."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["quietly", "unlogged"]

unlogged: Final[ContextVar[bool]] = ContextVar("controlroom_s3_unlogged", default=False)
"""Whether what botocore says of requests and answers is kept out of the log."""


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what botocore says of requests and answers in the block out of the log."""
    token = unlogged.set(True)
    try:
        yield
    finally:
        unlogged.reset(token)


class _OutOfTheLog(logging.Filter):
    """What others ask of botocore in the same process is theirs to log."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - which one does not matter
        return not unlogged.get()


for _name in (
    "aiobotocore.credentials",
    "aiobotocore.tokens",
    "aiobotocore.utils",
    "botocore.auth",
    "botocore.credentials",
    "botocore.endpoint",
    "botocore.handlers",
    "botocore.hooks",
    "botocore.httpsession",
    "botocore.parsers",
    "botocore.tokens",
    "botocore.utils",
):
    logging.getLogger(_name).addFilter(_OutOfTheLog())
del _name
