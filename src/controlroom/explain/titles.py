"""What the nodes of a story are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controlroom.explain.facts import count, text
from controlroom.explain.tree import Branch

__all__ = ["subject", "title"]

_SUBJECTS: Final = ("key", "file", "what", "endpoint", "ref", "hook", "job")


def title(branch: Branch) -> str:
    """Return what a reader calls the node."""
    naming = _TITLES.get(branch.node.kind)
    return branch.node.name if naming is None else naming(branch)


def subject(failure: Branch) -> str:
    """Return what a failure is about: a file, a call, an endpoint."""
    return next(filter(None, (text(failure.facts, name) for name in _SUBJECTS)), "")


def _run(run: Branch) -> str:
    return text(run.facts, "job") or (f"run {run.node.name}" if run.node.name else "outside any run")


def _walk(walk: Branch) -> str:
    return walk.node.name or "(no endpoint)"


def _numbered(branch: Branch) -> str:
    return f"{branch.node.kind} {branch.node.name}" if branch.node.name else branch.node.kind


def _retry(retry: Branch) -> str:
    attempts = text(retry.facts, "attempts")
    return f"attempt {text(retry.facts, 'attempt') or '?'}{f' of {attempts}' if attempts else ''} failed"


def _rejects(rejects: Branch) -> str:
    said = 0 if rejects.parent is None else count(rejects.parent.facts, "rejected")  # it logs the first ones only
    number = max(rejects.node.counts.get("record_rejected", 0), said, count(rejects.facts, "rejected"))
    return "1 record rejected" if number == 1 else f"{number:,} records rejected"


_TITLES: Final[dict[str, Callable[[Branch], str]]] = {
    "run": _run,
    "walk": _walk,
    "page": _numbered,
    "unit": _numbered,
    "retry": _retry,
    "rejects": _rejects,
}
