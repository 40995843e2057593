"""Whom a client believes in TLS."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from controlroom.errors import ConfigError
from controlroom.http import library
from controlroom.http.addresses import Origin
from controlroom.http.proxies import proxy_for

__all__ = ["Trust", "Verify"]

TransportT = TypeVar("TransportT")

Verify = ssl.SSLContext | str | os.PathLike[str] | None
"""A context, a PEM file of certificate authorities, or None for the usual ones."""


class Trust:
    """The TLS context of one client, made when the first connection needs it, and shared by all.

    Raises:
        ConfigError: *verify* is none of what `Verify` says, or a file that holds no certificates.
    """

    def __init__(self, verify: Verify, *, has_transport: bool) -> None:
        self._context: ssl.SSLContext | None = None
        if verify is not None and has_transport:
            message = "verify= and transport= do not go together: give the transport its own TLS context."
            raise ConfigError(message)
        if isinstance(verify, ssl.SSLContext):
            self._context = verify
        elif isinstance(verify, str | os.PathLike):
            self._context = _of_file(Path(verify))
        elif verify is not None:
            message = (
                f"verify={verify!r} is not possible: certificates are always verified. Give the PEM file of a private "
                "certificate authority, or an ssl.SSLContext."
            )
            raise ConfigError(message)

    def transport_to(self, origin: Origin, kind: Callable[..., TransportT]) -> TransportT:
        """Return a new transport of *kind*; one for each origin, so that none starves another of connections.

        Raises:
            ConfigError: The proxy, or the certificate authorities, that the environment names cannot be used.
        """
        try:
            return kind(**self._options(origin, proxy_for(origin)))
        except (ImportError, ValueError, library.InvalidURL) as error:
            message = f"The proxy that the environment names cannot be used: {error}."
            raise ConfigError(message) from error

    def _options(self, origin: Origin, proxy: str | None) -> dict[str, Any]:
        speaks_tls = origin.scheme == "https" or (proxy or "").startswith("https:")
        # Reading all authorities takes as long as many requests; without TLS nobody asks for them. False makes an empty
        # context, which here meets no server.
        context = self._own() if speaks_tls else None
        chosen = None if proxy is None else library.Proxy(proxy, ssl_context=_for_proxy(proxy, context))
        return {"verify": context or False, "proxy": chosen}

    def _own(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = library.create_ssl_context()
            except OSError as error:  # ssl.SSLError is one
                message = (
                    f"The certificate authorities that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {error}."
                )
                raise ConfigError(message) from error
        return self._context


def _for_proxy(proxy: str, context: ssl.SSLContext | None) -> ssl.SSLContext | None:
    return context if proxy.startswith("https:") else None


def _of_file(path: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        why = "it is a folder; give one PEM file" if path.is_dir() else str(error)
        message = f"verify={str(path)!r} holds no certificates that can be read: {why}."
        raise ConfigError(message) from error
