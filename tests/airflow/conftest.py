"""Airflow at work: a home of its own with a database, and what the tasks of `probe_dag` logged there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PATIENCE_S = 300


@dataclass(frozen=True)
class Told:
    """What tasks told.

    Attributes:
        text: What was printed.
        observed: What tasks said past every log, by its name.
    """

    text: str
    observed: dict[str, list[Any]]


@dataclass(frozen=True)
class Home:
    """An AIRFLOW_HOME."""

    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def run(self, *command: str | Path) -> Told:
        """Run *command* in this home; its output, whatever its exit code."""
        observed = self.folder / "observed.jsonl"
        observed.unlink(missing_ok=True)
        env = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "PROBE_OBSERVED": str(observed),
        }
        done = subprocess.run(
            [str(part) for part in command],
            env=env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        seen: dict[str, list[Any]] = {}
        for line in observed.read_text().splitlines() if observed.exists() else ():
            one = json.loads(line)
            seen.setdefault(one["what"], []).append(one["seen"])
        return Told(done.stdout, seen)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the DAG in it and an empty database."""
    found = Home(tmp_path_factory.mktemp("airflow"))
    (found.folder / "dags").mkdir()
    shutil.copy(HERE / "probe_dag.py", found.folder / "dags")
    migrated = found.run(sys.executable, "-m", "airflow", "db", "migrate")
    assert "migration done" in migrated.text, migrated.text
    return found


@pytest.fixture(scope="session")
def tested(home: Home) -> Told:
    """What ``dag.test()`` printed, every task in one process."""
    return home.run(sys.executable, home.folder / "dags" / "probe_dag.py")


@pytest.fixture(scope="session")
def supervised(home: Home) -> Told:
    """What the tasks logged under Airflow's supervisor; their logs are in ``home.logs``."""
    return home.run(sys.executable, HERE / "supervised.py", "tell", "fail")
