"""Passwords, from wherever they come, and encryption: used, renewed, and shown nowhere."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from controlroom.database import AsyncDatabase, Database
from controlroom.errors import APIConnectionError, ConfigError, DatabaseUnavailableError
from controlroom.redaction import forget_secrets, redact_text
from tests.integration.database_colours import opened
from tests.integration.http_certificates import Authority, new_authority
from tests.servers.postgres import Cluster, binaries, unprivileged

KINDS = ("psycopg-sync", "psycopg-async", "asyncpg")
FIRST, SECOND = "t0ken-the-first", "t0ken-the-second"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def cluster(authority: Authority) -> Iterator[Cluster]:
    """A server that asks for passwords, and speaks TLS."""
    folder = binaries()
    if folder is None:
        pytest.skip("there is no PostgreSQL here: no login was tested")
    cluster = Cluster(folder)
    try:
        certificate = cluster.data / "server.pem"
        certificate.write_bytes(authority.issue("server").read_bytes())
        certificate.chmod(0o600)
        if user := unprivileged():
            import os

            os.chown(certificate, user["user"], user["group"])
        options = {"ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.pem"}
        cluster.start(**options)
        admin(cluster, f"CREATE ROLE worker LOGIN PASSWORD '{FIRST}'")
        rules = "host all tests 127.0.0.1/32 trust\nhostssl all worker 127.0.0.1/32 scram-sha-256\nhost all all all reject\n"
        (cluster.data / "pg_hba.conf").write_text(rules)
        admin(cluster, "SELECT pg_reload_conf()")
        yield cluster
    finally:
        cluster.remove()


def admin(cluster: Cluster, sql: str) -> None:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(sql)  # type: ignore[call-overload]  # texts of our own


@pytest.fixture(autouse=True)
def _forgotten(cluster: Cluster) -> Iterator[None]:
    admin(cluster, f"ALTER ROLE worker PASSWORD '{FIRST}'")
    yield
    forget_secrets()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def url_of(cluster: Cluster, kind: str, user: str = "worker") -> str:
    return cluster.sqlalchemy_url("postgres", kind.partition("-")[0]).replace("tests@", f"{user}@")


FORMS = {
    "text": FIRST,
    "secret": SecretStr(FIRST),
    "returned text": lambda: FIRST,
    "returned secret": lambda: SecretStr(FIRST),
}


@pytest.mark.parametrize("password", FORMS.values(), ids=FORMS)
def test_a_password_in_any_form(cluster: Cluster, kind: str, password: Any) -> None:
    with opened(kind, url_of(cluster, kind), password=password, tls="require") as db:
        assert db.rows("SELECT current_user")[0][0] == "worker"
    assert redact_text(f"a line with {FIRST}") == "a line with ***"


def test_a_coroutine_function(cluster: Cluster) -> None:
    async def ask() -> str:
        await asyncio.sleep(0)
        return FIRST

    for driver in ("psycopg", "asyncpg"):
        with opened("async", url_of(cluster, driver), password=ask, tls="require") as db:
            assert db.rows("SELECT current_user")[0][0] == "worker"
    with pytest.raises(ConfigError, match="does not await"):
        Database(url_of(cluster, "psycopg"), password=ask)


def test_a_plain_function_that_returns_an_awaitable_is_refused_when_it_is_called(cluster: Cluster) -> None:
    async def ask() -> str:
        return FIRST

    with Database(url_of(cluster, "psycopg"), password=lambda: ask()) as db, pytest.raises(ConfigError, match="await"):  # noqa: PLW0108 - a plain function is the point
        db.rows("SELECT 1")


def test_it_is_asked_for_each_new_connection_and_once_more_where_it_was_refused(cluster: Cluster, kind: str) -> None:
    said = [FIRST, "expired-token", FIRST]
    asked: list[str] = []

    def ask() -> str:
        asked.append(said.pop(0))
        return asked[-1]

    with opened(kind, url_of(cluster, kind), password=ask, tls="require", profile="serverless") as db:
        db.rows("SELECT 1")
        assert asked == [FIRST]
        db.rows("SELECT 1")
        assert asked == [FIRST, "expired-token", FIRST]


def test_a_wrong_password_is_asked_for_twice_at_most_and_shown_nowhere(
    cluster: Cluster, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    said = ["wr0ng-one", "wr0ng-two", "wr0ng-three"]
    caplog.set_level(logging.DEBUG)
    with (
        opened(kind, url_of(cluster, kind), password=lambda: said.pop(0), tls="require") as db,
        pytest.raises(Exception, match="password") as caught,
    ):
        db.rows("SELECT 1")
    assert said == ["wr0ng-three"]
    shown = f"{caught.value!r} {caught.value.to_dict()} {db!r} {caplog.text}"  # type: ignore[attr-defined]  # one of ours
    assert "wr0ng" not in shown


def test_the_same_wrong_password_is_not_tried_again(cluster: Cluster, kind: str) -> None:
    asked = []

    def ask() -> str:
        asked.append(1)
        return "wr0ng-one"

    with (
        opened(kind, url_of(cluster, kind), password=ask, tls="require") as db,
        pytest.raises(Exception, match="password"),
    ):
        db.rows("SELECT 1")
    assert len(asked) == 2


class TestAFunctionThatFails:
    def test_is_told_without_its_text(self, cluster: Cluster, kind: str) -> None:
        def ask() -> str:
            message = "no luck with t0p-s3cret"
            raise ValueError(message)

        with (
            opened(kind, url_of(cluster, kind), password=ask) as db,
            pytest.raises(DatabaseUnavailableError, match=r"ask, line .* raised ValueError") as caught,
        ):
            db.rows("SELECT 1")
        assert "s3cret" not in f"{caught.value!r}{caught.value.to_dict()}"

    def test_with_an_error_of_ours_is_passed_on(self, cluster: Cluster, kind: str) -> None:
        def ask() -> str:
            message = "The token service did not answer."
            raise APIConnectionError(message)

        with opened(kind, url_of(cluster, kind), password=ask) as db, pytest.raises(APIConnectionError):
            db.rows("SELECT 1")

    @pytest.mark.parametrize("said", [None, 7, b"bytes", "nul\0"])
    def test_or_returns_no_text(self, cluster: Cluster, kind: str, said: object) -> None:
        with (
            opened(kind, url_of(cluster, kind), password=lambda: said) as db,
            pytest.raises(ConfigError, match="argument password"),
        ):
            db.rows("SELECT 1")


def test_no_password_in_the_servers_list_of_clients(cluster: Cluster, kind: str) -> None:
    options = {"password": FIRST, "tls": "require", "application_name": f"job {FIRST}"}
    with opened(kind, url_of(cluster, kind), **options) as db:
        listed = db.rows("SELECT row_to_json(a)::text FROM pg_stat_activity a WHERE pid = pg_backend_pid()")[0][0]
        assert FIRST not in listed
        assert FIRST not in repr(db)


MINE = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


class TestTls:
    @pytest.mark.parametrize(("tls", "encrypted"), [("disable", False), ("require", True), (None, None)])
    def test_a_mode(self, cluster: Cluster, kind: str, tls: str | None, encrypted: bool | None) -> None:
        with opened(kind, url_of(cluster, kind, "tests"), tls=tls) as db:
            assert db.rows(MINE)[0][0] in ((encrypted,) if encrypted is not None else (True, False))

    @pytest.mark.parametrize("form", [str, Path])
    def test_the_authority_of_the_server(self, cluster: Cluster, kind: str, authority: Authority, form: type) -> None:
        with opened(kind, url_of(cluster, kind, "tests"), tls=form(authority.path)) as db:
            assert db.rows(MINE)[0][0] is True

    def test_another_authority(self, cluster: Cluster, kind: str, tmp_path: Path) -> None:
        with (
            opened(kind, url_of(cluster, kind, "tests"), tls=new_authority(tmp_path).path) as db,
            pytest.raises((ConfigError, DatabaseUnavailableError), match=r"(?i)certificate"),
        ):
            db.rows("SELECT 1")

    @pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
    def test_of_whom_this_machine_knows_nothing(self, cluster: Cluster, kind: str, mode: str) -> None:
        with (
            opened(kind, url_of(cluster, kind, "tests"), tls=mode) as db,
            pytest.raises((ConfigError, DatabaseUnavailableError), match=r"(?i)certificate"),
        ):
            db.rows("SELECT 1")

    def test_of_another_host(self, cluster: Cluster, kind: str, authority: Authority) -> None:
        url = url_of(cluster, kind, "tests").replace("127.0.0.1", "localhost")
        with (
            opened(kind, url, tls=authority.path) as db,
            pytest.raises(
                (ConfigError, DatabaseUnavailableError), match=r"(?i)certificate|does not match|not valid for"
            ),
        ):
            db.rows("SELECT 1")

    def test_a_context(self, cluster: Cluster, authority: Authority) -> None:
        context = ssl.create_default_context(cafile=authority.path)
        with opened("async", url_of(cluster, "asyncpg", "tests"), tls=context) as db:
            assert db.rows(MINE)[0][0] is True
        for kind in (Database, AsyncDatabase):
            with pytest.raises(ConfigError, match="psycopg cannot use"):
                kind(url_of(cluster, "psycopg"), tls=context)
