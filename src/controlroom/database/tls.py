"""How a connection to a server is encrypted, as one argument for every driver."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controlroom.errors import ConfigError

__all__ = ["Tls", "TlsChoice"]

TlsChoice = str | Path | ssl.SSLContext

_MODES: Final = ("disable", "require", "verify-ca", "verify-full")
_BUNDLES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


@dataclass(frozen=True, slots=True)
class Tls:
    """What the argument ``tls`` says: a mode of libpq's, the file of an authority, or a context.

    Attributes:
        mode: "disable", "require" (encrypted, whoever answers), "verify-ca" (an authority's certificate, of any host) or
            "verify-full" (of this host).
        authority: The file with the authorities' certificates; None: those of this machine.
        context: Everything above, as Python's ssl has it; not for psycopg.
    """

    mode: str
    authority: Path | None = None
    context: ssl.SSLContext | None = None

    @classmethod
    def from_choice(cls, choice: object) -> Tls:
        """Read the argument.

        Raises:
            ConfigError: It is neither a mode, nor a file with certificates, nor a context.
        """
        if isinstance(choice, ssl.SSLContext):
            return cls("verify-full" if choice.check_hostname else "require", None, choice)
        if isinstance(choice, str) and choice in _MODES:
            return cls(choice)
        path = Path(choice) if isinstance(choice, str | Path) and choice else None
        if path is None or "\0" in str(path) or not path.is_file():
            message = (
                f"tls={choice!r} is neither one of {', '.join(_MODES)} nor a file with an authority's certificates. "
                "Nothing was opened. Correct it, or give an ssl.SSLContext."
            )
            raise ConfigError(message)
        path = path.absolute()
        _context(path)
        return cls("verify-full", path)

    def for_libpq(self) -> Mapping[str, str]:
        """Return the parameters of a connection string.

        Raises:
            ConfigError: It is a context, which libpq does not know.
        """
        if self.context is not None:
            message = (
                "tls= is an ssl.SSLContext, which psycopg cannot use: libpq has an OpenSSL of its own. Nothing was opened. "
                "Give tls='verify-full' or the path of the authority's certificates."
            )
            raise ConfigError(message)
        if not self.mode.startswith("verify"):
            return {"sslmode": self.mode}
        return {"sslmode": self.mode, "sslrootcert": str(self.authority or _bundle() or "system")}

    def for_asyncio(self) -> ssl.SSLContext | bool:
        """Return what asyncio's drivers take."""
        if self.context is not None:
            return self.context
        if self.mode == "disable":
            return False
        if self.mode == "require":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        context = _context(self.authority)
        context.check_hostname = self.mode == "verify-full"
        return context


def _context(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ValueError):
        message = (
            f"tls={str(authority)!r} has no certificate that can be read (PEM). Nothing was opened. Correct the file."
        )
        raise ConfigError(message) from None


def _bundle() -> Path | None:
    """Return this machine's authorities as one file: libpq reads no folder, and its own idea of "system" differs by build."""
    named = ssl.get_default_verify_paths().cafile
    return next((Path(each) for each in (named, *_BUNDLES) if each and Path(each).is_file()), None)
