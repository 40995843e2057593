"""A URL that leads nowhere is refused at once, without its password."""

from __future__ import annotations

import sys

import pytest
from sqlalchemy import make_url

from controlroom.database import AsyncDatabase, Database
from controlroom.database.backends import backend_for
from controlroom.errors import ConfigError
from controlroom.redaction import forget_secrets, redact_text

OPTIONS = {
    "statement_timeout_s": 1,
    "lock_timeout_s": 1,
    "application_name": None,
    "profile": "server",
    "pool_size": 5,
    "pool_timeout_s": 1,
}


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
@pytest.mark.parametrize(
    "url",
    [
        "mssql://me:s3cretpw@db/x",
        make_url("oracle://x"),
    ],
)
def test_another_database_is_refused_and_the_password_is_masked_from_then_on(kind: type, url: object) -> None:
    try:
        with pytest.raises(ConfigError, match="not supported") as caught:
            kind(url)
        assert "s3cretpw" not in str(caught.value.to_dict())
        if "s3cretpw" in str(url):
            assert redact_text("a log line with s3cretpw") == "a log line with ***"
    finally:
        forget_secrets()


@pytest.mark.parametrize("url", ["", "data.db", "sqlite:/x.db", "://", None, 7])
def test_what_is_no_url_is_refused(url: object) -> None:
    with pytest.raises(ConfigError):
        Database(url)


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("sqlite://meta.db", r"sqlite:///meta\.db has three slashes"),
        ("sqlite://data/meta.db", r"sqlite:///data/meta\.db has three slashes"),
        ("sqlite://u:s3cretpw@h/db", "three slashes"),
        ("sqlite://s3cretpw@h/db", "three slashes"),
        ("sqlite://:3/db", "three slashes"),
        ("sqlite:///x.db?timeout=abc", "lock_timeout_s"),
        ("sqlite:///x.db?timeout=5", "lock_timeout_s"),
        ("sqlite:///x.db?isolation_level=DEFERRED", "Leave it out"),
        ("sqlite:///x.db?uri=perhaps", "uri=true"),
        ("sqlite:///x.db?mode=ro&uri=true", "begins with file:"),
        ("sqlite://?uri=true", "begins with file:"),
        ("sqlite:///x.db?cached_statements=many", "cached_statements=128"),
        ("sqlite:///x.db?cached_statements=1&cached_statements=2", "more than once"),
        ("sqlite:///x.db?foo=s3cretpw", "'foo' of the database URL would be ignored"),
        ("sqlite:///a\0b", "NUL"),
        ("sqlite:///file:x?mode=%00&uri=true", "NUL"),
    ],
)
def test_a_sqlite_url_that_would_be_misread_is_told_what_to_write(kind: type, url: str, advice: str) -> None:
    try:
        with pytest.raises(ConfigError, match=advice) as caught:
            kind(url)
        assert "s3cretpw" not in str(caught.value.to_dict()) + str(caught.value)
    finally:
        forget_secrets()


@pytest.mark.parametrize("url", ["sqlite:///file:x.db?mode=ro&uri=true", "sqlite:///x.db?cached_statements=9"])
def test_parameters_that_are_read_are_taken(url: str) -> None:
    Database(url).close()


@pytest.mark.parametrize(
    ("url", "in_memory"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite+pysqlite://", True),
        ("sqlite:///file:x?mode=memory&uri=true", True),
        ("sqlite:///file.db", False),
        ("sqlite+aiosqlite:////tmp/file.db", False),
    ],
)
def test_a_database_in_memory_has_one_connection(url: str, in_memory: bool) -> None:
    backend = backend_for(url, **OPTIONS)

    assert backend.in_memory is in_memory
    assert backend.pool_size == (1 if in_memory else 5)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_either_colour_takes_the_others_driver_name(asynchronous: bool) -> None:
    for url in ("sqlite+aiosqlite:///x.db", "sqlite+pysqlite:///x.db", "sqlite:///x.db"):
        arguments = backend_for(url, **OPTIONS).engine_arguments(asynchronous=asynchronous)
        assert arguments["url"].drivername == ("sqlite+aiosqlite" if asynchronous else "sqlite+pysqlite")


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    with pytest.raises(ConfigError, match=r"controlroom\[aiosqlite\]"):
        AsyncDatabase("sqlite://")
