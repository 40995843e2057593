"""A job that everything happens to: a server that fails, files that are wrong, a bug in its own code. Ends as it is told.

python explained_job.py FOLDER URL clean|bug|kill [OPTION=VALUE for setup_logging …]
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Column, MetaData, Table, Text

from controlroom.database import Database
from controlroom.errors import InvalidRecordError
from controlroom.http import ApiClient, CursorPagination, Endpoint
from controlroom.ingestion import Inbox
from controlroom.jobs import Run, job
from controlroom.logs import setup_logging
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from controlroom.storage import LocalStore

FOLDER, URL, ENDING = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
OPTIONS = {name: value == "yes" or int(value) for name, _, value in (option.partition("=") for option in sys.argv[4:])}
words = Table("words", MetaData(), Column("word", Text, primary_key=True))
prices = Endpoint("/prices", records="data", pagination=CursorPagination("cursor", "next"))


@job
def ingest(run: Run[None]) -> None:
    store = LocalStore(FOLDER / "store")
    retry = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.01, jitter="none"))
    with Database(f"sqlite:///{FOLDER / 'meta.db'}") as db, ApiClient(URL, retry=retry) as api:
        db.create_control_tables()
        with db.unit_of_work() as uow:
            uow.execute("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY)")
        for delivery in Inbox(store, database=db).deliveries():
            with delivery as work:
                load(run, work, api)


def load(run: Run[None], work: Any, api: ApiClient) -> None:
    name = work.key.rpartition("/")[2]
    for number, line in enumerate(work.open_text(), start=1):
        if line.startswith("?"):
            work.reject(line, "it starts with a question", line=number)
        elif line.startswith("!"):
            message = "no header"
            raise InvalidRecordError(message)
        else:
            work.uow.upsert(words, [{"word": line.strip()}], key=["word"])
    if name.startswith("priced"):
        run.log.info("prices_read", prices=sum(1 for _ in api.records(prices)))
    if "last" in name:
        if ENDING == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if ENDING == "bug":
            run.log.info("never_said", price=dict[str, str]()["price"])


setup_logging("DEBUG", "json", FOLDER / "run.jsonl", **OPTIONS)  # type: ignore[arg-type]  # numbers only
ingest.run()
