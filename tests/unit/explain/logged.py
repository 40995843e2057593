"""Logs as tests write them."""

from __future__ import annotations

import json
from typing import Any

from controlroom.explain.document import NodeDocument, RunDocument
from controlroom.explain.story import story


def line(event: str, second: float = 0, **facts: Any) -> str:
    """Return a line of the run r1, logged so many seconds after it began."""
    whole, part = divmod(round(second * 1_000_000), 1_000_000)
    minute, whole = divmod(whole, 60)
    at = f"2026-11-21T23:{17 + minute:02}:{whole:02}.{part:06}Z"
    return json.dumps({"timestamp": at, "level": "INFO", "event": event, "logger": "app", "run_id": "r1"} | facts)


def told(*lines: str) -> RunDocument:
    """Return the document of the only run in *lines*."""
    (run,) = story(lines).to_dict()["runs"]
    return run


def node(run: RunDocument, kind: str, title: str | None = None) -> NodeDocument:
    """Return the only node of a kind, or of a kind and title."""
    (found,) = [node for node in run["nodes"] if node["kind"] == kind and title in {None, node["title"]}]
    return found


def inside(run: RunDocument, parent: NodeDocument) -> list[tuple[str, str, str]]:
    """Return kind, title and outcome of what happened directly inside *parent*, in its order."""
    return [(node["kind"], node["title"], node["outcome"]) for node in run["nodes"] if node["parent"] == parent["id"]]


def path(run: RunDocument) -> list[str]:
    """Return the titles along the failing path."""
    return [node["title"] for id_ in run["failing_path"] for node in run["nodes"] if node["id"] == id_]


def failure(code: str = "data", disposition: str = "quarantine", error: str = "DataError: bad", **more: Any) -> Any:
    """Return the facts of an ERROR."""
    return {"level": "ERROR", "code": code, "disposition": disposition, "error": error} | more
