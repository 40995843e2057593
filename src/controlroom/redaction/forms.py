"""A secret in disguise: every form in which other programs are likely to write it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from itertools import product
from urllib.parse import quote, quote_plus

__all__ = ["SHORTEST_ANYWHERE", "forms_of"]

SHORTEST_ANYWHERE = 4
"""A shorter secret is masked only where it stands alone, or every "a" of a log would vanish."""

_SHORTEST_LINE = 16  # a line of a PEM key or of a JSON document says enough alone; "}" does not
_SHORTEST_INSIDE_BASE64 = 8

# What different writers leave unescaped in a URL, beside letters, digits and "_.-~".
_UNESCAPED = (
    "",
    "/",
    "!'()*",  # encodeURIComponent, ECMA-262 19.2.6.4
    "!$&'()*+,;=:@",  # a path segment, RFC 3986 3.3
    "!$&'()*+,;=:@/?",  # a query, RFC 3986 3.4
    "!$'()*,:;/?@",  # a value in a query
    "!$&'()*+,;=",  # user information, RFC 3986 3.2.1
)
# JSON that is kept apart from markup. Each escapes other characters, and a secret may hold several of them.
_JSON_FOR_HTML = tuple(
    re.compile(what)
    for what in (
        "(?!)",
        "[<>&]",  # Go
        "[<>&']",  # Flask, Django
        "[<>&'=]",  # Gson
        r"[<>&'+`]|\\\"",  # .NET
        r"[<>&']|\\\"",  # PHP: JSON_HEX_TAG, _AMP, _APOS, _QUOT
        "[<>&'+=`]",
    )
)
_HEX = re.compile(r"(?<=\\u)[0-9a-f]{4}")


def forms_of(secret: str | bytes) -> set[str]:
    """Return *secret* (surrounding blanks aside, as at the end of a secret file) in all its forms; none if blank."""
    if isinstance(secret, str):
        text, raw = secret.strip(), secret.strip().encode("utf-8", "surrogatepass")
    else:
        raw = secret.strip()
        text = raw.decode("utf-8", "surrogateescape")
    if not text.strip("*"):  # what consists of asterisks is a mask already
        return set()
    if len(text) < SHORTEST_ANYWHERE:
        return {text}
    forms = {text, *_escaped(text), *_url_encoded(raw), *_binary(raw), repr(raw)[2:-1]}
    if isinstance(secret, str):
        forms |= _of_latin_1(text)
    else:
        forms |= {raw.decode("utf-8", how) for how in ("replace", "backslashreplace")} | {raw.decode("latin-1")}
    return forms | _of_lines(text)


def _escaped(text: str) -> Iterator[str]:
    """Yield *text* as it stands between the quotes of JSON (RFC 8259 section 7) and of Python's repr."""
    yield repr(text)[1:-1]
    yield repr(text + '"')[1:-2]  # as in the repr of a longer text that holds the other mark
    yield ascii(text)[1:-1]
    yield from _for_html(text)
    for ascii_only, slash in product((True, False), ("/", r"\/")):
        plain = json.dumps(text, ensure_ascii=ascii_only)[1:-1].replace("/", slash)
        for escaped in dict.fromkeys(each.sub(_as_a_number, plain) for each in _JSON_FOR_HTML):
            for case in (str.lower, str.upper):
                cased = _HEX.sub(lambda match, to=case: to(match[0]), escaped)  # type: ignore[misc]  # a method of str
                yield cased
                for outer_ascii_only in (True, False):  # a JSON text inside a JSON text: a log line that quotes a body
                    yield json.dumps(cased, ensure_ascii=outer_ascii_only)[1:-1]


def _as_a_number(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0][-1]):04x}"  # of an escaped quote the quote


def _for_html(text: str) -> Iterator[str]:
    """Yield *text* as an error page or an XML answer quotes it: within an element, and within an attribute."""
    inside = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield inside
    for double, single in product(("&quot;", "&#34;"), ("&#x27;", "&#39;", "&apos;", "'")):
        yield inside.replace('"', double).replace("'", single)


def _url_encoded(raw: bytes) -> Iterator[str]:
    for encoded in (quote_plus(raw), *(quote(raw, safe=safe) for safe in _UNESCAPED)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
        yield quote(encoded, safe="")  # a URL inside the query of a URL


def _binary(raw: bytes) -> Iterator[str]:
    yield raw.hex()
    yield raw.hex().upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for form in (encode(raw).decode().rstrip("="), *_aligned(raw, encode)):
            yield form
            yield quote(form, safe="")


def _aligned(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """Yield base64 of *raw* as it looks inside a longer encoded text (``user:password``), at each of three offsets."""
    for offset in range(3):
        characters = encode(b"\0" * offset + raw).decode()
        first = (0, 2, 3)[offset]  # characters that still depend on what stands before
        whole = (offset + len(raw)) * 8 // 6  # characters that do not depend on what follows
        if whole - first >= _SHORTEST_INSIDE_BASE64:
            yield characters[first:whole]


def _of_latin_1(text: str) -> set[str]:
    """Return the forms of *text* in the encoding that older HTTP clients use (RFC 7617 section 2)."""
    if text.isascii():
        return set()
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        return set()
    return {*_url_encoded(raw), *_binary(raw)}


def _of_lines(text: str) -> set[str]:
    """Return the forms of each line that could give a secret of several lines away."""
    lines = [line.strip() for line in text.splitlines()]
    if len(lines) == 1:
        return set()
    telling = {line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----")}
    return {form for line in telling for form in forms_of(line)}
