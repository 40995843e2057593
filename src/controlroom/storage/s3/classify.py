"""What botocore, aiobotocore, aiohttp and S3 itself say → taxonomy. The tables are in `error_codes`.

What a server says in its own words is cut and masked before it becomes part of a message.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from controlroom.errors import (
    ConfigError,
    ControlRoomError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageUnavailableError,
)
from controlroom.policy.object_calls import note_code
from controlroom.redaction import redact_text
from controlroom.storage.s3.error_codes import (
    BY_CODE,
    BY_EXCEPTION,
    BY_STATUS,
    KMS,
    NO_TLS,
    UNKNOWN_CODE,
    UNKNOWN_EXCEPTION,
    WRONG_REGION,
    Meaning,
)

__all__ = ["READS", "classified", "code_and_status"]

READS: Final = ("Get", "Head", "List")
"""How the names of operations begin that change nothing."""

_PLAIN: Final = (ObjectChangedError, ObjectNotFoundError)  # nothing that a server says of it adds anything
_LONGEST_WORDS: Final = 300
_LONGEST_CHAIN: Final = 10
_CODE = re.compile(r"[\w.\-]{1,80}", re.ASCII)
_SERVER_ERROR: Final = 500
# An error that the library makes of another one: what it was made of says whether anything was sent.
_UNCONNECTED: Final = {
    "ClientConnectorError",
    "ClientHttpProxyError",
    "ClientProxyConnectionError",
    "ConnectTimeoutError",
    "ConnectionTimeoutError",
    "NameResolutionError",
    "NewConnectionError",
    "gaierror",
}
_UNTRUSTED: Final = {
    "CertificateError",
    "ClientConnectorCertificateError",
    "SSLCertVerificationError",
    "ServerFingerprintMismatch",
}


def classified(error: BaseException, *, ref: str, operation: str) -> ControlRoomError:
    """Return *error*, raised by *operation* on *ref*, as one of ours, with itself as the cause."""
    ours = _answered(error, ref, operation) if _response(error) else _failed(error, ref, operation)
    ours.__cause__ = error
    return ours


def code_and_status(error: BaseException) -> tuple[str, int]:
    """Return the code of S3 and the HTTP status that *error*, of botocore, carries; empty and 0 where it has none."""
    response = _response(error)
    said, about = _mapping(response.get("Error")), _mapping(response.get("ResponseMetadata"))
    code, status = str(said.get("Code", "")), about.get("HTTPStatusCode", 0)
    return code if _CODE.fullmatch(code) else "", status if isinstance(status, int) else 0


def _response(error: BaseException) -> Mapping[str, Any]:
    return _mapping(getattr(error, "response", None))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _answered(error: BaseException, ref: str, operation: str) -> ControlRoomError:
    """Return the error for an answer of S3."""
    response = _response(error)
    code, status = code_and_status(error)
    headers = _mapping(_mapping(response.get("ResponseMetadata")).get("HTTPHeaders"))
    meaning = _meaning_of(code, status, headers)
    said = [part for part in (code if code != str(status) else "", f"status {status}" if status else "") if part]
    words = "" if meaning.kind in _PLAIN else _words(_mapping(response.get("Error")).get("Message"))
    fact = f"{meaning.fact} ({', '.join(said)})" + (f": {words}" if words else "")
    if code in WRONG_REGION and (region := _region(response, headers)):
        fact += f". The bucket is in {region}"
    ours = _made(meaning, ref, operation, fact)
    ours.retry_after_s = _retry_after_s(headers)
    note_code(ours, code or str(status))
    if note := _request_ids(response):
        ours.add_note(note)
    return ours


def _meaning_of(code: str, status: int, headers: Mapping[str, Any]) -> Meaning:
    if headers.get("x-amz-delete-marker") == "true":
        return BY_STATUS[404]
    if code.startswith("KMS."):
        return BY_CODE["Throttling"] if "Throttl" in code else KMS
    meaning = BY_CODE.get(code) or BY_STATUS.get(status)
    if meaning is None:
        meaning = BY_STATUS[500] if status >= _SERVER_ERROR else UNKNOWN_CODE
    return meaning


def _failed(error: BaseException, ref: str, operation: str) -> ControlRoomError:
    """Return the error for what kept an answer from coming."""
    meaning = next((BY_EXCEPTION[name] for name in _names(error) if name in BY_EXCEPTION), UNKNOWN_EXCEPTION)
    if type(error) is RuntimeError and "credentials" in str(error):  # of botocore: fresh ones that have expired
        meaning = BY_EXCEPTION["CredentialRetrievalError"]
    links = _chain(error)
    chain = {name for link in links for name in _names(link)}
    if not chain.isdisjoint(_UNTRUSTED):
        meaning = BY_EXCEPTION["SSLCertVerificationError"]
    elif "FileNotFoundError" in chain:  # of certificates, as AWS_CA_BUNDLE names it: nothing else is opened by name
        meaning = BY_EXCEPTION["ConfigNotFound"]
    elif meaning is BY_EXCEPTION["SSLError"] and any(map(_is_of_a_handshake, links)):
        meaning = NO_TLS
    elif _says_unsent(meaning) and _made_of(error) is not None and chain.isdisjoint(_UNCONNECTED):
        meaning = BY_EXCEPTION["ConnectionClosedError"]  # aiobotocore calls a reset half-way "could not connect", too
    if meaning is BY_EXCEPTION["ConnectionClosedError"] and "TimeoutError" in chain:
        meaning = BY_EXCEPTION["TimeoutError"]  # the libraries call it so, where the time was over while they sent
    fact = f"{meaning.fact} ({type(error).__name__})"
    if meaning.kind is ConfigError and (words := _words(error)):
        fact += f": {words}"
    return _made(meaning, ref, operation, fact)


def _says_unsent(meaning: Meaning) -> bool:
    return meaning.kind is StorageUnavailableError and meaning.sent == "no"


def _made(meaning: Meaning, ref: str, operation: str, fact: str) -> ControlRoomError:
    is_open = meaning.sent == "unknown" and not operation.startswith(READS)
    left = "It may have taken effect." if is_open else "Nothing was changed."
    message = f"{ref}: {operation} {fact}. {left} {meaning.advice}"
    context: dict[str, Any] = {} if meaning.kind is ConfigError else {"ref": ref}
    if meaning.kind is StorageUnavailableError:
        context["sent"] = meaning.sent
    return meaning.kind(message, **context)


def _names(error: BaseException) -> list[str]:
    # The ConnectionError of Python is a lost connection, too; that of botocore is none that was made.
    return [kind.__name__ for kind in type(error).__mro__ if kind is not ConnectionError]


def _made_of(error: BaseException) -> BaseException | None:
    """Return the exception that the library wrapped into *error*."""
    inner = _mapping(getattr(error, "kwargs", None)).get("error")
    return inner if isinstance(inner, BaseException) else error.__cause__  # a context may be of something else


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while len(chain) < _LONGEST_CHAIN:
        last = chain[-1]
        inner = _made_of(last) or next((arg for arg in last.args if isinstance(arg, BaseException)), None)
        inner = inner or getattr(last, "reason", None)  # urllib3's
        if not isinstance(inner, BaseException) or inner in chain:
            break
        chain.append(inner)
    return chain


def _is_of_a_handshake(link: BaseException) -> bool:
    """Tell whether TLS failed before anything was sent; what OpenSSL says of it may be the same later."""
    frames = traceback.walk_tb(link.__traceback__)
    return type(link).__name__ == "ClientConnectorSSLError" or any(
        frame.f_code.co_name == "do_handshake" for frame, _ in frames
    )


def _words(said: Any) -> str:
    text = " ".join(str(said or "").split())
    return redact_text(text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}…").rstrip(".")


def _region(response: Mapping[str, Any], headers: Mapping[str, Any]) -> str:
    region = str(headers.get("x-amz-bucket-region") or _mapping(response.get("Error")).get("Region") or "")
    return region if _CODE.fullmatch(region) else ""


def _request_ids(response: Mapping[str, Any]) -> str:
    about = _mapping(response.get("ResponseMetadata"))
    named = [(name, str(about.get(name) or "")) for name in ("RequestId", "HostId")]
    told = [f"{name} {value[:200]}" for name, value in named if value.isprintable() and value]
    return f"Of the answer: {', '.join(told)}" if told else ""


def _retry_after_s(headers: Mapping[str, Any]) -> float | None:
    """Return what the answer asked to wait: seconds, or an instant against its own clock (RFC 9110 §10.2.3)."""
    asked = str(headers.get("retry-after", "")).strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", asked, re.ASCII):
        return float(asked)
    until, now = _instant(asked), _instant(str(headers.get("date", "")))
    return max(0.0, (until - now).total_seconds()) if until and now else None


def _instant(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return instant if instant.tzinfo is not None else None
