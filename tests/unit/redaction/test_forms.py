from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from controlroom.redaction import redact, redact_text, register_secret
from controlroom.redaction.forms import forms_of

SECRETS = [
    "hunter2",
    "p@ss w/rd+&=?#%'\"\\",
    "naïve-Zoë-ßecret",
    "пароль-для-базы",
    "emoji-🔑-key-0001",
    "<a href='x'>&amp;`",
    "tab\tand\nline",
    "x" * 64,
    "AKIA/very+long==",
    "~tilde.dash-under_score!",
]


def json_for_html(text: str) -> str:
    return (
        json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("'", "\\u0027")
    )


def upper_escapes(text: str) -> str:
    return (
        "".join(
            char
            if char.isascii()
            else "".join(f"\\u{unit:04X}" for unit in memoryview(char.encode("utf-16-le")).cast("H"))
            for char in text
        )
        .replace("\n", "\\n")
        .replace("\t", "\\t")
    )


def json_without(signs: str) -> Callable[[str], str]:
    """As writers do that keep JSON apart from markup, each from other signs of it."""

    def written(text: str) -> str:
        shown = json.dumps(text)[1:-1].replace('\\"', "\\u0022" if '"' in signs else '\\"')
        for sign in signs.replace('"', ""):
            shown = shown.replace(sign, f"\\u{ord(sign):04x}")
        return f'"{shown}"'

    return written


WRITERS: dict[str, Callable[[str], str]] = {
    "json of Go": json_without("<>&"),
    "json of Gson": json_without("<>&'="),
    "json of .NET": json_without("<>&'+`\""),
    "json of PHP": json_without("<>&'\""),
    "ascii": ascii,
    "html": html.escape,
    "html text": lambda s: html.escape(s, quote=False),
    "html of Go": lambda s: html.escape(s, quote=False).replace('"', "&#34;").replace("'", "&#39;"),
    "xml": lambda s: html.escape(s, quote=False).replace('"', "&quot;").replace("'", "&apos;"),
    "base64 in a URL": lambda s: quote(base64.b64encode(s.encode()).decode(), safe=""),
    "base64 of a pair in a URL": lambda s: quote(base64.b64encode(f"id:{s}".encode()).decode(), safe=""),
    "raw": lambda s: f"it is {s}!",
    "json": json.dumps,
    "json kept": lambda s: json.dumps(s, ensure_ascii=False),
    "json slashes": lambda s: json.dumps(s).replace("/", "\\/"),
    "json in json": lambda s: json.dumps(json.dumps({"a": s})),
    "repr": repr,
    "repr in a longer text": lambda s: repr(f"it's {s}!"),
    "repr of bytes": lambda s: repr(s.encode()),
    "quote": quote,
    "quote all": lambda s: quote(s, safe=""),
    "quote lower": lambda s: quote(s, safe="").replace("%2B", "%2b").replace("%2F", "%2f").replace("%C3%AF", "%c3%af"),
    "quote plus": quote_plus,
    "quote twice": lambda s: quote(quote(s, safe=""), safe=""),
    "path segment": lambda s: quote(s, safe="!$&'()*+,;=:@"),
    "query": lambda s: quote(s, safe="!$&'()*+,;=:@/?"),
    "encodeURIComponent": lambda s: quote(s, safe="!'()*"),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 url": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
}


def lower_all(encoded: str) -> str:
    out, rest = "", encoded
    while "%" in rest:
        head, _, rest = rest.partition("%")
        out += f"{head}%{rest[:2].lower()}"
        rest = rest[2:]
    return out + rest


WRITERS["quote lower"] = lambda s: lower_all(quote(s, safe=""))


@pytest.mark.parametrize("writer", WRITERS.values(), ids=list(WRITERS))
@pytest.mark.parametrize("secret", SECRETS, ids=[str(n) for n, _ in enumerate(SECRETS)])
def test_a_secret_is_masked_in_every_form(secret: str, writer: Callable[[str], str]) -> None:
    register_secret(secret)
    written = writer(secret)

    masked = redact_text(written)
    assert masked.count("***") == 1
    assert len(masked.replace("***", "")) <= 21  # what stands around it, and no piece of it
    for piece in range(len(written) - 12):
        assert written[piece : piece + 12] not in masked or "it" in written[piece : piece + 12]


