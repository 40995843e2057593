"""A registered secret, planted anywhere, never comes out of any sink, in any form that it is written in."""

from __future__ import annotations

import base64
import io
import json
import linecache
import logging
import pickle
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, quote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from controlroom.errors import APIStatusError, Attempt, DataError
from controlroom.logs import bound, get_logger, register_secret, setup_logging
from controlroom.logs.callsite import show_callsites
from controlroom.logs.presentable import LONGEST_TEXT
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
        raw.hex(),
        quote(quote(secret, safe=""), safe=""),
        json.dumps(json.dumps(secret))[3:-3],
        repr(raw)[2:-1],
    ]


@dataclass
class Held:
    """Something whose text holds what it was given."""

    text: str


def raised_in_a_file_of(text: str) -> Exception:
    """An error whose traceback has the text as its file, its function and its source."""
    file = f"/jobs/{text}.py"
    linecache.cache[file] = (1, None, [f"raise ValueError(connect({text!r}, {text})) # {'x' * 140} {text}"], file)
    code = compile("raise ValueError", "", "exec").replace(co_filename=file, co_name=text, co_qualname=text)
    try:
        exec(code, {})
    except ValueError as error:
        return error
    finally:
        del linecache.cache[file]
    raise AssertionError


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
    log.error("tried", held=Held(text), items=deque([{text}, frozenset({text}), bytearray(text.encode()), Path(text)]))
    log.info("tried", a=1, fact=f"{text}", more=text * 40, much="x" * (LONGEST_TEXT - 9) + text * 40)
    other.warning("%s of %r", Held(text), [text], extra={text: Held(text), "deep": {"k": [text]}}, stack_info=True)
    logging.getLogger(text).warning({"a dict": text})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(text, stacklevel=1)
    log.failure("failed", raised_in_a_file_of(text))
    crossed = pickle.loads(pickle.dumps(DataError(text, attempts=[Attempt(1, text, None, text)])))
    log.failure("failed", crossed)


def output(format_: str, text: str) -> Iterator[str]:
    """Plant *text* and yield what came out: of the console, then of the file."""
    with tempfile.TemporaryDirectory() as folder, patch.object(sys, "stderr", io.StringIO()) as stderr:
        file = Path(folder) / "run.jsonl"
        report = setup_logging("DEBUG", format_, file)
        show_callsites(True)
        try:
            plant(text)
        finally:
            show_callsites(False)
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
    secret=secrets, before=around, after=around, form=st.integers(0, 13), format_=st.sampled_from(["json", "console"])
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
    assert len(written[1].splitlines()) == 15


def test_the_canary_would_be_heard() -> None:
    """The same lines without registration do show the text: the test above looks where it should."""
    written = list(output("json", "zqjx-not-registered"))

    assert all(text.count("zqjx-not-registered") > 20 for text in written)
