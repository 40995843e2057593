"""How a store in S3 is reached, and how it goes about its work: values, checked where they are given."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite, is_whole
from controlroom.redaction import register_secret
from controlroom.retrying import RetryPolicy
from controlroom.storage.paths import StrPath

__all__ = ["Addressing", "Checksums", "S3Encryption", "S3Options", "S3Timeouts", "Tags"]

Addressing = Literal["auto", "path", "virtual"]
Checksums = Literal["auto", "required", "when_required"]
Tags = Literal["copy", "drop", "fail"]
Algorithm = Literal["AES256", "aws:kms", "aws:kms:dsse"]

_KIB: Final = 1024
_SMALLEST_PART_BYTES: Final = 5 * _KIB**2  # "Amazon S3 multipart upload limits"
_LARGEST_PART_BYTES: Final = 5 * _KIB**3
_MOST_PARALLEL: Final = 256
_ROLE = re.compile(r"arn:aws[a-z\-]*:iam::[0-9]{12}:role/[\w+=,.@/\-]{1,512}", re.ASCII)
_REGION = re.compile(r"[a-z0-9][a-z0-9\-]{0,62}")


@dataclass(frozen=True, slots=True)
class S3Timeouts:
    """How long things may take, in seconds. All of them are cut to the ambient deadline.

    Args:
        connect_s: For a connection.
        read_s: For the next piece of an answer: silence for so long ends an attempt.
        call_s: For one attempt of one request, its answer's head and an answer's text included. (The bytes of an object
            are read under *read_s* and *total_s*.)
        total_s: For a whole operation, such as `publish`, all requests and waits included.

    Raises:
        ConfigError: A number is not finite, or not above zero.
    """

    connect_s: float = 3.0
    read_s: float = 30.0
    call_s: float = 120.0
    total_s: float = 3600.0

    def __post_init__(self) -> None:
        """Refuse what leaves no time."""
        for name in ("connect_s", "read_s", "call_s", "total_s"):
            seconds = getattr(self, name)
            if not is_finite(seconds) or seconds <= 0:
                message = f"S3Timeouts({name}={seconds!r}) is not possible: give seconds, more than zero."
                raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class S3Encryption:
    """Server-side encryption of what is written.

    Args:
        algorithm: ``"AES256"`` (keys of S3), ``"aws:kms"`` or ``"aws:kms:dsse"``.
        kms_key_id: The key, as id, ARN or alias; the account's own for S3 when not given.
        context: Encryption context, texts, checked by KMS at each use.
        bucket_key: Whether S3 may use a key of the bucket's to ask KMS less often; as the bucket says when not given.

    Raises:
        ConfigError: Something is no such value, or needs KMS and *algorithm* is ``"AES256"``.
    """

    algorithm: Algorithm = "aws:kms"
    kms_key_id: str | None = None
    context: Mapping[str, str] | None = field(default=None, hash=False)
    bucket_key: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what S3 would."""
        _one_of("S3Encryption(algorithm", self.algorithm, Algorithm)
        for name in ("kms_key_id", "context", "bucket_key"):
            if self.algorithm == "AES256" and getattr(self, name) is not None:
                message = f"S3Encryption({name}=…) is for KMS: choose algorithm='aws:kms', or leave it out."
                raise ConfigError(message)
        for name, fits, wanted in (
            ("kms_key_id", _is_text(self.kms_key_id), "the id, ARN or alias of a key"),
            ("context", self.context is None or _is_texts(self.context), "texts, by name"),
            ("bucket_key", self.bucket_key in (None, True, False), "True, False or None"),
        ):
            if not fits:
                message = f"S3Encryption({name}=…) is not possible: give {wanted}."
                raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class S3Options:
    """Everything that a store in S3 is told besides bucket and prefix; see `S3Store` for the meanings.

    Raises:
        ConfigError: A value is not possible, or two exclude each other.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    role_arn: str | None = None
    anonymous: bool = False
    addressing: Addressing = "auto"
    requester_pays: bool = False
    encryption: S3Encryption | None = None
    tags: Tags = "copy"
    timeouts: S3Timeouts = field(default_factory=S3Timeouts)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    part_size_bytes: int = 8 * _KIB**2
    parallel: int = 8
    verify: bool | StrPath = True
    checksums: Checksums = "auto"
    uploads_journal: StrPath | None = None

    def __post_init__(self) -> None:
        """Refuse what is not possible, and keep secrets out of the log from now on."""
        for secret in filter(None, (self.secret_access_key, self.session_token)):
            if isinstance(secret, str):
                register_secret(secret)
        for flaw in filter(None, (*self._texts(), *self._credentials(), *self._numbers())):
            message = f"S3Store({flaw}. Nothing was opened."
            raise ConfigError(message)
        _one_of("S3Store(addressing", self.addressing, Addressing)
        _one_of("S3Store(tags", self.tags, Tags)
        _one_of("S3Store(checksums", self.checksums, Checksums)

    def _texts(self) -> tuple[str | None, ...]:
        names = ("endpoint_url", "region", "profile", "access_key_id", "secret_access_key", "session_token", "role_arn")
        wrong = [name for name in names if not _is_text(getattr(self, name))]
        return (
            f"{wrong[0]}=…) is not possible: give a text that is not empty, or None" if wrong else None,
            None if wrong or self.endpoint_url is None else _endpoint_flaw(self.endpoint_url),
            None
            if wrong or self.region is None or _REGION.fullmatch(self.region)
            else f"region={self.region!r}) is not possible: give its code, such as 'eu-central-1'",
            None
            if wrong or self.role_arn is None or _ROLE.fullmatch(self.role_arn)
            else f"role_arn={self.role_arn!r}) is not possible: give arn:aws:iam::<account>:role/<name>",
        )

    def _credentials(self) -> tuple[str | None, ...]:
        keys = (self.access_key_id, self.secret_access_key)
        given = [name for name in ("profile", "access_key_id", "session_token", "role_arn") if getattr(self, name)]
        both = " and ".join(given)
        return (
            "access_key_id=…, secret_access_key=…) belong together: give both or none"
            if any(keys) and not all(keys)
            else None,
            "session_token=…) belongs to access_key_id and secret_access_key: give all three"
            if self.session_token and not all(keys)
            else None,
            f"anonymous=True) excludes {both}: requests are signed or not" if self.anonymous and given else None,
            "profile=…) excludes access_key_id: one of them would be ignored" if self.profile and any(keys) else None,
        )

    def _numbers(self) -> tuple[str | None, ...]:
        part, parallel = self.part_size_bytes, self.parallel
        wrong = [
            name
            for name, kind in (
                ("anonymous", bool),
                ("requester_pays", bool),
                ("encryption", S3Encryption | None),
                ("timeouts", S3Timeouts),
                ("retry", RetryPolicy),
                ("verify", bool | str | os.PathLike),
                ("uploads_journal", str | os.PathLike | None),
            )
            if not isinstance(getattr(self, name), kind)
        ]
        return (
            f"{wrong[0]}={getattr(self, wrong[0])!r}) is not possible" if wrong else None,
            None
            if is_whole(part) and _SMALLEST_PART_BYTES <= part <= _LARGEST_PART_BYTES
            else f"part_size_bytes={part!r}) is not possible: S3 takes parts of 5 MiB to 5 GiB",
            None
            if is_whole(parallel) and 1 <= parallel <= _MOST_PARALLEL
            else f"parallel={parallel!r}) is not possible: give a whole number, 1 to {_MOST_PARALLEL}",
            None
            if isinstance(self.verify, bool) or wrong or Path(self.verify).exists()
            else f"verify={str(self.verify)!r}) names no file: give one with certificates in PEM, True or False",
        )


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value.strip()) and "\n" not in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)


def _endpoint_flaw(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port or 0
    except ValueError:
        return "endpoint_url=…) is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port < 0:
        return "endpoint_url=…) is not possible: give http://host:port or https://host"
    if parts.username is not None or parts.password is not None:
        return "endpoint_url=…) carries credentials: give access_key_id and secret_access_key instead"
    if parts.query or parts.fragment:
        return "endpoint_url=…) has a query or a fragment: give only where the service is"
    return None


def _one_of(what: str, value: object, kinds: Any) -> None:
    if value not in get_args(kinds):
        message = f"{what}={value!r}) is not possible: choose one of {', '.join(map(repr, get_args(kinds)))}."
        raise ConfigError(message)
