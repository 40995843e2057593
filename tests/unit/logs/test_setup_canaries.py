"""A registered secret, planted anywhere, never comes out of any sink, in any form that it is written in."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from controlroom.errors import APIStatusError, Attempt, DataError
from controlroom.logs import bound, get_logger, register_secret, setup_logging
from controlroom.redaction import forget_secrets

log = get_logger("app")
other = logging.getLogger("other.package")

# A beginning of its own, so that no secret is a part of what every line says anyway.
secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=24).map(lambda text: f"zqjx{text}jqzx")
around = st.text(max_size=6)


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.b64encode(b"user:" + raw + b"!").decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    ]


def failure(text: str) -> Exception:
    """An error with the text in every place that an error has."""
    member = APIStatusError(f"GET {text}", status_code=500, attempts=[Attempt(1, text, 1.0, text)])
    member.add_note(text)
    group = ExceptionGroup(text, [member, DataError(text), ValueError(text)])
    group.add_note(text)
    group.__cause__ = KeyError(text)
    return group


def plant(text: str) -> None:
    log.info(text)
    log.info("tried", **{text: 1, "fact": text, "deep": {"k": [text, {text: (text,)}]}, "raw": text.encode()})
    log.bind(own=text).warning("tried", error=ValueError(text))
    with bound(outer=text):
        log.failure("failed", failure(text))
        other.warning(f"hello {text}")
        other.warning("hello %s", text, extra={"k": text})
        other.error("failed %(k)s", {"k": text}, exc_info=failure(text))
    get_logger(f"app.{text}").error("tried")


def output(format_: str, text: str) -> Iterator[str]:
    """Plant *text* and yield what came out: of the console, then of the file."""
    with tempfile.TemporaryDirectory() as folder, patch.object(sys, "stderr", io.StringIO()) as stderr:
        file = Path(folder) / "run.jsonl"
        report = setup_logging("DEBUG", format_, file)
        try:
            plant(text)
        finally:
            report.undo()
        assert report.dropped == 0
        yield stderr.getvalue()
        yield file.read_text(encoding="utf-8")


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@settings(max_examples=min(settings().max_examples, 500))  # each sets logging up, and no test may take two minutes
@given(
    secret=secrets, before=around, after=around, form=st.integers(0, 9), format_=st.sampled_from(["json", "console"])
)
def test_no_secret_comes_out(secret: str, before: str, after: str, form: int, format_: str) -> None:
    register_secret(secret)
    try:
        written = list(output(format_, before + forms(secret)[form] + after))
    finally:
        forget_secrets()

    for text in written:
        assert [form for form in forms(secret) if form in text] == []
    for line in written[1].splitlines():
        assert [text for text in texts(json.loads(line)) if secret in text] == []
    assert len(written[1].splitlines()) == 8


def test_the_canary_would_be_heard() -> None:
    """The same lines without registration do show the text: the test above looks where it should."""
    written = list(output("json", "zqjx-not-registered"))

    assert all(text.count("zqjx-not-registered") > 20 for text in written)
