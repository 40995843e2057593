"""Which driver is used, and what is said where there is none."""

from __future__ import annotations

import pytest

from controlroom.database import AsyncDatabase, Database
from controlroom.database.mysql import backend
from controlroom.errors import ConfigError


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
@pytest.mark.parametrize("url", ["mysql://h/d", "mysql+pymysql://h/d", "mariadb+pymysql://h/d", "mysql+aiomysql://h/d"])
def test_a_missing_driver_names_the_extra(monkeypatch, kind, url):
    monkeypatch.setattr(backend, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"Install controlroom\[mysql\]"):
        kind(url)


@pytest.mark.parametrize("url", ["mysql+mysqldb://h/d", "mysql+asyncmy://h/d", "mariadb+mariadbconnector://h/d"])
def test_another_driver_is_refused(url):
    with pytest.raises(ConfigError, match="Use pymysql or aiomysql"):
        Database(url)
