"""Who this is, for servers that list their clients (``pg_stat_activity``)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from controlroom.logs.context import bound_facts, current_job
from controlroom.redaction import generation, redact_text

__all__ = ["application_name"]

_LONGEST_BYTES: Final = 63  # PostgreSQL cuts there (NAMEDATALEN - 1)


def application_name(given: str | None) -> str:
    """Return *given*, else a name from the run that goes on here: ``controlroom <job> <run id>``.

    Printable ASCII, as the server would make of it; 63 bytes at most, and the run id whole.
    """
    if given is not None:
        return _shown(given, None, None, generation())
    facts = bound_facts()
    return _shown("controlroom", facts.get("job", current_job()), facts.get("run_id"), generation())


@lru_cache(maxsize=64)
def _shown(name: str, job: Any, run_id: Any, _generation: int) -> str:
    run = "" if run_id is None else f" {run_id}"
    head = name if job is None else f"{name} {job}"
    room = max(0, _LONGEST_BYTES - len(_printable(run)))
    return (_printable(redact_text(head))[:room].rstrip() + _printable(run))[:_LONGEST_BYTES]


def _printable(text: str) -> str:
    # A backslash means something in option strings, and between quotes on old settings.
    return "".join(each if " " <= each <= "~" and each != "\\" else "?" for each in text)
