"""Events with facts, on the console and in files, in one shape, without secrets, on whatever host.

Rules of this package:

* structlog is the engine, under loggers of our own: its global configuration is the host's, and so is the root of
  `logging` wherever a host (Lambda, Airflow) has set it up. We join; we do not take over.
* What a log call is given never breaks the job: a value without a text, a full disk or a closed stream costs a line at
  most, and the line is counted (`LoggingReport.dropped`).
* Nothing leaves unmasked. Locals are never printed. One failure is one ERROR.
* Importing this package loads no third-party module: structlog (which imports rich, where that is installed) is loaded
  with the first event, or by `setup_logging`.
"""

from __future__ import annotations

from controlroom.logs.context import bound, spawn
from controlroom.logs.logger import Logger, get_logger
from controlroom.logs.setup import LoggingReport, setup_logging
from controlroom.redaction import register_secret

__all__ = ["Logger", "LoggingReport", "bound", "get_logger", "register_secret", "setup_logging", "spawn"]
