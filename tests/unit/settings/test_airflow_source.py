"""Airflow's Variables and Connections; the SDK is played here, and real in tests/airflow."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from controlroom.errors import ConfigError
from controlroom.redaction import redact_text
from controlroom.settings import BaseSettings, explain_settings, load_settings

CANARY = "c4n4ry-Value-0x7f"


class Db(BaseModel):
    url: str = "sqlite://"
    password: SecretStr = SecretStr("")
    port: int = 0


class Settings(BaseSettings):
    size: int = 100
    name: str = ""
    tags: list[str] = []
    token: SecretStr = SecretStr("")
    db: Db = Db()


class DeadlockImminentError(BaseException):
    """As the Task SDK has it: no Exception."""


class AirflowNotFoundException(Exception):
    pass


class Sdk(ModuleType):
    """``airflow.sdk``, as far as settings ask it."""

    def __init__(self, variables: dict[str, str], connections: dict[str, Any]) -> None:
        super().__init__("airflow.sdk")
        self.asked: list[str] = []
        self.failure: BaseException | None = None
        self.Variable = SimpleNamespace(get=self._variable, keys=self._keys)
        self.Connection = SimpleNamespace(get=self._connection)
        self._variables = variables
        self._connections = connections

    def _keys(self, prefix: str | None = None) -> list[str]:
        if self.failure:
            raise self.failure
        return [name for name in self._variables if name.startswith(prefix or "")]

    def _variable(self, name: str, default: Any) -> Any:
        self.asked.append(name)
        if self.failure:
            raise self.failure
        return os.environ.get(f"AIRFLOW_VAR_{name.upper()}", self._variables.get(name, default))

    def _connection(self, name: str) -> Any:
        if name not in self._connections:
            raise AirflowNotFoundException(name)
        return self._connections[name]


WAREHOUSE = SimpleNamespace(
    password=CANARY,
    login="u",
    host="h",
    port=5432,
    schema=None,
    conn_type="postgres",
    extra='{"sslmode": "require", "n": 3}',
    get_uri=lambda: f"postgres://u:{CANARY}@h:5432",
)


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Sdk:
    variables = {"app_size": "7", "APP_TAGS": '["a"]', "app_nmae": "1", "other": "x", "elsewhere": '{"a": {"b": 1}}'}
    found = Sdk(variables, {"warehouse": WAREHOUSE})
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", found)
    monkeypatch.setenv("AIRFLOW_CTX_TASK_ID", "t")
    return found


def test_variables_stand_between_the_secrets_directory_and_the_files(
    sdk: Sdk, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "app.toml").write_text('size = 1\nname = "from a file"\n')
    monkeypatch.setenv("AIRFLOW_VAR_APP_DB__PORT", "5")

    loaded = load_settings(Settings)
    explanation = explain_settings(loaded)
    row = explanation.rows[0]

    assert (loaded.size, loaded.name, loaded.tags, loaded.db.port) == (7, "from a file", ["a"], 5)
    assert (row.source, row.key, row.shadowed) == ("Airflow Variable", "app_size", ("size (app.toml:1)",))
    assert explanation.near_misses == ("app_nmae is set (Airflow Variable); did you mean APP_NAME?",)
    assert "other" not in sdk.asked
    (here / "app_size").write_text("8")
    assert load_settings(Settings, secrets_dir=here).size == 8


def test_an_sdk_that_lists_nothing_is_asked_for_each_name(sdk: Sdk) -> None:
    del sdk.Variable.keys

    assert load_settings(Settings).tags == ["a"]
    assert {"app_name", "APP_NAME"} <= set(sdk.asked)


def test_references_are_followed_where_they_are_used(sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DB__URL", "airflow-conn://warehouse")
    monkeypatch.setenv("APP_DB__PASSWORD", "airflow-conn://warehouse#password")
    monkeypatch.setenv("APP_DB__PORT", "airflow-conn://warehouse#port")

    loaded = load_settings(
        Settings, name="airflow-conn://warehouse#sslmode", tags=["airflow-var://other", "airflow-var://elsewhere#a"]
    )

    assert loaded.db == Db(url=f"postgres://u:{CANARY}@h:5432", password=SecretStr(CANARY), port=5432)
    assert (loaded.name, loaded.tags) == ("require", ["x", '{"b": 1}'])
    assert redact_text(CANARY) == "***"
    assert CANARY not in str(explain_settings(loaded))


def test_a_reference_that_lost_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_NAME", "airflow-conn://warehouse#password")

    assert load_settings(Settings, name="mine").name == "mine"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("airflow-conn://none", "there is no Connection none"),
        ("airflow-conn://warehouse#schema", "the Connection warehouse has no schema"),
        ("airflow-conn://warehouse#nope", "the Connection warehouse holds no JSON with nope in it"),
        ("airflow-var://none", "there is no Variable none"),
        ("airflow-var://other#key", "the Variable other holds no JSON with key in it"),
    ],
)
def test_a_reference_without_a_value_is_one_problem_among_the_others(
    sdk: Sdk, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setenv("APP_NAME", text)
    monkeypatch.setenv("APP_DB__PORT", "many")

    with pytest.raises(ConfigError) as caught:
        load_settings(Settings)

    assert caught.value.problems[0] == f"name (APP_NAME (environment)) refers to Airflow: {reason}."
    assert "db.port is wrong" in caught.value.problems[1]


def test_outside_a_task_nothing_of_airflow_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow", None)
    assert load_settings(Settings) == Settings()

    monkeypatch.setenv("APP_NAME", "airflow-conn://warehouse#password")
    with pytest.raises(ConfigError, match="refers to Airflow: only a task can ask for that"):
        load_settings(Settings)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (RuntimeError(CANARY), "it answered with RuntimeError"),
        (DeadlockImminentError(), "another coroutine of this task is asking Airflow"),
    ],
    ids=["error", "deadlock"],
)
def test_an_airflow_that_does_not_answer_is_a_problem_and_not_a_default(
    sdk: Sdk, failure: BaseException, reason: str
) -> None:
    sdk.failure = failure

    with pytest.raises(ConfigError) as caught:
        load_settings(Settings)

    assert caught.value.problems[0].startswith(f"Airflow Variables cannot be read: {reason}")
    assert CANARY not in str(caught.value)
    sdk.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        load_settings(Settings)
