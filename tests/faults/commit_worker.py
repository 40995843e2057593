"""Does one piece of work under a key, and dies of SIGKILL when its COMMIT has got no answer: url, work."""

from __future__ import annotations

import os
import signal
import sys

from controlroom.database import Database, retried

url, work = sys.argv[1:]


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


retried.Attempts.settle = die  # the process is gone before it could find anything out


def body(uow):
    uow.insert("effects", [{"work": work}])
    print("claimed", flush=True)
    sys.stdin.readline()
    return {"body": 1}


with Database(url, commit_timeout_s=0.5, idle_timeout_s=1.5) as db:
    db.transact(body, key=work)
