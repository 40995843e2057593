"""Our events as Airflow writes them into a task's log: facts as keys, beside the task's own; see `controlroom.logs`."""

from __future__ import annotations

from typing import Any, Final

from controlroom.logs.events import EVENTS

__all__ = ["as_ours", "is_ours"]

_OURS: Final = "controlroom_"
_RUN_ID: Final = f"{_OURS}run_id"
_NOT_TOLD: Final = frozenset({"error_detail", "failure", "filename", "lineno", "map_index", "ti_id"})


def is_ours(found: dict[str, Any]) -> bool:
    """Tell whether a line in lower-case levels is an event of ours, and not one of Airflow's or of another program."""
    if _RUN_ID in found or "seq" in found or found["event"] in EVENTS:
        return True
    logger = found.get("logger")
    return isinstance(logger, str) and logger.partition(".")[0] == "controlroom"


def as_ours(found: dict[str, Any]) -> dict[str, Any]:
    """Return *found* as our own logs would tell it: our run's id, not the DAG run's; the exception in our form."""
    facts = {name: value for name, value in found.items() if not name.startswith(_OURS) and name not in _NOT_TOLD}
    if "seq" not in found:  # in what we wrote ourselves, the run is ours
        facts["run_id"] = found.get(_RUN_ID)
    exception = found.get("exception") or found.get("error_detail")  # the latter in the file that its supervisor writes
    if isinstance(exception, list) and exception and isinstance(exception[0], dict):
        further = found.get("failure")
        facts["exception"] = _told(exception) | (further if isinstance(further, dict) else {})
    return facts


def _told(chain: list[Any]) -> dict[str, Any]:
    """Turn what structlog.tracebacks makes of a chain, the exception first, into the form of ours."""
    first, *causes = [_one(one) for one in chain if isinstance(one, dict)]
    return first | ({"causes": causes} if causes else {})


def _one(one: dict[str, Any]) -> dict[str, Any]:
    members = one.get("exceptions")
    frames = one.get("frames")
    return {
        "type": one.get("exc_type"),
        "message": one.get("exc_value"),
        "notes": one.get("exc_notes"),
        "frames": [_frame(frame) for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else [],
        "members": [_told(member) for member in members if _is_chain(member)] if isinstance(members, list) else [],
    }


def _is_chain(member: object) -> bool:
    return isinstance(member, list) and bool(member) and isinstance(member[0], dict)


def _frame(frame: dict[str, Any]) -> dict[str, Any]:
    return {"file": frame.get("filename"), "line": frame.get("lineno"), "function": frame.get("name")}
