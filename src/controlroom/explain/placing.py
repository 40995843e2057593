"""Where in the tree of a run an event belongs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controlroom.explain.facts import Facts, is_grave, is_warning, number, stamp, text
from controlroom.explain.nodes import Node
from controlroom.explain.run import RunStory

__all__ = ["ENDINGS", "KNOWN_EVENTS", "take"]

_CALM: Final = frozenset({"INFO", "DEBUG", "info", "debug"})  # nearly every line, told apart without a function call


def take(run: RunStory, name: str, facts: Facts) -> None:
    """Take one event into the story of its run; *name* is its name there."""
    run.sums.add(name, facts)
    placing = _PLACES.get(name)
    node = run.place(facts) if placing is None else placing(run, facts)
    if facts["level"] not in _CALM:
        node = _gravely(run, node, name, facts, is_known=placing is not None)
    elif name == "unit_rolled_back":
        node.trouble()
    elif name == "page_fetched":
        run.sums.page_took(facts, _waited_s(node))
    node.take(name, facts, stamp(facts))
    if name in _FINISHING or node.kind in _MOMENTS:
        node.is_finished = True


def _gravely(run: RunStory, node: Node, name: str, facts: Facts, *, is_known: bool) -> Node:
    """Return the node of a warning or an error: one of its own, unless it tells how another one went."""
    if is_grave(facts):
        node = run.new("failure" if text(facts, "code") else "other", name, node)
        node.trouble()
    elif is_warning(facts):
        if not is_known:
            node = run.new("other", name, node)
            run.sums.warned_of(name)
        node.trouble()
    return node


def _waited_s(page: Node) -> float:
    """Return the seconds that a page waited before retries, as far as they are known."""
    if page.rows is None or "retry" not in page.rows:
        return 0.0
    return sum(
        number(facts, "wait_s") or 0.0 for retry in page.rows["retry"] for kept in retry.kept.values() for facts in kept
    )


def _file(run: RunStory, facts: Facts) -> Node:
    key = text(facts, "key") or text(facts, "file")
    return run.file(key) if key else run.root


def _rejects(run: RunStory, facts: Facts) -> Node:
    file = _file(run, facts)
    return run.rejects(file) if file.kind == "file" else run.new("rejects", "", file)


def _rejects_of_page(run: RunStory, facts: Facts) -> Node:
    page = run.page(facts)
    return run.new("rejects", "", page) if page.key is None else run.rejects(page)


def _retry(run: RunStory, facts: Facts) -> Node:
    return run.new("retry", text(facts, "what"), run.place(facts))


def _publication(run: RunStory, facts: Facts) -> Node:
    return run.new("publication", text(facts, "ref"), run.place(facts))


def _request(run: RunStory, facts: Facts) -> Node:
    return run.new("other", text(facts, "event"), run.root)


def _run(run: RunStory, _facts: Facts) -> Node:
    return run.root


ENDINGS: Final = {
    "run_finished": "",
    "page_fetched": "ok",
    "walk_finished": "ok",
    "walk_broken_off": "failed",
    "file_ingested": "ok",
    "file_skipped": "skipped",
    "file_released": "released",
    "file_quarantined": "quarantined",
    "file_finished": "ok",
    "file_abandoned": "unfinished",
    "file_vanished": "skipped",
    "file_downloaded": "ok",
    "unit_committed": "ok",
    "unit_rolled_back": "rolled_back",
    "commit_left_in_doubt": "in_doubt",
}
"""The outcome of a node, by the event that ends it. Of a run, the event itself says."""

_FINISHING: Final = frozenset(ENDINGS)
_MOMENTS: Final = frozenset({"retry", "publication", "failure", "other", "rejects"})

_PLACES: Final[dict[str, Callable[[RunStory, Facts], Node]]] = {
    "run_started": _run,
    "run_finished": _run,
    "run_progressed": _run,
    "run_failed": _run,
    "settings_loaded": _run,
    "shutdown_requested": _request,
    "walk_started": RunStory.walk,
    "page_fetched": RunStory.page,
    "walk_finished": RunStory.walk,
    "walk_broken_off": RunStory.walk,
    "pagination_path_missing": RunStory.walk,
    "walk_fell_back": RunStory.walk,
    "retry_scheduled": _retry,
    "file_claimed": _file,
    "file_failed": _file,
    "file_ingested": _file,
    "file_quarantined": _file,
    "file_released": _file,
    "file_skipped": _file,
    "file_finished": _file,
    "file_left_alone": _file,
    "file_unsettled": _file,
    "file_abandoned": _file,
    "file_vanished": _file,
    "record_rejected": _rejects,
    "records_rejected": _rejects_of_page,
    "unit_committed": RunStory.unit,
    "unit_rolled_back": RunStory.unit,
    "commit_left_in_doubt": RunStory.unit,
    "on_commit_failed": RunStory.unit,
    "checkpoint_saved": RunStory.unit,
    "watermark_advanced": RunStory.unit,
    "schema_migrated": RunStory.unit,
    "file_published": _publication,
    "file_downloaded": _publication,
}

KNOWN_EVENTS: Final = frozenset(_PLACES)
"""The events that say of something in the tree how it went. Others are told where they happened."""
