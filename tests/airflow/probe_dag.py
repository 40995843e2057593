"""A DAG whose tasks log in every way; copied into the folder of DAGs and run there, never by pytest itself."""

from __future__ import annotations

import json
import logging
import os
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from airflow.sdk import dag, task

from controlroom import job
from controlroom.errors import DataError
from controlroom.logs import bound, get_logger, register_secret, setup_logging

CANARY = "canary-4711/secret+value"


def observe(what: str, seen: Any) -> None:
    """Tell the test something past every log."""
    with Path(os.environ["PROBE_OBSERVED"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "seen": seen}) + "\n")


def state_of_logging() -> list[Any]:
    root = logging.getLogger()
    config = structlog.get_config()
    return [
        {name: id(value) for name, value in config.items()},
        [repr(processor) for processor in config["processors"]],
        [[id(handler), id(handler.formatter), handler.level] for handler in root.handlers],
        root.level,
        id(warnings.showwarning),
    ]


def log_everything() -> None:
    log = get_logger("mine")
    with bound(run_id="of-controlroom", file="a.csv"):
        log.info("page_fetched", page=7, filename="orders.csv", nested={"rows": [1, 2]}, note=f"with {CANARY}")
        log.debug("not_shown")
        logging.getLogger("other").info("of another package: %s", CANARY, extra={"rows": 3})
        warnings.warn(f"old {CANARY}", UserWarning, stacklevel=1)
        structlog.get_logger("airflows").info("own_line", rows=4)


@task(retries=0)
def tell(number: int = 0) -> None:
    structlog.get_logger("airflows").info("before_setup", rows=4)
    logging.getLogger("other").info("before setup")
    register_secret(CANARY)
    before = state_of_logging()
    report = setup_logging()
    again = setup_logging()
    log_everything()
    observe("report", [report.host, report.format, report.level, again is report])
    joined = state_of_logging()
    observe("kept while joined", [joined[0] == before[0], joined[1] == before[1], joined[3] == before[3]])
    report.undo()
    observe("restored by undo", [one == two for one, two in zip(state_of_logging(), before, strict=True)])
    structlog.get_logger("airflows").info("after_undo", rows=4)
    logging.getLogger("other").info("after undo")


@task(retries=0)
def fail() -> None:
    register_secret(CANARY)
    setup_logging()
    log = get_logger("mine")
    try:
        try:
            {}["missing"]
        except KeyError as cause:
            raise DataError(f"bad rows, with {CANARY}") from cause
    except DataError as error:
        error.add_note("of file a.csv")
        with bound(run_id="of-controlroom"):
            log.failure("ingest_failed", error, rows=3)
            log.failure("run_failed", error)
        raise


@task(retries=0)
def work(number: int = 0) -> None:
    setup_logging()

    @job
    def ingest(run: Any) -> None:
        run.log.info("worked", number=number)

    ingest.run()


@dag(dag_id="probe", schedule=None, start_date=datetime(2026, 1, 1))  # noqa: DTZ001 - Airflow's own idiom
def probe() -> None:
    tell() >> [fail(), work.expand(number=[1, 2])]  # first, in one process: nothing is set up before it


of_probes = probe()

if __name__ == "__main__":
    of_probes.test()
