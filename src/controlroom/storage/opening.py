"""A store from its URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from controlroom.errors import ConfigError
from controlroom.storage.local import LocalStore
from controlroom.storage.local_async import AsyncLocalStore
from controlroom.storage.protocols import AsyncObjectStore, ObjectStore

__all__ = ["open_store", "open_store_async"]


def open_store(url: str, endpoint_url: str | None = None) -> ObjectStore:
    """Return the store at *url*: ``file:///data`` is `LocalStore` on ``/data``.

    Args:
        url: Its address; what has a meaning in URLs is percent-encoded, as `pathlib.Path.as_uri` does.
        endpoint_url: For stores behind HTTP.

    Raises:
        ConfigError: No store is known for *url*. Nothing was opened.
    """
    return LocalStore(_local_root(url, endpoint_url))


def open_store_async(url: str, endpoint_url: str | None = None) -> AsyncObjectStore:
    """Return the async store at *url*; see `open_store`."""
    return AsyncLocalStore(_local_root(url, endpoint_url))


def _local_root(url: str, endpoint_url: str | None) -> Path:
    parts = urlsplit(url)
    if parts.scheme == "s3":
        flaw = "this version has no S3 store"
    elif parts.scheme != "file":
        flaw = "no store is known for it; a local one is file:///absolute/path"
    elif parts.netloc not in ("", "localhost"):
        flaw = f"{parts.netloc!r} would be another machine; a local one has three slashes, file:///absolute/path"
    elif parts.query or parts.fragment or "?" in url or "#" in url:
        flaw = "'?' and '#' must be written as %3F and %23"
    elif not parts.path.startswith("/"):
        flaw = "its path is not absolute; a local one is file:///absolute/path"
    elif endpoint_url is not None:
        flaw = "endpoint_url is for stores behind HTTP"
    else:
        return Path(unquote(parts.path))
    message = f"{url!r} cannot be opened: {flaw}. Nothing was opened."
    raise ConfigError(message)
