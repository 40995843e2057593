"""What a run did, and what it left behind, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from controlroom.explain.facts import count, text
from controlroom.explain.phrases import FILE_ENDS
from controlroom.explain.style import counted, many

if TYPE_CHECKING:
    from controlroom.explain.document import NodeDocument, RunDocument

__all__ = ["did_not_fit", "effects", "left_behind"]

_MOST_NAMED: Final = 5
_FILES: Final = {
    "quarantined": "in quarantine",
    "released": "given back, for another attempt",
    "unfinished": "left unfinished: claimed until the lease runs out",
}


def left_behind(run: RunDocument) -> Iterator[str]:
    """Yield what the next run, or a person, will find."""
    files = run["effects"].get("files", {})
    for outcome, what in _FILES.items():
        if files.get(outcome):
            yield f"{many(files[outcome], 'file')} {what}: {_named(run, 'file', outcome, files[outcome])}"
    if number := run["effects"].get("rejected_records"):
        yield f"{many(number, 'record')} rejected, set aside with their reasons"
    if number := run["effects"].get("commits_in_doubt"):
        yield f"{many(number, 'commit')} in doubt: what was sent may or may not be there"
    walks = [_resumable(run, node) for node in run["nodes"] if node["kind"] == "walk" and node["outcome"] != "ok"]
    if walks:
        names = list(dict.fromkeys(walks))
        further = [f"{len(names) - _MOST_NAMED:,} more"] if len(names) > _MOST_NAMED else []
        yield f"{many(len(walks), 'walk')} not finished: {', '.join(names[:_MOST_NAMED] + further)}"


def did_not_fit(run: RunDocument) -> Iterator[str]:
    """Yield which records of pages were set aside, for each endpoint."""
    for endpoint, number in run["effects"].get("records_set_aside", {}).items():
        rejects = [node["facts"] for node in run["nodes"] if node["kind"] == "rejects" and "page" in node["facts"]]
        pages = sorted({count(facts, "page") for facts in rejects if text(facts, "endpoint") == endpoint})
        named = ", ".join(map(str, pages[:_MOST_NAMED])) + (" and more" if len(pages) > _MOST_NAMED else "")
        where = f" ({'page' if len(pages) == 1 else 'pages'} {named})" if pages else ""
        yield f"{many(number, 'record')} of {endpoint or '(no endpoint)'} did not fit the model{where}"


def effects(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the run did, a line for each kind of effect that it had."""
    for name, phrase in _PHRASES.items():
        if told.get(name):
            yield phrase(told[name], told)


def _resumable(run: RunDocument, walk: NodeDocument) -> str:
    """Name a walk, and the last page that came: behind it a resumed walk goes on."""
    came = [node["facts"] for node in run["nodes"] if node["parent"] == walk["id"] and "page_fetched" in node["events"]]
    last = max(count(walk["facts"], "pages"), count(walk["facts"], "resumed_behind"), *(count(f, "page") for f in came))
    return f"{walk['title']} (can go on behind page {last})" if last else walk["title"]


def _named(run: RunDocument, kind: str, outcome: str, total: int) -> str:
    names = [node["title"] for node in run["nodes"] if (node["kind"], node["outcome"]) == (kind, outcome)][:_MOST_NAMED]
    return ", ".join(names + ([f"{total - len(names):,} more"] if total > len(names) else []))


def _files(files: Mapping[str, int]) -> str:
    return f"files: {counted(Counter({FILE_ENDS.get(name, name): number for name, number in files.items()}))}"


_PHRASES: Final[dict[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "files": lambda files, _: _files(files),
    "pages": lambda number, told: f"{many(number, 'page')}, {many(told.get('records', 0), 'record')}",
    "records_set_aside": lambda records, _: f"{many(sum(records.values()), 'record')} of them set aside",
    "retries": lambda number, told: f"{number:,} repeated: {counted(told['retry_codes'])}",
    # Logged at DEBUG, like publications and requests: that there is none in a log says nothing.
    "units_committed": lambda number, _: f"{many(number, 'unit')} committed",
    "units_rolled_back": lambda reasons, _: f"{many(sum(reasons.values()), 'unit')} rolled back: {counted(reasons)}",
    "published": lambda number, told: f"{many(number, 'object')} published, {told.get('published_bytes', 0):,} bytes",
    "requests": lambda statuses, _: f"{many(sum(statuses.values()), 'request')}: {counted(statuses)}",
    "signals": lambda signals, _: f"asked to stop: {counted(signals)}",
    "events_suppressed": lambda number, _: f"{many(number, 'event')} left out of the log, as it was set up to",
    "log_lines_lost": lambda number, _: f"{many(number, 'line')} lost when the log was written: not all is told",
    "warnings": lambda warnings, _: f"warnings: {counted(warnings)}",
    "events": lambda events, _: f"other events: {counted(events)}",
}