@pytest.mark.parametrize("secret", ["hunter2-hunter2", "naïve-Zoë-ßecret", "a>>>?~~~b>>>?~~~c"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("around", ["", "u", "us", "use", "user"])
def test_a_secret_inside_longer_base64_is_masked(secret: str, encode: Callable[[bytes], bytes], around: str) -> None:
    register_secret(secret)
    longer = encode(f"{around}:{secret}:{around}".encode()).decode()

    masked = redact_text(f"x {longer} y")
    assert "***" in masked
    left = masked.removeprefix("x ").removesuffix(" y")
    assert len(left.replace("***", "")) <= len(longer) - len(secret) * 8 // 6 + 3


def test_a_password_of_basic_auth_in_latin_1_is_masked() -> None:
    register_secret("Zoë-ßecret-é")

    assert redact_text(base64.b64encode("Zoë-ßecret-é".encode("latin-1")).decode()) == "***"
    assert redact_text("Zo%EB-%DFecret-%E9") == "***"


def test_html_safe_and_upper_case_escapes_are_masked() -> None:
    register_secret("<Zoë&'🔑'>")

    assert redact_text(json_for_html("<Zoë&'🔑'>")) == '"***"'
    assert redact_text(upper_escapes("<Zoë&'🔑'>")) == "***"
    assert (
        redact_text(
            json_for_html("<Zoë&'🔑'>")
            .replace("ud83d", "uD83D")
            .replace("udd11", "uDD11")
            .replace("00eb", "00EB")
            .replace("003c", "003C")
            .replace("003e", "003E")
        )
        == '"***"'
    )


def test_a_secret_of_bytes_is_masked_as_text_and_in_its_forms() -> None:
    raw = b"\xff\x00key-\xfe-material\x80"
    register_secret(raw)

    assert redact(raw) == b"***"
    assert redact_text(raw.hex()) == "***"
    assert redact_text(base64.b64encode(raw).decode()) == "***="
    assert redact_text(repr(raw)) == "b'***'"
    assert redact_text(quote(raw, safe="")) == "***"
    for how in ("surrogateescape", "replace", "backslashreplace"):
        assert redact_text(raw.decode("utf-8", how)) == "***"
    assert redact_text(raw.decode("latin-1")) == "***"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_that_are_text_are_that_text(kind: Callable[[bytes], bytes]) -> None:
    register_secret(kind(b"hunter2"))

    assert redact_text("hunter2") == "***"


def test_blanks_around_a_secret_do_not_count() -> None:
    register_secret("  hunter2\n")
    register_secret(b"hunter3\r\n")

    assert redact_text("hunter2,hunter3") == "***,***"
    assert forms_of("hunter2") == forms_of("\thunter2 ")


@pytest.mark.parametrize("blank", ["", " ", "\n\t ", b"", b" \n", "***", "*", " ** "], ids=repr)
def test_blanks_and_masks_are_no_secrets(blank: str | bytes) -> None:
    assert forms_of(blank) == set()


@pytest.mark.parametrize("short", ["a", "ab", "abc", "é"])
def test_a_very_short_secret_has_no_other_forms(short: str) -> None:
    assert forms_of(short) == {short}


def test_four_characters_have_all_forms() -> None:
    assert {"a&b1", "a%26b1", "a%26b1".lower(), "YSZiMQ", "61266231", "a\\u0026b1"} <= forms_of("a&b1")


@pytest.mark.parametrize("around", ["{}", "say {}", 'say "{}"', "it's {}", 'it\'s "{}"'])
@pytest.mark.parametrize("secret", ["it's-a-secret", 'a-"secret"', 'it\'s-a-"secret"'], ids=["one", "two", "both"])
def test_quotes_are_masked_whatever_quotes_stand_around(secret: str, around: str) -> None:
    register_secret(secret)

    masked = redact_text(repr(around.format(secret)))

    assert masked[1:-1].replace("\\", "") == around.format("***")


def test_a_plain_secret_has_few_forms() -> None:
    raw_hex, whole, *inside = "4162636431323334", "QWJjZDEyMzQ", "QWJjZDEyMz", "FiY2QxMjM0", "BYmNkMTIzN"

    assert forms_of("Abcd1234") == {"Abcd1234", raw_hex, whole, *inside}


FORMS: dict[str | bytes, set[str]] = {
    "<'\"/é>": {
        "&lt;&#39;&#34;/é&gt;",
        "&lt;&#39;&quot;/é&gt;",
        "&lt;&#x27;&#34;/é&gt;",
        "&lt;&#x27;&quot;/é&gt;",
        "&lt;&apos;&#34;/é&gt;",
        "&lt;&apos;&quot;/é&gt;",
        "&lt;'\"/é&gt;",
        "&lt;'&#34;/é&gt;",
        "&lt;'&quot;/é&gt;",
        "8JyIvw6k%2B",
        "<\\'\"/\\xe9>",
        "PCciL%2Bk%2B",
        "\\\\u003C'\\\\\\\"/\\\\u00E9\\\\u003E",
        "\\\\u003C'\\\\\\\"/\\u00e9\\\\u003E",
        "\\\\u003C'\\\\\\\"/é\\\\u003E",
        "\\\\u003C'\\\\\\\"\\\\/\\\\u00E9\\\\u003E",
        "\\\\u003C'\\\\\\\"\\\\/\\u00e9\\\\u003E",
        "\\\\u003C'\\\\\\\"\\\\/é\\\\u003E",
        "\\\\u003C\\\\u0027\\\\u0022/\\\\u00E9\\\\u003E",
        "\\\\u003C\\\\u0027\\\\u0022/\\u00e9\\\\u003E",
        "\\\\u003C\\\\u0027\\\\u0022/é\\\\u003E",
        "\\\\u003C\\\\u0027\\\\u0022\\\\/\\\\u00E9\\\\u003E",
        "\\\\u003C\\\\u0027\\\\u0022\\\\/\\u00e9\\\\u003E",
        "\\\\u003C\\\\u0027\\\\u0022\\\\/é\\\\u003E",
        "\\\\u003c'\\\\\\\"/\\\\u00e9\\\\u003e",
        "\\\\u003c'\\\\\\\"/\\u00e9\\\\u003e",
        "\\\\u003c'\\\\\\\"/é\\\\u003e",
        "\\\\u003c'\\\\\\\"\\\\/\\\\u00e9\\\\u003e",
        "\\\\u003c'\\\\\\\"\\\\/\\u00e9\\\\u003e",
        "\\\\u003c'\\\\\\\"\\\\/é\\\\u003e",
        "\\\\u003c\\\\u0027\\\\u0022/\\\\u00e9\\\\u003e",
        "\\\\u003c\\\\u0027\\\\u0022/\\u00e9\\\\u003e",
        "\\\\u003c\\\\u0027\\\\u0022/é\\\\u003e",
        "\\\\u003c\\\\u0027\\\\u0022\\\\/\\\\u00e9\\\\u003e",
        "\\\\u003c\\\\u0027\\\\u0022\\\\/\\u00e9\\\\u003e",
        "\\\\u003c\\\\u0027\\\\u0022\\\\/é\\\\u003e",
        "\\u003C'\\\"/\\u00E9\\u003E",
        "\\u003C'\\\"/é\\u003E",
        "\\u003C'\\\"\\/\\u00E9\\u003E",
        "\\u003C'\\\"\\/é\\u003E",
        "\\u003C\\u0027\\u0022/\\u00E9\\u003E",
        "\\u003C\\u0027\\u0022/é\\u003E",
        "\\u003C\\u0027\\u0022\\/\\u00E9\\u003E",
        "\\u003C\\u0027\\u0022\\/é\\u003E",
        "\\u003c'\\\"/\\u00e9\\u003e",
        "\\u003c'\\\"/é\\u003e",
        "\\u003c'\\\"\\/\\u00e9\\u003e",
        "\\u003c'\\\"\\/é\\u003e",
        "\\u003c\\u0027\\u0022/\\u00e9\\u003e",
        "\\u003c\\u0027\\u0022/é\\u003e",
        "\\u003c\\u0027\\u0022\\/\\u00e9\\u003e",
        "\\u003c\\u0027\\u0022\\/é\\u003e",
        "wnIi%2FDqT",
        "%253C%2527%2522%252F%25C3%25A9%253E",
        "%253C%2527%2522%252F%25E9%253E",
        "%253C%2527%2522%2F%25C3%25A9%253E",
        "%253C%2527%2522%2F%25E9%253E",
        "%253C%27%2522%252F%25C3%25A9%253E",
        "%253C%27%2522%252F%25E9%253E",
        "%253C%27%2522%2F%25C3%25A9%253E",
        "%253C%27%2522%2F%25E9%253E",
        "%3C%27%22%2F%C3%A9%3E",
        "%3C%27%22%2F%E9%3E",
        "%3C%27%22/%C3%A9%3E",
        "%3C%27%22/%E9%3E",
        "%3C'%22%2F%C3%A9%3E",
        "%3C'%22%2F%E9%3E",
        "%3C'%22/%C3%A9%3E",
        "%3C'%22/%E9%3E",
        "%3c%27%22%2f%c3%a9%3e",
        "%3c%27%22%2f%e9%3e",
        "%3c%27%22/%c3%a9%3e",
        "%3c%27%22/%e9%3e",
        "%3c'%22%2f%c3%a9%3e",
        "%3c'%22%2f%e9%3e",
        "%3c'%22/%c3%a9%3e",
        "%3c'%22/%e9%3e",
        "3C27222FC3A93E",
        "3C27222FE93E",
        "3c27222fc3a93e",
        "3c27222fe93e",
        "8JyIvw6k+",
        "8JyIvw6k-",
        "<'\"/é>",
        "<'\\\"/\\u00E9>",
        "<'\\\"/\\u00e9>",
        "<'\\\"/é>",
        "<'\\\"\\/\\u00E9>",
        "<'\\\"\\/\\u00e9>",
        "<'\\\"\\/é>",
        "<'\\\\\\\"/\\\\u00E9>",
        "<'\\\\\\\"/\\\\u00e9>",
        "<'\\\\\\\"/\\u00e9>",
        "<'\\\\\\\"/é>",
        "<'\\\\\\\"\\\\/\\\\u00E9>",
        "<'\\\\\\\"\\\\/\\\\u00e9>",
        "<'\\\\\\\"\\\\/\\u00e9>",
        "<'\\\\\\\"\\\\/é>",
        "<\\'\"/\\xc3\\xa9>",
        "<\\'\"/é>",
        "PCciL+k+",
        "PCciL-k-",
        "PCciL8OpP",
        "PCciL8OpPg",
        '\\\\u003C\\\\u0027\\\\\\"/\\\\u00E9\\\\u003E',
        '\\\\u003C\\\\u0027\\\\\\"/\\u00e9\\\\u003E',
        '\\\\u003C\\\\u0027\\\\\\"/é\\\\u003E',
        '\\\\u003C\\\\u0027\\\\\\"\\\\/\\\\u00E9\\\\u003E',
        '\\\\u003C\\\\u0027\\\\\\"\\\\/\\u00e9\\\\u003E',
        '\\\\u003C\\\\u0027\\\\\\"\\\\/é\\\\u003E',
        '\\\\u003c\\\\u0027\\\\\\"/\\\\u00e9\\\\u003e',
        '\\\\u003c\\\\u0027\\\\\\"/\\u00e9\\\\u003e',
        '\\\\u003c\\\\u0027\\\\\\"/é\\\\u003e',
        '\\\\u003c\\\\u0027\\\\\\"\\\\/\\\\u00e9\\\\u003e',
        '\\\\u003c\\\\u0027\\\\\\"\\\\/\\u00e9\\\\u003e',
        '\\\\u003c\\\\u0027\\\\\\"\\\\/é\\\\u003e',
        '\\u003C\\u0027\\"/\\u00E9\\u003E',
        '\\u003C\\u0027\\"/é\\u003E',
        '\\u003C\\u0027\\"\\/\\u00E9\\u003E',
        '\\u003C\\u0027\\"\\/é\\u003E',
        '\\u003c\\u0027\\"/\\u00e9\\u003e',
        '\\u003c\\u0027\\"/é\\u003e',
        '\\u003c\\u0027\\"\\/\\u00e9\\u003e',
        '\\u003c\\u0027\\"\\/é\\u003e',
        "wnIi/DqT",
        "wnIi_DqT",
    },
    b"\xff?a b+c\xfe~": {
        "%2FP2EgYitj%2Fn",
        "%2Fz9hIGIrY%2F5%2B",
        "8%2FYSBiK2P%2Bf",
        "%25FF%253Fa%2520b%252Bc%25FE~",
        "%25FF%253Fa%2520b%2Bc%25FE~",
        "%25FF%253Fa%2Bb%252Bc%25FE~",
        "%25FF%3Fa%2520b%252Bc%25FE~",
        "%25FF%3Fa%2520b%2Bc%25FE~",
        "%FF%3Fa%20b%2Bc%FE~",
        "%FF%3Fa%20b+c%FE~",
        "%FF%3Fa+b%2Bc%FE~",
        "%FF?a%20b%2Bc%FE~",
        "%FF?a%20b+c%FE~",
        "%ff%3fa%20b%2bc%fe~",
        "%ff%3fa%20b+c%fe~",
        "%ff%3fa+b%2bc%fe~",
        "%ff?a%20b%2bc%fe~",
        "%ff?a%20b+c%fe~",
        "/P2EgYitj/n",
        "/z9hIGIrY/5+",
        "8/YSBiK2P+f",
        "8_YSBiK2P-f",
        "FF3F6120622B63FE7E",
        "\\\\uDCFF?a b+c\\\\uDCFE~",
        "\\\\uDCFF?a b\\\\u002Bc\\\\uDCFE~",
        "\\\\udcff?a b+c\\\\udcfe~",
        "\\\\udcff?a b\\\\u002bc\\\\udcfe~",
        "\\uDCFF?a b+c\\uDCFE~",
        "\\uDCFF?a b\\u002Bc\\uDCFE~",
        "\\udcff?a b+c\\udcfe~",
        "\\udcff?a b\\\\u002Bc\\udcfe~",
        "\\udcff?a b\\\\u002bc\\udcfe~",
        "\\udcff?a b\\u002bc\\udcfe~",
        "\\xff?a b+c\\xfe~",
        "_P2EgYitj_n",
        "_z9hIGIrY_5-",
        "ff3f6120622b63fe7e",
        "ÿ?a b+cþ~",
        "\udcff?a b+c\udcfe~",
        "\udcff?a b\\\\u002Bc\udcfe~",
        "\udcff?a b\\\\u002bc\udcfe~",
        "\udcff?a b\\u002Bc\udcfe~",
        "\udcff?a b\\u002bc\udcfe~",
        "\N{REPLACEMENT CHARACTER}?a b+c\N{REPLACEMENT CHARACTER}~",  # noqa: B033 - ruff takes lone surrogates for this
    },
    "a/b&c": {
        "a/b&amp;c",
        "612F622663",
        "612f622663",
        "YS9iJmM",
        "a%252Fb%2526c",
        "a%252Fb%26c",
        "a%2Fb%2526c",
        "a%2Fb%26c",
        "a%2Fb&c",
        "a%2fb%26c",
        "a%2fb&c",
        "a/b%26c",
        "a/b&c",
        "a/b\\\\u0026c",
        "a/b\\u0026c",
        "a\\/b&c",
        "a\\/b\\u0026c",
        "a\\\\/b&c",
        "a\\\\/b\\\\u0026c",
    },
}


@pytest.mark.parametrize("secret", ["<'\"/é>", b"\xff?a b+c\xfe~", "a/b&c"], ids=["text", "bytes", "slash"])
def test_each_writer_of_a_secret_of_signs_is_covered(secret: str | bytes) -> None:
    """The sets are what those writers were seen to write: a form lost is a secret shown."""
    assert forms_of(secret) == FORMS[secret]


PEM = """-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7
  VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3S
tail==
-----END PRIVATE KEY-----
"""


def test_each_telling_line_of_a_key_is_masked_alone() -> None:
    register_secret(PEM)
    lines = PEM.splitlines()

    assert redact_text(PEM) == "***\n"
    assert redact_text(f"> {lines[1]}\n> {lines[2]}") == "> ***\n>   ***"
    assert redact_text(lines[2].strip().replace("/", "%2F")) == "***"
    assert redact_text(json.dumps(PEM)) == '"***\\n"'
    for harmless in (lines[0], lines[3], lines[4]):
        assert redact_text(harmless) == harmless


@pytest.mark.parametrize(("line", "shown"), [("x" * 15, "x" * 15), ("x" * 16, "***")])
def test_a_line_tells_from_sixteen_characters(line: str, shown: str) -> None:
    register_secret(f"first\n{line}\nlast")

    assert redact_text(line) == shown
    assert redact_text("first") == "first"
