"""Which profile is read."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from controlroom.errors import ConfigError
from controlroom.settings import BaseSettings, explain_settings, load_settings
from controlroom.settings.profiles import detected_host


class Settings(BaseSettings):
    size: int = 0


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "TF_BUILD", "JENKINS_URL", "KUBERNETES_SERVICE_HOST", "AIRFLOW_CTX_DAG_ID"):
        monkeypatch.delenv(name, raising=False)
    for number, profile in enumerate(["prod", "other", "local", "ci", "lambda", "airflow"], 1):
        Path(f"app.{profile}.toml").write_text(f"size = {number}")


def test_the_argument_beats_the_variable_beats_dotenv_beats_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(Settings).size == 3
    Path(".env").write_text("APP_PROFILE=other\n")
    assert load_settings(Settings).size == 2
    monkeypatch.setenv("App_Profile", " prod ")
    assert load_settings(Settings).size == 1
    assert load_settings(Settings, profile="ci").size == 4


def test_an_empty_profile_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(Settings, profile="").size == 0
    monkeypatch.setenv("APP_PROFILE", "")
    assert load_settings(Settings).size == 0


@pytest.mark.parametrize(
    ("environ", "host"),
    [
        ({}, "local"),
        ({"CI": "true"}, "ci"),
        ({"CI": "false"}, "local"),
        ({"TF_BUILD": "True"}, "ci"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f", "CI": "1"}, "lambda"),
        ({"AIRFLOW_CTX_DAG_ID": "d", "CI": "1"}, "airflow"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ""),
        ({"ECS_CONTAINER_METADATA_URI_V4": "http://x"}, ""),
    ],
)
def test_the_host_is_told_by_what_it_puts_into_the_environment(environ: dict[str, str], host: str) -> None:
    assert detected_host(environ) == host


def test_airflow_is_known_by_its_sdk_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.sdk", ModuleType("airflow.sdk"))

    assert detected_host({}) == "airflow"


def test_a_profile_that_only_the_host_implies_needs_no_file_and_is_not_listed() -> None:
    Path("app.local.toml").unlink()

    assert load_settings(Settings).size == 0
    with pytest.raises(ConfigError) as caught:
        load_settings(Settings, size="x")
    assert "local" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "where"), [("environment", "APP_PROFILE (environment)"), ("dotenv", "APP_PROFILE (.env)")]
)
def test_a_profile_that_a_variable_names_needs_a_file(monkeypatch: pytest.MonkeyPatch, place: str, where: str) -> None:
    if place == "dotenv":
        Path(".env").write_text("APP_PROFILE=prdo\n")
    else:
        monkeypatch.setenv("APP_PROFILE", "prdo")

    with pytest.raises(ConfigError) as caught:
        load_settings(Settings)

    assert caught.value.problems == (f"profile prdo has no file: looked for app.prdo.toml. It comes from {where}.",)


def test_the_variable_of_the_profile_is_no_typo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_PROFILE", "prod")

    assert explain_settings(load_settings(Settings, unknown="error")).near_misses == ()


def test_a_field_that_is_called_profile_has_its_variable_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(BaseSettings):
        profile: str = ""

    monkeypatch.setenv("APP_PROFILE", "an-aws-profile")

    assert load_settings(Own).profile == "an-aws-profile"


def test_without_a_prefix_no_variable_names_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILE", "prod")

    assert load_settings(Settings, prefix="").size == 3
