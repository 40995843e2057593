"""Laws of masking: no registered secret is left, what is masked stays so, nothing raises, nothing is changed."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

from hypothesis import example, given
from hypothesis import strategies as st

from controlroom.redaction import MASK, forget_secrets, redact, redact_text, register_secret
from controlroom.redaction.places import _AFTER_SCHEME, _named, _url_passwords, placed_secrets
from controlroom.redaction.registry import Registry

secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=24).filter(
    lambda text: len(text.strip()) >= 4 and text.strip("* \t\r\n")
)
fragments = st.sampled_from(
    [
        *[
            "password=",
            '"token": "',
            "api_key: ",
            "Authorization: ",
            "Bearer ",
            "Basic ",
            "://",
            "https://u:",
            "@",
            "/",
            "?",
        ],
        *[
            "&",
            ";",
            ",",
            '"',
            "'",
            "\\",
            '\\"',
            " ",
            "\n",
            "\t",
            ":",
            "=",
            "***",
            "*",
            "page_token=",
            "x",
            "7",
            "A1b2C3",
            "null",
        ],
        *["%3D", "%40", "{", "}", "cookie", "sig=", ".", "-", "_", "é", "🔑", "ab", "hunter2"],
    ]
)
messy = st.lists(fragments | st.text(max_size=4), max_size=14).map("".join)


@contextmanager
def registered(*values: str) -> Iterator[None]:
    try:
        for value in values:
            register_secret(value)
        yield
    finally:
        forget_secrets()


def forms(secret: str) -> list[str]:
    secret = secret.strip()
    raw = secret.encode()
    return [
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        repr(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        raw.hex(),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ]


@given(secrets, messy, messy, st.integers(0, 10))
def test_no_registered_secret_is_left_in_any_form(secret: str, before: str, after: str, which: int) -> None:
    form = forms(secret)[which]
    with registered(secret):
        shown = redact_text(before + form + after)

    assert form not in shown.replace(MASK, "\0") or form in MASK


@given(st.lists(secrets | st.text(min_size=1, max_size=3), min_size=1, max_size=5), st.data())
def test_no_two_registered_secrets_hide_each_other(several: list[str], data: st.DataObject) -> None:
    pieces = st.sampled_from(several) | messy
    text = "".join(data.draw(st.lists(pieces, max_size=8)))
    with registered(*several):
        shown = redact_text(text)

    assert [
        secret for secret in several if len(secret.strip()) >= 4 and secret.strip() in shown.replace(MASK, "\0")
    ] == []


@given(messy, st.lists(secrets | st.sampled_from(["hunter2", "ab", "*x", "x***", "a*"]), max_size=3))
@example("ab***", ["ab"])
def test_what_is_masked_stays_as_it_is(text: str, several: list[str]) -> None:
    with registered(*several):
        once = redact_text(text)
        assert redact_text(once) == once


leaves = messy | st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=9) | st.just(b"hunter2")
keys = messy | st.integers() | st.none() | st.sampled_from(["password", "hunter2", "tags", "Cookie"]) | st.tuples(messy)
structures = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=4)
        | st.sets(messy | st.integers(), max_size=3)
    ),
    max_leaves=12,
)


@given(structures)
def test_structures_are_masked_whole_once_and_unchanged(value: Any) -> None:
    before = copy.deepcopy(value)
    with registered("hunter2"):
        shown = redact(value)
        again = redact(shown)

    assert value == before
    assert "hunter2" not in repr(shown)
    assert again == shown


@given(st.recursive(st.integers() | st.floats() | st.none() | st.booleans(), st.lists, max_leaves=20))
def test_numbers_are_untouched(value: Any) -> None:
    with registered("1234", "0.5"):
        assert repr(redact(value)) == repr(value)


@given(st.lists(st.text(min_size=4, max_size=12), min_size=1, max_size=20), st.text(max_size=60), st.data())
def test_the_registry_finds_what_a_plain_search_finds(some: list[str], text: str, data: st.DataObject) -> None:
    text += "".join(data.draw(st.lists(st.sampled_from(some), max_size=3))) + data.draw(st.text(max_size=9))
    registry = Registry()
    registry.add(some)

    covered = {place for start, end in registry.spans(text) for place in range(start, end)}
    expected = {
        place
        for form in some
        for start in range(len(text))
        if text.startswith(form, start)
        for place in range(start, start + len(form))
    }
    assert covered == expected


@given(st.text(max_size=200))
def test_a_text_without_signs_is_never_changed(text: str) -> None:
    plain = "".join(char for char in text if char not in ":=%@")
    if "bearer" not in plain.lower() and "basic" not in plain.lower() and "token" not in plain.lower():
        assert redact_text(plain) == plain


_telling = ["api_", "access", "CREDENTIAL", "authorization", "bearer", "Basic"]
_shorter = ["key", "KEY", "\u212aey", "pw", "Token", "cookie", "sig", "pass", "secret"]
_telling_pieces = st.sampled_from([*_telling, *_shorter, *'=:%"@_- \t\u0130', "%3d", "=>", "//", "a", "9Z"])


@given(st.lists(_telling_pieces, max_size=14).map("".join))
@example(" key api_key=abc")
@example("key key_token=abc")
@example("next%3Fsig%3D1")
@example("authorization=1")
@example("sig=1")
@example("basic QTpC01")
def test_the_first_look_passes_over_nothing_that_a_search_of_the_whole_text_finds(text: str) -> None:
    whole = [*_named(text, text.lower()), *(match.span(1) for match in _AFTER_SCHEME.finditer(text))]
    by_url = list(_url_passwords(text)) if "@" in text else []

    assert sorted(placed_secrets(text)) == sorted([*by_url, *whole])
