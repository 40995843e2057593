"""One line for each node of a story."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from controlroom.explain.facts import count, number, text
from controlroom.explain.style import many, seconds

if TYPE_CHECKING:
    from controlroom.explain.document import NodeDocument

__all__ = ["FILE_ENDS", "phrase"]

FILE_ENDS: Final = {
    "ok": "ingested",
    "unfinished": "left unfinished",
    "quarantined": "quarantined",
    "released": "given back for another attempt",
    "skipped": "skipped",
    "failed": "failed",
}
_UNIT_ENDS: Final = {
    "ok": "committed",
    "rolled_back": "rolled back",
    "in_doubt": "commit in doubt",
    "unfinished": "left open",
}
_LONGEST_ERROR: Final = 240
_LONGEST_OF_AN_ATTEMPT: Final = 140  # whole in the document; what ended the series is told in full
_ENDS_WITH_A_WAIT: Final = re.compile(r"( for)? [\d.,]+ s$")
_NOT_WORTH_TELLING: Final = frozenset({"file", "walk", "page", "unit", "series", "dag_id", "task_id", "try_number"})


def phrase(node: NodeDocument, before: NodeDocument | None = None) -> str:
    """Return what a reader is told of the node, without what is inside; *before* is what stands above it."""
    if before is not None and node["kind"] in {"retry", "failure"} and _error(node) == _error(before) != "":
        node = {**node, "facts": {**node["facts"], "error": "the same error"}}
    if node["kind"] == "retry":
        return _retry(node)
    details = _PHRASES[node["kind"]](node) if node["kind"] in _PHRASES else iter(())
    told = ", ".join(filter(None, details))
    return f"{node['title']}: {told}" if told else node["title"]


def _run(node: NodeDocument) -> Iterator[str]:
    yield text(node["facts"], "outcome") or ("no end was logged" if "run_started" in node["events"] else "")
    yield _lasted(node)


def _file(node: NodeDocument) -> Iterator[str]:
    facts, attempt = node["facts"], count(node["facts"], "attempt")
    if node["outcome"] != "ok" or any(name.startswith("file_") for name in node["events"]):
        yield FILE_ENDS.get(node["outcome"], node["outcome"])
    yield f"attempt {attempt}" if attempt > 1 else ""
    yield many(count(facts, "records"), "record") if "records" in facts else ""
    yield f"{count(facts, 'rejected'):,} rejected" if count(facts, "rejected") else ""
    yield _lasted(node)
    yield f"to {text(facts, 'to')}" if text(facts, "to") and node["outcome"] == "quarantined" else ""
    if node["outcome"] != "ok":
        yield text(facts, "reason") or ("duplicate" if text(facts, "same_as") else "")
        yield f"same as {text(facts, 'same_as')}" if text(facts, "same_as") else ""


def _walk(node: NodeDocument) -> Iterator[str]:
    facts = node["facts"]
    if "pages" in facts:
        yield many(count(facts, "pages"), "page")
        records = many(count(facts, "records"), "record")
        yield records if number(facts, "expected") is None else f"{records} of {count(facts, 'expected'):,} expected"
    yield "verified" if facts.get("verified") is True else ""
    yield _lasted(node)
    if text(facts, "stop_reason"):
        yield f"ended: {text(facts, 'stop_reason')}"
    elif text(facts, "reason"):
        yield f"broken off: {text(facts, 'reason')}"
    elif node["outcome"] != "ok":
        yield "not finished"
    if count(facts, "resumed_behind"):
        yield f"resumed behind page {count(facts, 'resumed_behind')}"
    if "pagination_path_missing" in node["events"]:
        yield f"nothing at {text(facts, 'path')}, where the next page was looked for"


def _page(node: NodeDocument) -> Iterator[str]:
    facts = node["facts"]
    yield (
        ""
        if node["outcome"] == "ok"
        else {"unfinished": "did not come", "retried": "came after retries"}.get(node["outcome"], node["outcome"])
    )
    yield many(count(facts, "records"), "record") if "records" in facts else ""
    yield _lasted(node)


def _retry(node: NodeDocument) -> str:
    facts = node["facts"]
    reason, error = text(facts, "reason"), text(facts, "error")
    # "APITimeoutError: backing off 1.2 s; attempt 1 of 4 failed": all but two words of it are said elsewhere.
    why = _ENDS_WITH_A_WAIT.sub("", reason.partition("; attempt ")[0].rpartition(": ")[2])
    code = f" [{text(facts, 'code')}]" if text(facts, "code") else ""
    waited = f", waited {seconds(number(facts, 'wait_s') or 0.0)}{f' ({why})' if why else ''}"
    return f"{node['title']}{code}{waited}{f': {_short(error)}' if error else ''}"


def _short(error: str) -> str:
    return error if len(error) <= _LONGEST_OF_AN_ATTEMPT else f"{error[:_LONGEST_OF_AN_ATTEMPT].rstrip()}..."


def _error(node: NodeDocument) -> str:
    return text(node["facts"], "error")


def _unit(node: NodeDocument) -> Iterator[str]:
    yield _UNIT_ENDS.get(node["outcome"], node["outcome"])
    yield text(node["facts"], "reason")
    yield _lasted(node)


def _publication(node: NodeDocument) -> Iterator[str]:
    yield "downloaded" if "url" in node["facts"] else "published"
    yield f"{count(node['facts'], 'size_bytes'):,} bytes"
    yield _lasted(node)


def _rejects(node: NodeDocument) -> Iterator[str]:
    line, reason = text(node["facts"], "line"), text(node["facts"], "reason")
    if "position" in node["facts"]:  # of a page, which tells of the first one
        yield f"the first at position {text(node['facts'], 'position')}: {reason}"
        return
    where = f"line {line}: " if line and not reason.startswith(f"line {line}") else ""
    yield f"last logged: {where}{reason}" if reason else ""


def _failure(node: NodeDocument) -> Iterator[str]:
    facts = node["facts"]
    yield _coded(text(facts, "code"), text(facts, "error"))
    if text(facts, "rule"):
        yield f"given up: {text(facts, 'reason').rpartition(': ')[2] or text(facts, 'rule')}"


def _other(node: NodeDocument) -> Iterator[str]:
    for name, value in node["facts"].items():
        if name not in _NOT_WORTH_TELLING and isinstance(value, str | int | float):
            yield f"{name}={value}"[:_LONGEST_ERROR]


def _lasted(node: NodeDocument) -> str:
    return "" if node["elapsed_s"] is None else seconds(node["elapsed_s"])


def _coded(code: str, error: str) -> str:
    return f"[{code}] {error}" if code else error


_PHRASES: Final[dict[str, Callable[[NodeDocument], Iterator[str]]]] = {
    "run": _run,
    "file": _file,
    "walk": _walk,
    "page": _page,
    "unit": _unit,
    "publication": _publication,
    "rejects": _rejects,
    "failure": _failure,
    "other": _other,
}
