"""Runs tasks as a worker does: each in a process of its own, forked and listened to by Airflow's own supervisor.

Only the API server is played here: it says yes to everything. Arguments: the names of the tasks, which log to
``<base log folder>/<task>.log``.
"""

from __future__ import annotations

import sys
import uuid

import httpx
from airflow.sdk.api.client import Client
from airflow.sdk.api.datamodels._generated import BundleInfo, TaskInstance
from airflow.sdk.execution_time.supervisor import supervise_task

AT = "2026-01-01T00:00:00Z"
OPTIONAL = (
    "conf",
    "data_interval_end",
    "data_interval_start",
    "end_date",
    "note",
    "partition_date",
    "partition_key",
    "triggering_user_name",
)
RUN = {
    "dag_id": "probe",
    "run_id": "of-airflow",
    "logical_date": AT,
    "start_date": AT,
    "run_after": AT,
    "run_type": "manual",
    "state": "running",
    "clear_number": 0,
    "consumed_asset_events": [],
    **dict.fromkeys(OPTIONAL),
}


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/run"):
        context = {"dag_run": RUN, "max_tries": 0, "should_retry": False, "task_reschedule_count": 0}
        return httpx.Response(200, json=context)
    return httpx.Response(200, json={"text": "so be it"})


for name in sys.argv[1:]:
    instance = TaskInstance(
        id=uuid.uuid4(), task_id=name, dag_id="probe", run_id="of-airflow", try_number=1, dag_version_id=uuid.uuid4()
    )
    supervise_task(
        ti=instance,
        bundle_info=BundleInfo(name="dags-folder"),
        dag_rel_path="probe_dag.py",
        token="",
        client=Client(base_url=None, dry_run=True, token="", transport=httpx.MockTransport(answer)),
        log_path=f"{name}.log",
    )
