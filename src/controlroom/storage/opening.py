"""A store from its URL."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from controlroom.errors import ConfigError
from controlroom.storage.local import LocalStore
from controlroom.storage.local_async import AsyncLocalStore
from controlroom.storage.protocols import AsyncObjectStore, ObjectStore
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.store import S3Store
from controlroom.storage.s3.store_async import AsyncS3Store

__all__ = ["open_store", "open_store_async"]

# An ARN of an access point has a slash of its own.
_BUCKET_AND_PREFIX = re.compile(
    r"s3://(?P<bucket>arn:[^/]*:outpost/[^/]+/accesspoint/[^/]+|arn:[^/]*:accesspoint/[^/]+|[^/]+)(?:/(?P<prefix>.*))?",
    re.DOTALL | re.IGNORECASE,
)


def open_store(url: str, endpoint_url: str | None = None, **options: Any) -> ObjectStore:
    """Return the store at *url*. For what only S3 has (`S3Store.reconcile`, `S3Store.download` …), make an `S3Store`.

    Args:
        url: ``file:///data`` is `LocalStore` on ``/data``; ``s3://bucket/prefix`` is `S3Store` on *prefix* in *bucket*, which
            may be the ARN of an access point. What has a meaning in URLs is percent-encoded, as `pathlib.Path.as_uri` does
            and as ``store.url`` gives it.
        endpoint_url: Of a server of the S3 protocol that is not AWS.
        options: What else `S3Store` takes: ``region=…``, ``profile=…``, ….

    Raises:
        ConfigError: No store is known for *url*, or it does not take *options*. Nothing was opened.
    """
    if (place := _s3_place(url)) is not None:
        return S3Store(*place, endpoint_url=endpoint_url, **_known(url, options))
    return LocalStore(_local_root(url, endpoint_url, options))


def open_store_async(url: str, endpoint_url: str | None = None, **options: Any) -> AsyncObjectStore:
    """Return the async store at *url*; see `open_store`."""
    if (place := _s3_place(url)) is not None:
        return AsyncS3Store(*place, endpoint_url=endpoint_url, **_known(url, options))
    return AsyncLocalStore(_local_root(url, endpoint_url, options))


def _known(url: str, options: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(options.keys() - {field.name for field in fields(S3Options)}):
        raise ConfigError(_refusal(url, f"S3Store takes no {unknown[0]} here"))
    return options


def _s3_place(url: Any) -> tuple[str, str] | None:
    if not isinstance(url, str):
        raise ConfigError(
            _refusal(url, f"it is of type {type(url).__name__}; a URL is a str, such as Path.as_uri() gives")
        )
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise ConfigError(_refusal("…", f"it is no URL ({error})")) from error
    if scheme != "s3":
        return None
    found = _BUCKET_AND_PREFIX.fullmatch(url)
    if "@" in urlsplit(url).netloc:
        url = "s3://…@…"  # an error is shown to many
        flaw = "it carries credentials; give access_key_id and secret_access_key, or a profile"
    elif found is None:
        flaw = "it names no bucket; give s3://bucket/prefix"
    elif "?" in url or "#" in url:
        flaw = "'?' and '#' must be written as %3F and %23"
    else:
        try:
            return found["bucket"], unquote(found["prefix"] or "", errors="strict")
        except UnicodeDecodeError:
            flaw = "what it percent-encodes is not UTF-8"
    raise ConfigError(_refusal(url, flaw))


def _local_root(url: str, endpoint_url: str | None, options: dict[str, Any]) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "file":
        flaw = "no store is known for it; give file:///absolute/path or s3://bucket/prefix"
    elif parts.netloc not in ("", "localhost"):
        flaw = f"{parts.netloc!r} would be another machine; a local one has three slashes, file:///absolute/path"
    elif parts.query or parts.fragment or "?" in url or "#" in url:
        flaw = "'?' and '#' must be written as %3F and %23"
    elif not parts.path.startswith("/"):
        flaw = "its path is not absolute; a local one is file:///absolute/path"
    elif endpoint_url is not None or options:
        given = ["endpoint_url"] * (endpoint_url is not None) + sorted(options)
        flaw = f"{given[0]} is for stores behind HTTP"
    else:
        return Path(unquote(parts.path))
    raise ConfigError(_refusal(url, flaw))


def _refusal(url: object, flaw: str) -> str:
    return f"{url!r} cannot be opened: {flaw}. Nothing was opened."
