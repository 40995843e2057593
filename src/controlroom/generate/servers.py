"""Where the API is."""

from __future__ import annotations

from typing import Any

from controlroom.errors import ConfigError
from controlroom.generate.document import Document, mapping
from controlroom.generate.prose import shortened
from controlroom.http.addresses import origin_of

__all__ = ["base_url_of"]


def base_url_of(document: Document, given: str | None) -> tuple[str | None, list[str]]:
    """Return the base URL, if it is known, and what to say about it.

    Raises:
        ConfigError: *given* is no URL.
    """
    if given is not None:
        try:
            origin_of(given)
        except ValueError as error:
            message = f"The base URL cannot be used: {error}."
            raise ConfigError(message) from error
        return given, []
    servers = document.tree.get("servers")
    first = mapping(servers[0]) if isinstance(servers, list) and servers else {}
    url = _filled(str(first.get("url", "")), mapping(first.get("variables")))
    try:
        origin_of(url)
    except ValueError:
        below = f" Its paths stand below {shortened(url, 100)}." if url.strip("/") else ""
        return None, [f"The document does not say at which host the API is.{below}"]
    others = len(servers) - 1 if isinstance(servers, list) else 0
    return url, [f"BASE_URL is the first of the document's {others + 1} servers."] if others else []


def _filled(url: str, variables: Any) -> str:
    """Return *url* with its variables at their defaults."""
    for name, variable in variables.items():
        url = url.replace(f"{{{name}}}", str(mapping(variable).get("default", "")))
    return url
