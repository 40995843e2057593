"""Failures: which one ended the run, where it happened, and who must act."""

from __future__ import annotations

from typing import Any, Final

from controlroom.errors.text import plain
from controlroom.explain.facts import Facts, order, text
from controlroom.explain.tree import Branch

__all__ = ["UNTOLD_END", "ended_by", "exception_of", "failures_of", "hang_where_it_happened", "severity", "who_acts"]
__all__ += ["where_it_stood"]

_WHO_ACTS: Final = {
    "reconcile": "you: find out whether the effect happened, before anything is repeated",
    "stop": "you: something has to be changed before the next run",
    "quarantine": "the owner of the data: it was set aside, with the reason beside it",
    "retry": "nobody yet: start the run again",
    "skip": "nobody: there was nothing to do",
}
_UNFORESEEN: Final = "a developer: nobody foresaw this error"
_NOT_SAID: Final = "you: the error does not say what has to be done"
UNTOLD_END: Final = "you: find out whether it still runs; if it was killed, start it again"

_SEVEREST_FIRST: Final = (_UNFORESEEN, *_WHO_ACTS.values(), _NOT_SAID)
_OF_CHAINS: Final = frozenset({"type", "message", "frames", "causes", "notes", "members"})
_TOLD_ELSEWHERE: Final = frozenset(
    {"attempts", "code", "disposition", "exit_code", "reported", "members_total", "causes_omitted"}
)


def who_acts(code: str, disposition: str) -> str:
    """Return who must act on an error, and what has to be done."""
    return _UNFORESEEN if code == "unforeseen" else _WHO_ACTS.get(disposition, _NOT_SAID)


def severity(who: str) -> int:
    """Return how urgent it is for *who*; 0 is the most urgent."""
    return _SEVEREST_FIRST.index(who) if who in _SEVEREST_FIRST else len(_SEVEREST_FIRST)


def failures_of(run: Branch) -> list[Branch]:
    """Return the failures of a run, in their order."""
    found = [branch for branch in run.walk() if branch.node.kind == "failure"]
    return sorted(found, key=lambda branch: max(map(order, branch.events), default=("", 0.0)))


def ended_by(run: Branch, failures: list[Branch]) -> Branch | None:
    """Return the failure that ended the run; of a run that did not fail, the most severe one.

    A failure is logged once, where it was first caught: not always by the run itself, whose end tells the code.
    """
    if run.outcome != "failed":
        return min(failures, key=_severity, default=None)
    code, reason = text(run.facts, "code"), text(run.facts, "reason")
    same = [branch for branch in failures if text(branch.facts, "code") == code]
    exact = [branch for branch in same if _is_told_by(reason, text(branch.facts, "error"))]
    own = [branch for branch in failures if branch.node.name == "run_failed"]
    return next((candidates[-1] for candidates in (exact, same, own, failures) if candidates), None)


def hang_where_it_happened(run: Branch, failure: Branch) -> None:
    """Move a failure, logged at the run's boundary, into the file or walk that broke off for the same reason."""
    kind = text(failure.facts, "error").partition(":")[0]
    place, found = run, _broken_off(run, kind)
    while found is not None:
        place, found = found, _broken_off(found, kind)
    if place is not run and failure.parent is run:
        failure.hang_on(place)


def where_it_stood(run: Branch) -> Branch:
    """Return the innermost thing, of those begun last, that a run without an end was at."""
    open_ones = [child for child in run.children if child.outcome == "unfinished"]
    return where_it_stood(open_ones[-1]) if open_ones else run


def exception_of(failure: Branch) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return the exception of a failure in one shape for all, and the attempts that came before it."""
    found = failure.events[-1].get("exception") if failure.events else None
    if not isinstance(found, dict):
        return None, []
    attempts = found.get("attempts")
    told = [plain(attempt) for attempt in attempts if isinstance(attempt, dict)] if isinstance(attempts, list) else []
    return _exception(plain(found)), told


def _exception(found: Facts) -> dict[str, Any]:
    return {
        "type": text(found, "type"),
        "message": text(found, "message"),
        "frames": [frame for frame in _list(found, "frames") if isinstance(frame, dict)],
        "causes": [_exception(cause) for cause in _list(found, "causes") if isinstance(cause, dict)],
        "notes": [str(note) for note in _list(found, "notes")],
        "members": [_exception(member) for member in _list(found, "members") if isinstance(member, dict)],
        "details": {key: found[key] for key in found if key not in _OF_CHAINS | _TOLD_ELSEWHERE},
    }


def _list(found: Facts, name: str) -> list[Any]:
    value = found.get(name)
    return value if isinstance(value, list) else []


def _is_told_by(reason: str, error: str) -> bool:
    """Tell whether a run's reason, ``Class.__str__``, is of the error that a line tells as ``Class: message``."""
    message = error.partition(": ")[2]
    return bool(message) and reason.startswith(message)


def _severity(failure: Branch) -> int:
    return severity(who_acts(text(failure.facts, "code"), text(failure.facts, "disposition")))


def _broken_off(branch: Branch, kind: str) -> Branch | None:
    """Return what inside ended last because of an error of this *kind*."""
    found = [child for child in branch.children if _broke_off_for(child, kind)]
    return max(found, key=lambda child: child.ended_at, default=None)


def _broke_off_for(branch: Branch, kind: str) -> bool:
    if branch.node.kind == "page":
        return branch.outcome in {"unfinished", "failed"}
    reason = text(branch.facts, "reason")
    return branch.node.kind in {"file", "walk"} and branch.outcome != "ok" and reason.partition(":")[0] == kind
