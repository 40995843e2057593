"""Keys of objects in S3: where they lie below a prefix, and which texts can be keys there.

Everything is kept exactly or refused by name: nothing is normalised, no two keys become one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from controlroom.errors import ConfigError, UnsafePathError
from controlroom.storage.paths import check_key, check_prefix

__all__ = ["PROBES", "S3Place"]

PROBES: Final = ".controlroom-probe/"
"""Below the prefix of every store: what is written to find out what the server can do. No keys of users."""

_LONGEST_BYTES: Final = 1024  # "Object key naming guidelines", in UTF-8
# XML 1.0 §2.2: no listing and no batch could carry these, not even escaped.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_BUCKET = re.compile(
    r"[a-zA-Z0-9][a-zA-Z0-9._\-]{0,254}"
    r"|arn:aws[a-z\-]*:(?:s3|s3-object-lambda):[a-z0-9\-]*:[0-9]{12}:accesspoint[/:][a-zA-Z0-9.\-]{1,63}"
    r"|arn:aws[a-z\-]*:s3-outposts:[a-z0-9\-]+:[0-9]{12}:outpost[/:][a-zA-Z0-9\-]{1,63}[/:]accesspoint[/:][a-zA-Z0-9\-]{1,63}"
)
_PLAIN: Final = "/!$&'()*+,;=:@~"  # in the path of a URL they stand for themselves (RFC 3986 §3.3)


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket, and a prefix that keys cannot leave.

    Args:
        bucket: Its name, or the ARN or alias of an access point.
        prefix: Segments with ``/`` between them, as of a key; empty for the whole bucket. A ``/`` at the end is optional.

    Attributes:
        prefix: With its ``/`` at the end, or empty.

    Raises:
        ConfigError: *bucket* cannot be a bucket.
        UnsafePathError: *prefix* cannot be the beginning of keys.
    """

    bucket: str
    prefix: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a place."""
        bucket: Any = self.bucket  # from a person's configuration: may be anything
        if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket):
            message = (
                f"{self.bucket!r} is no bucket: give its name, or the ARN or alias of an access point, without s3:// and"
                " without a path. Nothing was opened."
            )
            raise ConfigError(message)
        if not isinstance(self.prefix, str):
            message = f"A prefix is a str, not {type(self.prefix).__name__}. Nothing was opened."
            raise ConfigError(message)
        if self.prefix:
            folder = self.prefix.removesuffix("/")
            _check(self.prefix, check_key(folder))
            object.__setattr__(self, "prefix", f"{folder}/")

    @property
    def url(self) -> str:
        """As a URL, percent-encoded where a path of a URL has to be; without a ``/`` at the end."""
        return self.ref(self.prefix.removesuffix("/"), whole=True)

    def ref(self, key: str, *, whole: bool = False) -> str:
        """Return the URL of *key*; *whole* where it includes the prefix already."""
        full = key if whole else f"{self.prefix}{key}"
        return f"s3://{self.bucket}/{quote(full, safe=_PLAIN, errors='surrogatepass')}".removesuffix("/")

    def full_key(self, key: str) -> str:
        """Return the name of *key* in the bucket.

        Raises:
            UnsafePathError: It cannot be a key, here or in another store.
        """
        full = f"{self.prefix}{check_key(key)}"
        _check(key, full)
        if key.startswith(PROBES):
            message = (
                f"{key!r} cannot be a key: names below {PROBES} are reserved. Nothing was touched. Choose another name."
            )
            raise UnsafePathError(message, ref=key)
        return full

    def full_prefix(self, prefix: str) -> str:
        """Return with what names in the bucket begin whose keys begin with *prefix*.

        Raises:
            UnsafePathError: No key can begin with it.
        """
        full = f"{self.prefix}{check_prefix(prefix)}"
        _check(prefix, full)
        return full

    def key_of(self, full: str) -> str | None:
        """Return the key of the object named *full* in the bucket; None where it has none, as a folder marker."""
        key = full.removeprefix(self.prefix) if full.startswith(self.prefix) else ""
        try:
            return key if self.full_key(key) == full else None
        except UnsafePathError:
            return None


def _check(key: str, full: str) -> None:
    size_bytes = len(full.encode("utf-8"))
    if size_bytes > _LONGEST_BYTES:
        flaw = f"with its prefix it takes {size_bytes} bytes in UTF-8, over the limit of {_LONGEST_BYTES}"
    elif found := _NOT_IN_XML.search(full):
        flaw = f"XML, in which S3 lists keys, has no {found[0]!r}"
    else:
        return
    message = f"{key!r} cannot be a key in S3: {flaw}. Nothing was touched. Choose another name."
    raise UnsafePathError(message, ref=key)
