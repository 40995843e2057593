"""A job: a function that gets its settings, its log and its deadline handed in, and can run under any host.

Rules of this package:

* One run is one story in the log: run_started, settings_loaded, run_finished, all with the run's id.
* The boundary logs a failure once, and hands it on. Who called decides what it means; what a scheduler is told is a pure
  function of the error (`exit_code_of`).
* A job knows no host. Hosts stand a floor above and are loaded when one is asked for.
"""

from __future__ import annotations

from controlroom.jobs.definition import Job, job
from controlroom.jobs.outcome import Outcome, exit_code_of, outcome_of
from controlroom.jobs.run import Run, new_run_id

__all__ = ["Job", "Outcome", "Run", "exit_code_of", "job", "new_run_id", "outcome_of"]
