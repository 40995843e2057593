"""Which event belongs to which part of a run's story."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from controlroom.explain.facts import Facts, count, instant, number, text
from controlroom.explain.parts import FileStory, Part, RetryStory, WalkStory, tally
from controlroom.explain.run import RunStory

__all__ = ["KNOWN_EVENTS", "take"]

PartT = TypeVar("PartT", bound=Part)

_MOST_PARTS: Final = 10_000  # files, endpoints or calls told one by one; further ones together
_FURTHER: Final = "(further ones)"
_GRAVE: Final = frozenset({"ERROR", "CRITICAL"})


def take(run: RunStory, facts: Facts) -> None:
    """Take one event into the story of its run."""
    run.seen_at(instant(facts))
    name = text(facts, "event")
    if sort := _SORTS.get(name):
        sort(run, facts).events[name] += 1
    else:
        tally(run.other_events, name)
    if text(facts, "level") in _GRAVE and text(facts, "code"):
        run.failed(facts)


def _run_started(run: RunStory, facts: Facts) -> Part:
    run.job, run.host = text(facts, "job"), text(facts, "host")
    return run


def _run_finished(run: RunStory, facts: Facts) -> Part:
    run.outcome, run.reason = text(facts, "outcome") or "finished", text(facts, "reason")
    run.exit_code = None if number(facts, "exit_code") is None else count(facts, "exit_code")
    run.elapsed_s = number(facts, "elapsed_s")
    return run


def _run_progressed(run: RunStory, facts: Facts) -> Part:
    run.done = count(facts, "done")
    run.total = None if number(facts, "total") is None else count(facts, "total")
    return run


def _settings_loaded(run: RunStory, _facts: Facts) -> Part:
    return run


def _file_published(run: RunStory, facts: Facts) -> Part:
    run.published += 1
    run.published_bytes += count(facts, "size_bytes")
    return run


def _unit_committed(run: RunStory, _facts: Facts) -> Part:
    run.committed += 1
    return run


def _unit_rolled_back(run: RunStory, facts: Facts) -> Part:
    tally(run.rolled_back, text(facts, "reason"))
    return run


def _shutdown_requested(run: RunStory, facts: Facts) -> Part:
    tally(run.signals, text(facts, "signal"))
    return run


def _request_finished(run: RunStory, facts: Facts) -> Part:
    run.requests.request_finished(facts)
    return run.requests


def _page_fetched(run: RunStory, facts: Facts) -> Part:
    walk = _part(run.walks, text(facts, "endpoint"), WalkStory)
    walk.page_fetched(facts)
    return walk


def _walk_finished(run: RunStory, facts: Facts) -> Part:
    walk = _part(run.walks, text(facts, "endpoint"), WalkStory)
    walk.walk_finished(facts)
    return walk


def _retry_scheduled(run: RunStory, facts: Facts) -> Part:
    retry = _part(run.retries, text(facts, "what"), RetryStory)
    retry.retry_scheduled(facts)
    return retry


def _gave_up(run: RunStory, facts: Facts) -> Part:
    retry = _part(run.retries, text(facts, "what"), RetryStory)
    retry.gave_up(facts)
    return retry


def _file_claimed(run: RunStory, facts: Facts) -> Part:
    file = _part(run.files, text(facts, "key"), FileStory)
    file.claimed(facts)
    return file


def _file_ended(run: RunStory, facts: Facts) -> Part:
    file = _part(run.files, text(facts, "key"), FileStory)
    file.ended(text(facts, "event").removeprefix("file_"), facts)
    return file


def _record_rejected(run: RunStory, facts: Facts) -> Part:
    file = _part(run.files, text(facts, "key"), FileStory)
    file.record_rejected()
    return file


def _part(parts: dict[str, PartT], key: str, kind: Callable[[], PartT]) -> PartT:
    if key not in parts and len(parts) >= _MOST_PARTS:
        key = _FURTHER
    return parts.setdefault(key, kind())


_SORTS: Final[dict[str, Callable[[RunStory, Facts], Part]]] = {
    "run_started": _run_started,
    "run_finished": _run_finished,
    "run_progressed": _run_progressed,
    "settings_loaded": _settings_loaded,
    "file_published": _file_published,
    "unit_committed": _unit_committed,
    "unit_rolled_back": _unit_rolled_back,
    "shutdown_requested": _shutdown_requested,
    "request_finished": _request_finished,
    "page_fetched": _page_fetched,
    "walk_finished": _walk_finished,
    "retry_scheduled": _retry_scheduled,
    "gave_up": _gave_up,
    "file_claimed": _file_claimed,
    "file_ingested": _file_ended,
    "file_quarantined": _file_ended,
    "file_released": _file_ended,
    "file_skipped": _file_ended,
    "record_rejected": _record_rejected,
}

KNOWN_EVENTS: Final = frozenset(_SORTS)
"""The events that a story is told from. Others are counted by name, and told where they are failures."""
