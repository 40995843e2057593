"""What no database could keep to is refused before one is opened."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.database.credentials import Connect
from controlroom.database.options import Options, checked_isolation
from controlroom.errors import ConfigError
from controlroom.redaction import forget_secrets

LIMITS = [
    "statement_timeout_s",
    "lock_timeout_s",
    "pool_timeout_s",
    "commit_timeout_s",
    "idle_timeout_s",
    "connect_timeout_s",
]


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, None, "5"])
def test_a_timeout_is_a_finite_number_of_seconds(kind: type, name: str, seconds: object) -> None:
    with pytest.raises(ConfigError, match=name):
        kind("sqlite://", **{name: seconds})


@pytest.mark.parametrize("arguments", [{"profile": "lambda"}, {"profile": 7}, {"application_name": 7}])
def test_an_unknown_profile_and_what_is_no_name_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Database("sqlite://", **arguments)


@pytest.mark.parametrize("size", [0, -1, 1.5, "3", None, True])
def test_the_size_of_a_pool_is_a_whole_number_above_zero(size: object) -> None:
    with pytest.raises(ConfigError, match="pool_size"):
        Database("sqlite://", pool_size=size)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("level", ["serializable", "READ COMMITTED", "repeatable_read", "Read Uncommitted"])
def test_a_standard_level_is_accepted_in_any_spelling(level: str) -> None:
    assert checked_isolation(level) == level.upper().replace("_", " ")


@pytest.mark.parametrize("level", ["", "SNAPSHOT", "IMMEDIATE", 7])
def test_another_level_is_refused_before_the_unit_begins(level: object) -> None:
    with Database("sqlite://") as db, pytest.raises(ConfigError, match="isolation"):
        db.unit_of_work(isolation=level)  # type: ignore[arg-type]  # on purpose
    assert checked_isolation(None) is None


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
@pytest.mark.parametrize("arguments", [{"password": "s3cretpw"}, {"tls": "require"}])
def test_sqlite_takes_nothing_that_is_for_servers(kind: type, arguments: dict[str, object]) -> None:
    try:
        with pytest.raises(ConfigError, match="is for servers") as caught:
            kind("sqlite://", **arguments)
        assert "s3cretpw" not in str(caught.value)
    finally:
        forget_secrets()


def test_neither_a_password_nor_what_asks_for_one_is_shown() -> None:
    try:
        options = Options(password="s3cretpw")
        assert "s3cretpw" not in repr(options)
        assert "s3cretpw" not in repr(Connect("s3cretpw"))
    finally:
        forget_secrets()


@pytest.mark.parametrize("password", [7, b"bytes", "nul\0", ["text"]])
def test_what_is_no_password_is_refused_and_not_shown(password: object) -> None:
    with pytest.raises(ConfigError, match="argument password") as caught:
        Options(password=password)  # type: ignore[arg-type]  # on purpose
    assert repr(password) not in str(caught.value)


@pytest.mark.parametrize("tls", ["", "required", "prefer", "/nowhere/ca.pem", "nul\0", True, 7])
def test_an_encryption_that_nobody_knows_is_refused(tls: object) -> None:
    with pytest.raises(ConfigError, match="tls="):
        Options(tls=tls)  # type: ignore[arg-type]  # on purpose


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="no certificate that can be read"):
        Options(tls=tmp_path / "ca.pem")
