"""A story as text for a terminal: 80 columns, nothing that a log's author could do to the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from controlroom.explain.blame import severity, who_acts
from controlroom.explain.branches import tree_lines
from controlroom.explain.effects import did_not_fit, effects, left_behind
from controlroom.explain.style import Style, many, seconds

if TYPE_CHECKING:
    from controlroom.explain.document import FailureDocument, RunDocument, StoryDocument
    from controlroom.explain.story import Story

__all__ = ["render_text"]

_MOST_OF_ONE_ACTOR: Final = 5
_MOST_RUNS_IN_FULL: Final = 5
_MOST_RUNS_IN_A_LINE: Final = 12
_MOST_CAUSES: Final = 4
_OF_OTHERS: Final = re.compile(r"^<|[/\\](site-packages|dist-packages|controlroom|python3[.\d]*)[/\\]")


def render_text(told: Story, *, ascii_only: bool = False, coloured: bool = False) -> str:
    """Return *told* as text: of every run who must act, what was left behind, what happened, and where the time went.

    Args:
        told: The story.
        ascii_only: Draw with ASCII. What the log itself holds is shown as it is.
        coloured: Highlight with colours what is otherwise only marked.
    """
    return "\n".join(_lines(told.to_dict(), Style(is_ascii=ascii_only, is_coloured=coloured))) + "\n"


def _lines(document: StoryDocument, style: Style) -> Iterator[str]:
    runs = document["runs"]
    in_full = runs if len(runs) <= _MOST_RUNS_IN_FULL else [run for run in runs if not _went_well(run)]
    in_full = in_full[-_MOST_RUNS_IN_FULL:]  # the last ones: what happened this night
    in_a_line = [run for run in runs if all(run is not told for told in in_full)]
    if in_a_line:
        yield style.painted(f"{many(len(in_a_line), 'run')} in a line each (--run ID tells one in full)", "title")
        yield from _in_a_line(in_a_line, style)
        yield ""
    for run in in_full:
        yield from _run(run, style)
        yield ""
    yield from style.lines(_read(document), "")


def _read(document: StoryDocument) -> str:
    log = document["log"]
    others = f"; {many(log['foreign_lines'], 'line')} of others" if log["foreign_lines"] else ""
    cut = f"; {many(log['truncated_lines'], 'cut line')}" if log["truncated_lines"] else ""
    untold = f"; {many(document['untold_runs'], 'run')} not told" if document["untold_runs"] else ""
    return f"Read {many(log['events'], 'event')}{others}{cut}{untold}."


def _went_well(run: RunDocument) -> bool:
    return not run["failing_path"] and (run["outcome"] in {"succeeded", "skipped"} or not run["id"])


def _in_a_line(runs: list[RunDocument], style: Style) -> Iterator[str]:
    """The latest ones, those with troubles rather than those without."""
    latest = sorted(range(len(runs)), key=lambda place: (_went_well(runs[place]), -place))[:_MOST_RUNS_IN_A_LINE]
    yield from _more(len(runs) - len(latest), "run", "  ", style, before=True)
    for place in sorted(latest):
        run = runs[place]
        lasted = "" if run["elapsed_s"] is None else f" {seconds(run['elapsed_s'])}"
        why = f" ({run['reason']})" if run["reason"] and not _went_well(run) else ""
        told = f"{_date(run)[:16]} {run['job']} {run['outcome'] or 'no end was logged'}{lasted} {run['id']}{why}"
        yield from style.lines(told, "  ", "    ", colour="" if _went_well(run) else "warned")


def _title(run: RunDocument) -> str:
    names = (("job", run["job"]), ("host", run["host"]))
    title = f"Run {run['id']}" if run["id"] else "Outside any run"
    return ", ".join([title, *(f"{name} {value}" for name, value in names if value)])


def _run(run: RunDocument, style: Style) -> Iterator[str]:
    yield from style.lines(_title(run), "", "  ", colour="title")
    yield from style.lines(_outcome(run), "  ", colour="" if _went_well(run) else "bad")
    yield from _who_must_act(run, style)
    yield from _section("Left behind", left_behind(run), style)
    yield from ["", style.painted("  What happened", "title")]
    yield from tree_lines(run, style)
    is_side_by_side = sum(part["share"] or 0.0 for part in run["times"]) > 1.01  # noqa: PLR2004 - rounding aside
    parts = " (parts overlap)" if is_side_by_side else ""
    yield from _section(f"Where the time went{parts}", _times(run), style)
    yield from _section("Effects", effects(run["effects"]), style)


def _outcome(run: RunDocument) -> str:
    began = f"Began {_date(run)} UTC. " if run["began_at"] else ""
    exited = "" if run["exit_code"] is None else f", exit code {run['exit_code']}"
    lasted = seconds(run["elapsed_s"] or 0.0)
    if run["outcome"]:
        why = f" ({run['reason']})" if run["reason"] else ""
        return f"{began}Outcome: {run['outcome']}{why}{exited}, after {lasted}.{_progress(run)}"
    if not run["id"]:
        return f"{began}Last line {lasted} later.{_progress(run)}"
    if not run["job"]:
        why = "Neither its beginning nor its end was logged: the level was above INFO, or a longer log was cut"
        return f"{began}{why}; its last line came {lasted} later.{_progress(run)}"
    why = "No end was logged: it still runs, was killed, or the log ends early"
    return f"{began}{why}; its last line came {lasted} later.{_progress(run)}"


def _progress(run: RunDocument) -> str:
    progress = run["progress"]
    if progress is None:
        return ""
    total = progress["total"]
    return f" {progress['done']:,} done." if total is None else f" {progress['done']:,} of {total:,} done."


def _date(run: RunDocument) -> str:
    return (run["began_at"] or "")[:19].replace("T", " ")


def _who_must_act(run: RunDocument, style: Style) -> Iterator[str]:
    by_actor: dict[str, list[FailureDocument]] = {run["who_acts"]: []} if run["id"] else {}
    for failure in run["failures"]:
        by_actor.setdefault(failure["who_acts"], []).append(failure)
    misfits = list(did_not_fit(run))
    owner = who_acts("", "quarantine")
    if misfits:
        by_actor.setdefault(owner, [])
    if not by_actor or (set(by_actor) == {"nobody"}):
        return
    yield from ["", style.painted("  Who must act", "title")]
    actors = sorted(by_actor.items(), key=lambda item: (item[0] != run["who_acts"], severity(item[0])))
    for actor, failures in actors:
        yield from style.lines(actor, "    ", "      ", colour="bad" if actor == run["who_acts"] else "")
        latest = failures[-_MOST_OF_ONE_ACTOR:]  # the last one is the one that ended the run, if any did
        for failure in latest:
            yield from _failure(failure, style)
        yield from _more(len(failures) - len(latest), "failure", "      ", style, before=True)
        for misfit in misfits if actor == owner else ():
            yield from style.lines(misfit, "      ", "        ")


def _failure(failure: FailureDocument, style: Style) -> Iterator[str]:
    at = f"{failure['at'][11:19]} " if failure["at"] else ""
    about = f" {failure['subject']}" if failure["subject"] else ""
    yield from style.lines(f"{at}{failure['event']}{about} [{failure['code']}]", "      ", "        ")
    yield from style.lines(failure["error"], "        ")
    if len(failure["attempts"]) > 1:
        yield from style.lines(f"after {len(failure['attempts'])} attempts", "        ")
    for line in _because(failure["exception"], failure["called_from"]):
        yield from style.lines(line, "        ", "          ", colour="faint")


def _because(exception: Mapping[str, Any] | None, called_from: str) -> Iterator[str]:
    """Yield where it was raised, or where what raised it was called from, and what led to it."""
    if called_from:
        yield f"at {called_from}"
    if exception is None:
        return
    if not called_from:
        yield from _where(exception)
    yield from (f"note: {note}" for note in exception["notes"][:_MOST_CAUSES])
    for cause in exception["causes"][:_MOST_CAUSES]:
        yield f"because of {cause['type']}: {cause['message']}"
        yield from _where(cause)
        yield from (f"  among them {member['type']}: {member['message']}" for member in cause["members"][:_MOST_CAUSES])
    yield from (f"among them {member['type']}: {member['message']}" for member in exception["members"][:_MOST_CAUSES])


def _where(exception: Mapping[str, Any]) -> Iterator[str]:
    """The innermost frame of the reader's own code, where there is one."""
    frames = [frame for frame in exception["frames"] if "file" in frame]
    own = [frame for frame in frames if not _OF_OTHERS.search(str(frame["file"]))]
    for frame in (own or frames)[-1:]:
        yield f"at {frame['file']}:{frame.get('line')} in {frame.get('function')}"


def _times(run: RunDocument) -> Iterator[str]:
    for part in run["times"]:
        share = "" if part["share"] is None else f", {part['share']:.0%} of the run"
        yield f"{part['name']}: {seconds(part['seconds'])}{share}"


def _section(title: str, items: Iterable[str], style: Style) -> Iterator[str]:
    found = list(items)
    if found:
        yield from ["", style.painted(f"  {title}", "title")]
    for item in found:
        yield from style.lines(item, "    ", "      ")


def _more(number: int, what: str, indent: str, style: Style, *, before: bool = False) -> Iterator[str]:
    if number > 0:
        yield f"{indent}{style.sign('…')} and {many(number, what)} {'before' if before else 'more'}"
