"""From lines to stories: one pass, one line at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from controlroom.explain.facts import Facts
from controlroom.explain.lines import Line, parsed
from controlroom.explain.nodes import Limits, Row
from controlroom.explain.placing import take
from controlroom.explain.run import Room, RunStory

if TYPE_CHECKING:
    from controlroom.explain.document import StoryDocument

__all__ = ["Story", "story"]

_RUNS: Final = Limits(100, 100, 100)
_MOST_NAMES: Final = 1_000
_OTHERS: Final = "(others)"
_MOST_OTHERS: Final = 1_000
_LONG_LINE: Final = 16_384  # characters
_MOST_LONG_LINES: Final = 50  # kept whole; of further ones, the beginnings of their facts
_KEPT_OF_EACH: Final = 500


@dataclass(slots=True)
class Story:
    """What a log tells. Made by `story`.

    Attributes:
        runs: By run id, in order of appearance; with an empty id, what was logged outside of any run.
        events_read: How many events the log holds.
        foreign_lines: How many lines were something else: another program's, or text.
        truncated_lines: How many held the beginning of an event and not its end.
        bytes_read: How long the log is.
        untold_runs: How many runs there were besides.
        other_runs: The first thousand ids of runs that were not asked for.
    """

    runs: dict[str, RunStory] = field(default_factory=dict)
    events_read: int = 0
    foreign_lines: int = 0
    truncated_lines: int = 0
    bytes_read: int = 0
    untold_runs: int = 0
    other_runs: list[str] = field(default_factory=list)
    _only: str | None = field(default=None, repr=False)
    _others: set[str] = field(default_factory=set, repr=False)
    _names: dict[str, str] = field(default_factory=dict, repr=False)
    _untold: Counter[str] = field(default_factory=Counter, repr=False)
    _shortened: int = field(default=0, repr=False)
    _long: int = field(default=0, repr=False)
    _room: Room = field(default_factory=Room, repr=False)
    _row: Row = field(default_factory=Row, repr=False)
    _squeezed: int = field(default=0, repr=False)
    _by_root: dict[int, str] = field(default_factory=dict, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether every event of the log is in the story; if not, some are told as numbers only."""
        return self.accounted().total() == sum(1 for _ in self.events()) and not self._shortened

    def accounted(self) -> Counter[str]:
        """Return how many events of each name the stories tell: as many as were read, or a story is wrong.

        Names beyond the first thousand are told together.
        """
        return sum((run.accounted() for run in self.runs.values()), Counter(self._untold))

    def events(self) -> Iterator[Facts]:
        """Yield the events that the story keeps, run by run; all that were read, if it `is_whole`."""
        for run in self.runs.values():
            yield from run.events()

    def to_dict(self) -> StoryDocument:
        """Return the story as JSON-ready data: the schema of ``controlroom explain --json``."""
        from controlroom.explain.document import story_document  # noqa: PLC0415 - it is made of stories

        return story_document(self)

    def _take(self, line: str) -> None:
        self.bytes_read += len(line) if line.isascii() else len(line.encode("utf-8", "surrogatepass"))
        found = parsed(line)
        if not isinstance(found, Line):
            self._event(found, len(line))
            return
        for event in found.events:
            self._event(event, len(line))
        self.truncated_lines += found.is_cut
        self.foreign_lines += found.is_foreign

    def _event(self, facts: Facts, length: int) -> None:
        self.events_read += 1
        name = self._names.get(facts["event"]) or self._named(facts["event"])
        if length > _LONG_LINE:
            facts = self._shortened_if_many(facts)
        run_id = facts.get("run_id")
        run = self._run(run_id if isinstance(run_id, str) else "")
        if run is None:
            self._untold[name] += 1
            return
        take(run, name, facts)
        if self._room.is_full and not self._room.is_tight:
            self._make_room(run)

    def _named(self, name: str) -> str:
        if len(self._names) >= _MOST_NAMES and name not in self._names:
            return _OTHERS
        return self._names.setdefault(name, name)

    def _shortened_if_many(self, facts: Facts) -> Facts:
        self._long += 1
        if self._long <= _MOST_LONG_LINES:
            return facts
        self._shortened += 1
        return {
            name: value if isinstance(value, int | float | None) else str(value)[:_KEPT_OF_EACH]
            for name, value in facts.items()
        }

    def _run(self, run_id: str) -> RunStory | None:
        run = self.runs.get(run_id)
        if run is not None:
            return run
        if not self._is_wanted(run_id):
            self._name_other(run_id)
            return None
        self._room.is_tight = False  # a new run is told in full again, at the expense of those before
        run = self.runs[run_id] = RunStory(run_id, self._room.node("run", run_id, None), self._room)
        self._by_root[run.root.arrival] = run_id
        for leaving in self._row.add(run.root, _RUNS):
            self._leave(self.runs.pop(self._by_root.pop(leaving.arrival)))
        return run

    def _is_wanted(self, run_id: str) -> bool:
        if not self._only:  # None: every run; empty: what was logged outside of any
            return self._only is None or not run_id
        return run_id.startswith(self._only)

    def _name_other(self, run_id: str) -> None:
        if run_id and run_id not in self._others and len(self._others) < _MOST_OTHERS:
            self._others.add(run_id)
            self.other_runs.append(run_id)

    def _settle(self) -> None:
        """Where a run is called exactly what was asked for, those whose ids only begin so are others."""
        if self._only in self.runs:
            for run_id in [run_id for run_id in self.runs if run_id != self._only]:
                run = self.runs.pop(run_id)
                self._untold.update(run.accounted())
                run.leave()
                self._name_other(run_id)

    def _leave(self, run: RunStory) -> None:
        self.untold_runs += 1
        self._untold.update(run.accounted())
        run.leave()

    def _make_room(self, latest: RunStory) -> None:
        """Tell earlier runs in few words, the oldest first: who opens a log wants to know about the last one."""
        older = [run for run in self.runs.values() if run.root.arrival > self._squeezed and run is not latest]
        if older:
            self._squeezed = older[0].root.arrival
            older[0].squeeze()
        else:
            self._room.is_tight = True


def story(lines: Iterable[str], *, run_id: str | None = None) -> Story:
    """Return what *lines* of a log tell: JSON lines as `controlroom.logs` writes them, among any others.

    Lines of several runs and processes may be mixed, and need not be in their order. The lines are read once and not
    kept.

    Args:
        lines: With or without their line ends.
        run_id: Only this run is told, or, where no run is called exactly that, those whose ids begin so; the events of
            others are counted.

    Guarantees:
        Memory does not grow with the log: beyond some hundreds of files and some tens of pages or retries of each, those
        without troubles in the middle are told as numbers. Every event is accounted for.
        Not promised: that nothing with troubles is left out, where thousands had them.
    """
    told = Story(_only=run_id)
    for line in lines:
        told._take(line)  # noqa: SLF001 - a story grows only here; to its readers it is finished
    told._settle()  # noqa: SLF001 - as above
    return told
