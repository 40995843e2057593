"""Where secrets usually stand in a text: in URLs, after telling names, after the scheme of an Authorization header.

A net for what nobody registered. It would rather mask a harmless value than miss a secret, but names that `is_sensitive_name`
calls harmless stay readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest

from controlroom.redaction.names import is_sensitive_name
from controlroom.redaction.registry import Span

__all__ = ["placed_secrets"]

_LONGEST_NAME = 80
_WORDS = ("pass", "pw", "secret", "token", "key", "authorization", "credential", "cookie", "sig", "jwt", "bearer")
_SHORTEST_WORD = 2

# RFC 3986 ends the authority at "/", "?" or "#", but drivers accept passwords that hold them bare. A port is no password.
_URL_USER = re.compile(r":(?:\\?/){2}[^\s/?#@:\"'\[\\]*:(?=([^\s/?#\"'<>]*))")
_PORT = re.compile(r"\d{1,5}(?:[/?#]|\\/)")
_NOT_IN_A_URL = re.compile(r"[\s\"'<>]")
# "Token expired" is prose: a credential has a digit, a capital inside or a sign in it, or is longer than any word.
_AFTER_SCHEME = re.compile(
    r"\b(?i:Bearer|Basic|Token)[ \t]+"
    r"(?![A-Za-z][a-z]{0,18}(?![\w~+/=-]|\.\w))"
    r"(?!(?:realm|error|error_description|scope|charset|resource_metadata)=)"  # a challenge, RFC 6750 section 3
    r"([\w.~+/=-]{6,})"
)
# name=value in query strings, DSNs and key-value text; name: value in headers; "name": "value" in JSON; name%3Dvalue.
_NAME = re.compile(
    rf"(?:{'|'.join(_WORDS)})[\w.-]{{0,40}}+"
    r"(?P<between>\\*[\"']?\s{0,3}+(?:=>|[=:]|%3d)\s{0,3}+)",
    re.IGNORECASE,
)
_WORD = re.compile(rf"(?=(?:{'|'.join(_WORDS)}))", re.IGNORECASE)
_BARE = re.compile(r"[^\s&;,\"'<>(){}\[\]][^\s&;,\"'<>)}\]]*")
_TO_END_OF_LINE = re.compile(r"[^\r\n\"'\\]+")
_QUOTE = re.compile(r"(?:[bB][rR]?|[rR][bB]?)?(\\*[\"'])")  # also that of bytes, in the repr of headers
_QUOTED = {'"': re.compile(r"(?:[^\"\\]|\\.)*+", re.DOTALL), "'": re.compile(r"(?:[^'\\]|\\.)*+", re.DOTALL)}
# The last one is how pydantic shows a secret: masked already.
_NO_VALUE = re.compile(r"(?:null|none|true|false|Secret(?:Str|Bytes)?\(b?'\**'\))(?![^\s&;,\"'<>)}\]])", re.IGNORECASE)
_JSON_NUMBER = re.compile(r"-?\d[\d.eE+-]*\s*[,}\]]")


def placed_secrets(text: str) -> list[Span]:
    """Return where *text* holds a value in the place of a secret. Takes time linear in the length of *text*."""
    found: list[Span] = []
    if "@" in text:
        found += _url_passwords(text)
    # A name stands before a sign: of "https://host:443 GET …" no more than "https://host" needs a look.
    end = max(text.rfind(":"), text.rfind("="), text.rfind("%3") if "%" in text else -1)
    if end >= _SHORTEST_WORD and _may_hold_a_name(before := text[:end].lower()):
        found += _named(text, before)
    if (" " in text or "\t" in text) and _may_hold_a_scheme(text.lower()):
        found += [match.span(1) for match in _AFTER_SCHEME.finditer(text)]
    return found


def _may_hold_a_name(lowered: str) -> bool:
    """Tell whether any of the words is in *lowered*. To look for a letter, which may be missing, is cheaper than for a word."""
    return (
        ("k" in lowered and (_may_hold_a_key(lowered) or "token" in lowered or "cookie" in lowered))
        or ("w" in lowered and "pw" in lowered)
        or ("g" in lowered and "sig" in lowered)
        or ("z" in lowered and "authorization" in lowered)
        or ("j" in lowered and "jwt" in lowered)
        or "bearer" in lowered
        or "pass" in lowered
        or "secret" in lowered
        or "credential" in lowered
    )


def _may_hold_a_key(lowered: str) -> bool:
    """Tell whether any "key" has something before it: "api_key" does, and "key=s3://…" is where an object lies."""
    return "key" in lowered and lowered.count("key") > lowered.count(" key")


def _may_hold_a_scheme(lowered: str) -> bool:
    return ("b" in lowered and ("bearer" in lowered or "basic" in lowered)) or ("k" in lowered and "token" in lowered)


def _url_passwords(text: str) -> Iterator[Span]:
    users = list(_URL_USER.finditer(text))
    for user, following in zip_longest(users, users[1:]):
        start, limit = user.end(), following.start() if following else len(text)
        end = text.rfind("@", start, user.end(1))
        if end == -1 and not _PORT.match(text, start):
            end = text.find("@", start, limit)
        if end > start and not _NOT_IN_A_URL.search(text, start, end):
            yield start, end


def _named(text: str, before: str) -> Iterator[Span]:
    """Yield the values behind telling names; *before* is the small form of what stands before the last sign."""
    position = 0
    for start in _starts(text, before):
        if start < position or not (match := _NAME.match(text, start)):
            continue
        position = match.end()
        name = text[_start_of_name(text, match.start()) : match.start("between")]
        if is_sensitive_name(name) and (value := _value(text, match, name)):
            yield value
            position = value[1]


def _starts(text: str, before: str) -> list[int]:
    """Return where the words of telling names stand, in order: a few searches in C, where the pattern tries each place."""
    if not text.isascii():  # the small form of a letter may be longer, and shift all that stands behind it
        return [match.start() for match in _WORD.finditer(text)]
    starts: list[int] = []
    for word in _WORDS:
        start = before.find(word)
        while start >= 0:
            starts.append(start)
            start = before.find(word, start + 1)
    starts.sort()
    return starts


def _start_of_name(text: str, start: int) -> int:
    first = max(0, start - _LONGEST_NAME)
    while start > first and (text[start - 1].isalnum() or text[start - 1] in "_.-"):
        start -= 1
    return start


def _value(text: str, name_and_sign: re.Match[str], name: str) -> Span | None:
    """Return the span of the value that follows; None if there is none, or it says that there is none."""
    between, start = name_and_sign["between"], name_and_sign.end()
    if quote := _QUOTE.match(text, start):
        return _quoted(text, quote.end(), quote[1])
    in_json = between[0] in "\\\"'" and ":" in between
    if _NO_VALUE.match(text, start) or (in_json and _JSON_NUMBER.match(text, start)):
        return None
    to_the_end = ":" in between and name.lower().endswith(("authorization", "cookie"))
    value = (_TO_END_OF_LINE if to_the_end else _BARE).match(text, start)
    return value.span() if value else None


def _quoted(text: str, start: int, quote: str) -> Span | None:
    """Return the span up to the quote that closes what *quote* opened; in JSON inside JSON both have backslashes."""
    if value := _QUOTED[quote].match(text, start) if quote in _QUOTED else None:
        end = value.end()
    else:
        end = text.find(quote, start)
        while end != -1 and text[end - 1] == "\\":  # more backslashes: a quote inside the value
            end = text.find(quote, end + 1)
    end = len(text) if end == -1 else end
    return (start, end) if end > start else None
