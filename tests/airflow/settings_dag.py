"""A DAG whose task loads settings from Airflow's Variables and Connections; copied into a folder of DAGs and run there."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import dag, task
from pydantic import BaseModel, SecretStr

from controlroom import BaseSettings, ConfigError, explain_settings, load_settings

CANARY = "canary-4711-secret"


class Db(BaseModel):
    url: str = "sqlite://"
    password: SecretStr = SecretStr("")
    user: str = ""


class Settings(BaseSettings):
    page_size: int = 100
    retries: int = 3
    tags: list[str] = []
    token: SecretStr = SecretStr("")
    db: Db = Db()


def observe(what: str, seen: Any) -> None:
    with Path(os.environ["PROBE_OBSERVED"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "seen": seen}) + "\n")


@task
def load() -> None:
    os.environ["APP_DB__URL"] = "airflow-conn://warehouse"
    os.environ["APP_DB__PASSWORD"] = "airflow-conn://warehouse#password"
    os.environ["APP_DB__USER"] = "airflow-conn://warehouse#login"
    settings = load_settings(Settings)
    observe("values", [settings.page_size, settings.retries, settings.tags, settings.db.user, settings.db.url])
    observe("secrets", [settings.token.get_secret_value(), settings.db.password.get_secret_value()])
    observe("table", explain_settings(settings).to_dict())
    os.environ["APP_RETRIES"] = "airflow-conn://nowhere#port"
    try:
        load_settings(Settings)
    except ConfigError as error:
        observe("refused", list(error.problems))


@task
async def load_async() -> None:
    os.environ.pop("APP_RETRIES", None)
    observe("async", load_settings(Settings).page_size)


@dag(dag_id="settings", schedule=None, start_date=datetime(2026, 1, 1))  # noqa: DTZ001 - Airflow's own idiom
def settings() -> None:
    load() >> load_async()


of_settings = settings()

if __name__ == "__main__":
    from airflow.models import Variable

    for name, text in {"app_page_size": "7", "APP_TOKEN": CANARY, "app_pagesize": "1", "other": "x"}.items():
        Variable.set(name, text)  # noqa: AIR311 - that of the SDK writes only inside a task
    os.environ["AIRFLOW_VAR_APP_TAGS"] = '["a"]'
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(
        {"conn_type": "postgres", "login": "u", "password": CANARY, "host": "h", "port": 5432, "schema": "db"}
    )
    try:
        load_settings(Settings, page_size="airflow-var://other")
    except ConfigError as error:
        observe("outside", list(error.problems))
    of_settings.test()
