"""The story as data: the one form that the text, ``--json`` and the page in HTML are made from. Schema version 1."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypedDict

from controlroom.errors.text import plain
from controlroom.explain import blame
from controlroom.explain.facts import Facts, count, number, text
from controlroom.explain.placing import ENDINGS
from controlroom.explain.times import times_of
from controlroom.explain.titles import subject, title
from controlroom.explain.tree import Branch, grown
from controlroom.logs.events import EVENTS

if TYPE_CHECKING:
    from controlroom.explain.run import RunStory
    from controlroom.explain.story import Story

__all__ = ["story_document"]
__all__ += ["FailureDocument", "LogDocument", "NodeDocument", "RunDocument", "StoryDocument", "TimeDocument"]

VERSION: Final = 1


class LogDocument(TypedDict):
    """What was read."""

    events: int
    foreign_lines: int
    truncated_lines: int
    bytes: int


class TimeDocument(TypedDict):
    """Where time went: *share* of the run's own, 0 to 1; None where the run has no length."""

    name: str
    seconds: float
    share: float | None


class NodeDocument(TypedDict):
    """One thing that happened; *parent* is the id of what it happened in, None of the run itself.

    *events* are counts by name; *facts* what the last events say; *untold* how many nodes of each kind inside are not
    in the document; *troubled* whether anything in it, or inside, was worth a warning.
    """

    id: int
    parent: int | None
    kind: str
    title: str
    began_at: str | None
    elapsed_s: float | None
    outcome: str
    facts: dict[str, Any]
    events: dict[str, int]
    untold: dict[str, int]
    troubled: bool


class FailureDocument(TypedDict):
    """One error, told once; *node* is the id of its node, whose parent is what it happened in.

    *called_from* is the nearest line of somebody's own code, where the log says it; else empty.
    """

    at: str | None
    event: str
    subject: str
    code: str
    disposition: str
    error: str
    who_acts: str
    node: int
    exception: dict[str, Any] | None
    called_from: str
    attempts: list[dict[str, Any]]


class RunDocument(TypedDict):
    """One run; an empty *id*: what was logged outside of any."""

    id: str
    job: str
    host: str
    began_at: str | None
    ended_at: str | None
    elapsed_s: float | None
    outcome: str
    exit_code: int | None
    reason: str
    who_acts: str
    progress: dict[str, int | None] | None
    host_facts: dict[str, Any]
    settings: list[Any] | None
    times: list[TimeDocument]
    effects: dict[str, Any]
    failing_path: list[int]
    nodes: list[NodeDocument]
    untold: dict[str, int]
    failures: list[FailureDocument]
    untold_events: dict[str, int]


class StoryDocument(TypedDict):
    """A whole story."""

    version: int
    log: LogDocument
    runs: list[RunDocument]
    untold_runs: int


def story_document(told: Story) -> StoryDocument:
    """Return *told* as JSON-ready data."""
    log = LogDocument(
        events=told.events_read,
        foreign_lines=told.foreign_lines,
        truncated_lines=told.truncated_lines,
        bytes=told.bytes_read,
    )
    runs = [_run(run) for run in told.runs.values()]
    return StoryDocument(version=VERSION, log=log, runs=runs, untold_runs=told.untold_runs)


def _run(run: RunStory) -> RunDocument:
    root = grown(run.root)
    failures = blame.failures_of(root)
    ending = blame.ended_by(root, failures)
    if ending is not None and ending.node.name == "run_failed":
        blame.hang_where_it_happened(root, ending)
    branches = list(root.walk())
    for number_, branch in enumerate(branches, start=1):
        branch.id = number_
    elapsed_s = root.elapsed_s
    return RunDocument(
        id=run.id,
        job=text(root.facts, "job"),
        host=text(root.facts, "host"),
        began_at=root.began_at or None,
        ended_at=root.ended_at or None,
        elapsed_s=elapsed_s,
        outcome=text(root.facts, "outcome") or ("finished" if "run_finished" in root.node.counts else ""),
        exit_code=None if number(root.facts, "exit_code") is None else count(root.facts, "exit_code"),
        reason=text(root.facts, "reason"),
        who_acts=_who_acts(root, ending, run),
        progress=_progress(root),
        host_facts=_host_facts(root),
        settings=_settings(root),
        times=[
            TimeDocument(name=name, seconds=round(seconds, 6), share=seconds / elapsed_s if elapsed_s else None)
            for name, seconds in times_of(run.sums, elapsed_s)
        ],
        effects=_effects(run, branches),
        failing_path=[branch.id for branch in _failing_path(root, ending)],
        nodes=[_node(branch) for branch in branches],
        untold={str(kind): number_ for kind, number_ in run.untold.items()},
        untold_events=dict(run.untold_events),
        failures=[_failure(failure) for failure in failures],
    )


