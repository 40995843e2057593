"""A story as text for a terminal: 80 columns, no colours, nothing that a log's author could do to the terminal."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from controlroom.explain.parts import Failure, FileStory, RetryStory, WalkStory
from controlroom.explain.run import RunStory
from controlroom.explain.story import Story

__all__ = ["render_text"]

_WIDTH: Final = 80
_MOST_SHOWN: Final = 40
_LONGEST_TEXT: Final = 400

_WHO_ACTS: Final = {
    "retry": "nobody yet: start the run again",
    "quarantine": "the owner of the data: it was set aside, with the reason beside it",
    "stop": "you: something has to be changed before the next run",
    "reconcile": "you: find out whether the effect happened, before anything is repeated",
    "skip": "nobody: there was nothing to do",
}
_UNFORESEEN: Final = "a developer: nobody foresaw this error"


def render_text(told: Story) -> str:
    """Return *told* as text: every run with its files, pages, retries and failures, and where its time went."""
    lines: list[str] = []
    for run in told.runs.values():
        lines += [*_run(run), ""]
    read = f"Read {_many(told.events, 'event')}"
    others = f"; {_many(told.foreign_lines, 'line')} of others" if told.foreign_lines else ""
    cut = f"; {_many(told.truncated_lines, 'cut line')}" if told.truncated_lines else ""
    lines += _wrapped(f"{read}{others}{cut}.", 0)
    return "\n".join(lines) + "\n"


def _run(run: RunStory) -> Iterator[str]:
    names = (("job", run.job), ("host", run.host))
    title = f"Run {run.id}" if run.id else "Outside any run"
    yield from _wrapped(", ".join([title, *(f"{name} {value}" for name, value in names if value)]), 0)
    yield from _wrapped(_outcome(run), 2)
    yield from _section("Files", _files(run.files))
    yield from _section("Pages", (f"{name}: {_walk(walk)}" for name, walk in run.walks.items()))
    yield from _section("Retries", (f"{what}: {_retry(retry)}" for what, retry in run.retries.items()))
    yield from _section("Failures, and who must act", map(_failure, run.failures), run.failures_total)
    yield from _section("Where the time went (parts may overlap)", _times(run))
    yield from _section("Effects", _effects(run))


def _outcome(run: RunStory) -> str:
    began = f"Began {run.first_at:%Y-%m-%d %H:%M:%S} UTC. " if run.first_at else ""
    exited = "" if run.exit_code is None else f", exit code {run.exit_code}"
    progress = f" {run.done:,} of {run.total:,} done." if run.total is not None else ""
    if run.outcome:
        why = f" ({run.reason})" if run.reason else ""
        return f"{began}Outcome: {run.outcome}{why}{exited}, after {_seconds(_elapsed_s(run))}.{progress}"
    if not run.id:
        return f"{began}Last line {_seconds(_elapsed_s(run))} later.{progress}"
    last = f"its last line came {_seconds(_elapsed_s(run))} later"
    return f"{began}No end was logged: it still runs, was killed, or the log ends early; {last}.{progress}"


def _elapsed_s(run: RunStory) -> float:
    if run.elapsed_s is not None:
        return run.elapsed_s
    return (run.last_at - run.first_at).total_seconds() if run.first_at and run.last_at else 0.0


def _files(files: dict[str, FileStory]) -> Iterator[str]:
    """The troubled ones first: a reader may stop early."""
    if files:
        yield ", ".join(
            f"{number:,} {name}" for name, number in Counter(_file_outcome(f) for f in files.values()).items()
        )
    for key, file in sorted(files.items(), key=lambda item: item[1].outcome in {"ingested", "skipped"}):
        yield f"{key}: {_file(file)}"


def _file_outcome(file: FileStory) -> str:
    return {"claimed": "left unfinished", "": "not claimed here"}.get(file.outcome, file.outcome)


def _file(file: FileStory) -> str:
    details = [
        _file_outcome(file),
        f"attempt {file.attempt}" if file.attempt > 1 else "",
        "" if file.records is None else _many(file.records, "record"),
        f"{file.rejected:,} rejected" if file.rejected else "",
        _seconds(file.elapsed_s) if file.elapsed_s else "",
        file.reason,
    ]
    return ", ".join(filter(None, details))


def _walk(walk: WalkStory) -> str:
    expected = "" if walk.expected is None else f"{walk.expected:,} expected"
    details = [
        _many(walk.pages, "page"),
        _many(walk.records, "record"),
        f"{expected}, verified" if walk.verified and expected else expected,
        _seconds(walk.elapsed_s) if walk.elapsed_s else "",
        (f"ended: {walk.stop_reason}" if walk.stop_reason else "") if walk.walks else "not finished",
    ]
    return ", ".join(filter(None, details))


def _retry(retry: RetryStory) -> str:
    details = [
        f"{retry.scheduled:,} repeated after waiting {_seconds(retry.waited_s)}" if retry.scheduled else "",
        _counted(retry.codes),
        f"last time because {retry.last_reason}" if retry.last_reason else "",
        f"{_many(retry.given_up, 'time')} given up, last because {retry.why_given_up}" if retry.given_up else "",
    ]
    return "; ".join(filter(None, details))


def _failure(failure: Failure) -> str:
    at = f"{failure.at:%H:%M:%S} " if failure.at else ""
    subject = f" {failure.subject}" if failure.subject else ""
    return f"{at}{failure.event}{subject} [{failure.code}] {failure.error} → {_who_acts(failure)}"


def _who_acts(failure: Failure) -> str:
    if failure.code == "unforeseen":
        return _UNFORESEEN
    return _WHO_ACTS.get(failure.disposition, "not said")


def _times(run: RunStory) -> Iterator[str]:
    whole_s = _elapsed_s(run)
    parts = {
        "waiting before retries": sum(retry.waited_s for retry in run.retries.values()),
        "fetching pages": sum(walk.elapsed_s for walk in run.walks.values()),
        "HTTP requests": run.requests.elapsed_s,
        "working on files": sum(file.elapsed_s for file in run.files.values()),
    }
    for name, part_s in sorted(parts.items(), key=lambda item: -item[1]):
        if part_s > 0:
            share = f", {part_s / whole_s:.0%} of the run" if whole_s > 0 else ""
            yield f"{name}: {_seconds(part_s)}{share}"


def _effects(run: RunStory) -> Iterator[str]:
    if run.committed:  # logged at DEBUG: that there is none in a log says nothing
        yield f"{_many(run.committed, 'unit')} committed"
    if run.rolled_back:
        yield f"{_many(run.rolled_back.total(), 'unit')} rolled back: {_counted(run.rolled_back)}"
    if run.published:
        yield f"{_many(run.published, 'object')} published, {run.published_bytes:,} bytes"
    if run.requests.finished:
        yield f"{_many(run.requests.finished, 'request')}: {_counted(run.requests.statuses)}"
    if run.signals:
        yield f"asked to stop: {_counted(run.signals)}"
    if run.other_events:
        yield f"other events: {_counted(run.other_events)}"


def _section(title: str, items: Iterable[str], total: int = 0) -> Iterator[str]:
    """Yield a titled list, cut where it gets long. *total*: how many there would be, if more than *items*."""
    found = list(items)
    if found:
        yield ""
        yield f"  {title}"
    for item in found[:_MOST_SHOWN]:
        yield from _wrapped(item, 4)
    if (untold := max(total, len(found)) - _MOST_SHOWN) > 0:
        yield f"    … and {untold:,} more"


def _wrapped(text: str, indent: int) -> list[str]:
    shown = "".join(
        character if character.isprintable() else "�" for character in text[:_LONGEST_TEXT].replace("\n", " ")
    )
    if len(text) > _LONGEST_TEXT:
        shown += "…"
    space = " " * indent
    return textwrap.wrap(shown, _WIDTH, initial_indent=space, subsequent_indent=f"{space}  ") or [space.rstrip()]


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{kind or 'no reason given'} x{number:,}" for kind, number in counter.most_common())


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _seconds(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min {rest:02} s" if hours else f"{minutes} min {rest:02} s"
