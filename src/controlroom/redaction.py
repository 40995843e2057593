"""What may be shown: secrets are masked by value, by the name of their key, and by the places where they usually stand.

By value is the strong rule: every secret that was registered is replaced in any text, also in its URL-encoded, base64
and JSON-escaped forms. By name and by place are nets for what nobody registered.

Not promised: a secret that was neither registered nor stands under a telling name; a form nobody listed here
(encrypted, compressed, split over two texts).
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote, quote_plus

from controlroom.errors.text import redact_with

__all__ = ["MASK", "forget_secrets", "is_sensitive_name", "redact", "redact_text", "register_secret"]

MASK: Final = "***"

_SHORTEST_ANYWHERE = 4  # a shorter secret is masked only where it stands alone, or every "a" of a log would vanish
_DEEPEST = 32  # deeper than any body that a person would read; also ends self-containing structures

_SENSITIVE_WORDS = frozenset(
    [
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "authorization",
        "credential",
        "credentials",
        "cookie",
        "signature",
    ]
)
_SENSITIVE_PAIRS = frozenset({"api key", "access key", "private key", "secret key", "account key", "shared key"})
# `token_url` is where tokens are fetched, `page_token` a position: their values are meant to be read.
_HARMLESS_ENDINGS = frozenset(
    ["url", "uri", "name", "type", "count", "endpoint", "path", "file", "id", "at", "s", "bytes"]
)
_HARMLESS_STARTS = frozenset(["page", "next", "cursor", "continuation", "pagination", "max", "public"])

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/?#@:\"']*):([^\s/?#@\"']+)@")
_SCHEME = re.compile(r"\b(Bearer|Basic|Token)\s+([A-Za-z0-9._~+/=-]{6,})", re.IGNORECASE)
# name=value in query strings, DSNs and key-value text; name: value in headers; "name": "value" in JSON.
_NAMED_VALUE = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]{0,40}?"
    r"(?:passw|pwd|passphrase|secret|token|api.?key|access.?key|private.?key|shared.?key|account.?key"
    r"|authorization|credential|cookie|signature)[\w.-]{0,40})"
    r"(?P<between>\\?[\"']?\s?[=:]\s?)(?P<quote>\\?[\"'])?"
    r"(?P<value>(?(quote)[^\"'\\]+|[^\s&;,\"'<>{}()\[\]]+))",
    re.IGNORECASE,
)

_lock = threading.Lock()
_forms: dict[str, None] = {}
_by_value: re.Pattern[str] | None = None


def register_secret(value: str | bytes) -> None:
    """Mask *value* from now on, in every log line, error and report of this process.

    Args:
        value: The secret. Empty or blank values are ignored. One shorter than four characters is masked only where
            it stands alone between non-word characters.

    Guarantees:
        Thread-safe. Its URL-encoded, base64 (also inside a longer encoded text) and JSON-escaped forms are masked too.
    """
    global _by_value  # noqa: PLW0603 - one registry a process, by design: a secret is secret everywhere
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if not text.strip():
        return
    with _lock:
        _forms.update(dict.fromkeys(_forms_of(text)))
        _by_value = _compiled(_forms)


def forget_secrets() -> None:
    """Empty the registry. For tests: a process that used a secret keeps masking it until it ends."""
    global _by_value  # noqa: PLW0603 - see register_secret
    with _lock:
        _forms.clear()
        _by_value = None


def _forms_of(secret: str) -> Iterator[str]:
    yield secret
    if len(secret) < _SHORTEST_ANYWHERE:
        return
    for escaped in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]):
        yield escaped
        yield json.dumps(escaped)[1:-1]  # a JSON text inside a JSON text: a log line that quotes a body
    for encoded in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        yield from _aligned(raw, encode)


def _aligned(raw: bytes, encode: Any) -> Iterator[str]:
    """Yield base64 of *raw* as it looks inside a longer encoded text (``user:password``), at each of three offsets."""
    for offset in range(3):
        characters: str = encode(b"\0" * offset + raw).decode().rstrip("=")
        first = (0, 2, 3)[offset]  # characters that still depend on what stands before
        whole = (offset + len(raw)) * 8 // 6  # characters that do not depend on what follows
        if whole - first >= _SHORTEST_ANYWHERE * 2:
            yield characters[first:whole]


def _compiled(forms: Mapping[str, None]) -> re.Pattern[str]:
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(_anywhere_or_alone(form) for form in longest_first))


def _anywhere_or_alone(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _SHORTEST_ANYWHERE else rf"(?<!\w){escaped}(?!\w)"


def is_sensitive_name(name: str) -> bool:
    """Tell whether a key called *name* usually holds a secret: ``apiKey``, ``DB_PASSWORD``, ``X-Auth-Token`` and so on."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _HARMLESS_ENDINGS or words[0] in _HARMLESS_STARTS:
        return False
    pairs = {f"{first} {second}" for first, second in pairwise(words)}
    return not _SENSITIVE_WORDS.isdisjoint(words) or not _SENSITIVE_PAIRS.isdisjoint(pairs)


def redact_text(text: str) -> str:
    """Return *text* with every registered secret, URL password, bearer token and tellingly named value masked."""
    if _by_value is not None:
        text = _by_value.sub(MASK, text)
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    if "=" in text or ":" in text:
        text = _NAMED_VALUE.sub(_mask_named, text)
    return _SCHEME.sub(rf"\1 {MASK}", text)


def _mask_named(match: re.Match[str]) -> str:
    if not is_sensitive_name(match["name"]) or match["value"].lower() in {"bearer", "basic", "token"}:
        return match[0]
    return f"{match['name']}{match['between']}{match['quote'] or ''}{MASK}"


def redact(value: Any) -> Any:
    """Return *value* with secrets masked at any depth: texts by value and place, entries of mappings by key name.

    Mappings become dicts, sequences lists, tuples tuples, bytes are masked as UTF-8 text where they hold a secret.
    Numbers, None and unknown objects come back as they are. The argument is not changed.
    """
    return _redacted(value, 0)


def _redacted(value: Any, depth: int) -> Any:
    if type(value) is str:
        return redact_text(value)
    if value is None or isinstance(value, bool | int | float | Enum):
        return value
    if isinstance(value, str | bytes):
        return _redacted_text_like(value)
    return "…" if depth >= _DEEPEST else _redacted_container(value, depth + 1)


def _redacted_text_like(value: str | bytes) -> str | bytes:
    if isinstance(value, str):
        return redact_text(str(value))
    text = value.decode("utf-8", "replace")
    return value if (masked := redact_text(text)) == text else masked.encode()


def _redacted_container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {_redacted(key, depth): _entry(key, item, depth) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(_redacted(item, depth) for item in value)
    if isinstance(value, list | AbstractSet | tuple):
        return [_redacted(item, depth) for item in value]
    return value


def _entry(key: Any, item: Any, depth: int) -> Any:
    holds_text = isinstance(item, str | bytes) and len(item) > 0
    return MASK if holds_text and isinstance(key, str) and is_sensitive_name(key) else _redacted(item, depth)


redact_with(redact)