def _node(branch: Branch) -> NodeDocument:
    return NodeDocument(
        id=branch.id,
        parent=None if branch.parent is None else branch.parent.id,
        kind=branch.node.kind,
        title=title(branch),
        began_at=branch.began_at or None,
        elapsed_s=branch.elapsed_s,
        outcome=branch.outcome,
        facts=branch.facts,
        events=dict(branch.node.counts),
        untold={str(kind): number_ for kind, number_ in (branch.node.untold or {}).items()},
        troubled=branch.node.is_troubled,
    )


def _failure(branch: Branch) -> FailureDocument:
    exception, attempts = blame.exception_of(branch)
    code, disposition = text(branch.facts, "code"), text(branch.facts, "disposition")
    return FailureDocument(
        at=branch.began_at or None,
        event=branch.node.name,
        subject=subject(branch),
        code=code,
        disposition=disposition,
        error=text(branch.facts, "error"),
        who_acts=blame.who_acts(code, disposition),
        node=branch.id,
        exception=exception,
        called_from=text(branch.facts, "called_from"),
        attempts=attempts,
    )


def _failing_path(root: Branch, ending: Branch | None) -> list[Branch]:
    if "run_finished" not in root.node.counts and root.node.name:
        stood = blame.where_it_stood(root)
        if stood is not root:
            return stood.path()
    return [] if ending is None else ending.path()


def _who_acts(root: Branch, ending: Branch | None, run: RunStory) -> str:
    if "run_finished" not in root.node.counts and run.id and ending is None:
        return blame.UNTOLD_END
    if ending is not None:
        return blame.who_acts(text(ending.facts, "code"), text(ending.facts, "disposition"))
    if root.outcome == "failed":
        return blame.who_acts(text(root.facts, "code"), "stop")
    if run.sums.in_doubt:
        return blame.who_acts("", "reconcile")
    if root.outcome == "unfinished" and run.id:
        return blame.who_acts("", "retry")
    return blame.who_acts("", "quarantine") if run.sums.rejected or run.sums.set_aside else "nobody"


def _progress(root: Branch) -> dict[str, int | None] | None:
    told = [facts for facts in root.events if facts["event"] == "run_progressed"]
    if not told:
        return None
    total = None if number(told[-1], "total") is None else count(told[-1], "total")
    return {"done": count(told[-1], "done"), "total": total}


def _host_facts(root: Branch) -> dict[str, Any]:
    found = _last(root, "run_started").get("host_facts")
    return plain(found) if isinstance(found, dict) else {}


def _settings(root: Branch) -> list[Any] | None:
    found = _last(root, "settings_loaded").get("settings")
    return plain(found) if isinstance(found, list) else None


def _last(root: Branch, event: str) -> Facts:
    return next((facts for facts in reversed(root.events) if facts["event"] == event), {})


def _effects(run: RunStory, branches: list[Branch]) -> dict[str, Any]:
    """What is added up, how the files ended, and the events that are not of this library's, or of this version of it."""
    files = Counter(branch.outcome for branch in branches if branch.node.kind == "file")
    files += Counter({ENDINGS[event]: number_ for event, number_ in run.untold_endings.items() if event in ENDINGS})
    others: Counter[str] = Counter(run.untold_events)
    for branch in branches:
        others.update(branch.node.counts)
    unknown = {name: number_ for name, number_ in others.items() if name not in EVENTS}
    return run.sums.effects() | ({"files": dict(files)} if files else {}) | ({"events": unknown} if unknown else {})
