"""Real Airflow 3: its Variables and Connections are a source inside a task, and nowhere else."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import pytest

from tests.airflow.conftest import HERE, Home, Told

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("airflow") is None,
        reason="Airflow is not installed here: nothing was tested inside it; `nox -s airflow` does",
    ),
]

CANARY = "canary-4711-secret"  # as planted by settings_dag


@pytest.fixture(scope="module")
def told(home: Home) -> Told:
    """What the tasks of `settings_dag` told."""
    shutil.copy(HERE / "settings_dag.py", home.folder / "dags")
    return home.run(sys.executable, home.folder / "dags" / "settings_dag.py")


def test_variables_of_the_database_and_of_the_environment_are_read_and_a_connection_is_followed(told: Told) -> None:
    (values,) = told.observed["values"]

    assert values == [7, 3, ["a"], "u", f"postgres://u:{CANARY}@h:5432/db"]
    assert told.observed["secrets"] == [[CANARY, CANARY]]


def test_the_table_names_the_variable_and_shows_no_secret(told: Told) -> None:
    (table,) = told.observed["table"]
    rows = {row["name"]: row for row in table["settings"]}

    assert (rows["page_size"]["source"], rows["page_size"]["key"]) == ("Airflow Variable", "app_page_size")
    assert table["near_misses"] == [
        "app_pagesize is set (Airflow Variable); there is no such setting, and APP_PAGE_SIZE is set as well."
    ]
    assert CANARY not in str(table)


def test_a_connection_that_is_not_there_is_a_problem(told: Told) -> None:
    (problems,) = told.observed["refused"]

    assert problems[0] == "retries (APP_RETRIES (environment)) refers to Airflow: there is no Connection nowhere."


def test_an_async_task_reads_them_too(told: Told) -> None:
    assert told.observed["async"] == [7]


def test_outside_a_task_a_reference_is_a_problem(told: Told) -> None:
    (problems,) = told.observed["outside"]

    assert problems[0].endswith("refers to Airflow: only a task can ask for that.")
