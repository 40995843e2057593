"""A PostgreSQL URL that would be misread, or a driver that cannot do it, is refused before anything is opened."""

from __future__ import annotations

import importlib.util
import ssl
from typing import Any

import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import ConfigError
from controlroom.redaction import forget_secrets

HOST = "u@127.0.0.1:1/db"


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("sslmod=require", "Did you mean sslmode"),
        ("foo=s3cretpw", "'foo' of the database URL is unknown to the driver. Remove it"),
        ("connect_timeout=3", "connect_timeout_s"),
        ("application_name=x", "argument application_name"),
        ("password=s3cretpw", "argument password"),
        ("prepare_threshold=0", "profile='pooler'"),
        ("replication=database", "Leave it out"),
        ("autocommit=true", "unknown"),
        ("sslmode=require&sslmode=disable", "more than once"),
    ],
)
def test_a_parameter_that_is_not_read_is_told_what_to_write(kind: type, query: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=advice) as caught:
        kind(f"postgresql+psycopg://{HOST}?{query}")
    assert "s3cretpw" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("sslmode=require", "argument tls"),
        ("timeout=3", "connect_timeout_s"),
        ("command_timeout=3", "statement_timeout_s"),
        ("statement_cache_size=0", "profile='pooler'"),
        ("server_settings=x", "unknown"),
        ("connection_class=x", "unknown"),
        ("loop=x", "unknown"),
    ],
)
def test_of_asyncpg_too(query: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=advice):
        AsyncDatabase(f"postgresql+asyncpg://{HOST}?{query}")


@pytest.mark.parametrize(
    ("url", "arguments", "advice"),
    [
        ("postgresql://u:s3cretpw@h/db", {"password": "another"}, "one in the arguments"),
        ("postgresql://h/db?sslmode=require", {"tls": "require"}, "the argument tls says too"),
        ("postgresql://h/db?options=-csearch_path%3Dx", {"profile": "pooler"}, "hands on to others"),
        ("postgresql://h/db", {"tls": ssl.create_default_context()}, "psycopg cannot use"),
        ("postgresql+psycopg2://h/db", {}, "Use psycopg or asyncpg"),
        ("postgresql+pg8000://h/db", {}, "Use psycopg or asyncpg"),
    ],
)
def test_what_contradicts_itself(url: str, arguments: dict[str, Any], advice: str) -> None:
    try:
        with pytest.raises(ConfigError, match=advice) as caught:
            Database(url, **arguments)
        assert "s3cretpw" not in str(caught.value.to_dict())
    finally:
        forget_secrets()


@pytest.mark.parametrize(
    "query",
    ["", "?sslmode=require&target_session_attrs=read-write", "?host=a:1&host=b:2", "?options=-csearch_path%3Dx"],
)
def test_parameters_that_are_read_are_taken(query: str) -> None:
    Database(f"postgresql://u/db{query}" if "host" in query else f"postgresql://{HOST}{query}").close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgres+psycopg"])
def test_the_short_scheme_is_libpqs_too(scheme: str) -> None:
    assert repr(Database(f"{scheme}://{HOST}")) == f"Database('postgresql+psycopg://{HOST}')"


def test_what_is_secret_in_the_query_is_not_shown() -> None:
    try:
        database = Database(f"postgresql://{HOST}?sslpassword=s3cretpw")
        assert "s3cretpw" not in repr(database)
    finally:
        forget_secrets()


def test_asyncpg_is_for_asyncio() -> None:
    with pytest.raises(ConfigError, match=r"AsyncDatabase only.*postgresql\+psycopg://"):
        Database(f"postgresql+asyncpg://{HOST}")


@pytest.mark.parametrize(
    ("kind", "driver", "extra"),
    [(Database, "psycopg", "postgres"), (AsyncDatabase, "psycopg", "postgres"), (AsyncDatabase, "asyncpg", "asyncpg")],
)
def test_a_missing_driver_names_the_extra(kind: type, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "controlroom.database.postgres.backend.find_spec", lambda name: None if name == driver else found(name)
    )
    with pytest.raises(ConfigError, match=rf"controlroom\[{extra}\]"):
        kind(f"postgresql+{driver}://{HOST}")
