"""A client that is generated from real Airflow's own OpenAPI document."""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType
from typing import Any

import pytest

from controlroom.generate import Generated, generate
from controlroom.http import ApiClient, OffsetPagination, SinglePage
from tests.airflow.conftest import Home

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("airflow") is None,
        reason="Airflow is not installed here: nothing was generated from its document; `nox -s airflow` does",
    ),
]

TELL = """
import json, pathlib
from airflow.api_fastapi.app import create_app
pathlib.Path("openapi.json").write_text(json.dumps(create_app(apps="core").openapi()))
"""


@pytest.fixture(scope="module")
def found(home: Home) -> Generated:
    told = home.run(sys.executable, "-c", TELL)
    path = home.folder / "openapi.json"
    assert path.exists(), told.text
    return generate(json.loads(path.read_text(encoding="utf-8")), name="Airflow")


@pytest.fixture(scope="module")
def airflow(found: Generated) -> Any:
    module = ModuleType("generated_airflow")
    sys.modules[module.__name__] = module
    exec(compile(found.source, "generated_airflow.py", "exec", dont_inherit=True), module.__dict__)
    return module


def test_every_list_is_declared_and_nothing_is_left_undecided(found: Generated, airflow: Any) -> None:
    lists = {name for name, one in vars(airflow.Airflow).items() if hasattr(one, "pagination")}

    assert found.doubts == ()
    assert {"dags", "dag_runs", "task_instances", "connections", "variables", "pools", "event_logs"} <= lists
    assert issubclass(airflow.Airflow, ApiClient)


def test_lists_with_a_limit_are_paged_and_verified_by_their_total(airflow: Any) -> None:
    dags, tasks = airflow.Airflow.dags, airflow.Airflow.tasks

    assert dags.pagination == OffsetPagination("offset", size_param="limit", size=50, total="total_entries")
    assert dags.records == "dags"
    assert (tasks.pagination, tasks.total) == (SinglePage(), "total_entries")


def test_a_list_that_fills_in_its_cursor_only_where_it_is_asked_to_is_paged_by_offset(airflow: Any) -> None:
    assert isinstance(airflow.Airflow.dag_runs.pagination, OffsetPagination)


def test_its_records_are_models(airflow: Any) -> None:
    tag = {"name": "nightly", "dag_id": "a", "dag_display_name": "a"}
    found = airflow.DagTagResponse.model_validate(tag)

    assert found.name == "nightly"
    named = [getattr(airflow, name) for name in airflow.__all__]
    assert all(one.__pydantic_complete__ for one in named if hasattr(one, "model_json_schema"))
