"""What a run is called, how it ended, and who must act on that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from controlroom.explain.html.facts import described
from controlroom.explain.html.markup import Html, cleaned, element
from controlroom.explain.html.tree import OUTCOMES
from controlroom.explain.html.values import instant, listed, mapped, number, seconds_shown, text

__all__ = ["beginning", "elapsed", "id_of", "is_calm", "outcome_tag", "run_name", "summary", "who_acts"]

_LONGEST_NAME: Final = 120
_LONGEST_WHO: Final = 400
_TONES: Final = {
    "succeeded": "ok",
    "skipped": "skipped",
    "stopped": "released",
    "finished": "skipped",
    "": "unfinished",
}


def run_name(run: Mapping[str, Any]) -> str:
    """Return what the run is called."""
    return cleaned(text(run.get("job")) or text(run.get("id")) or "Outside any run", _LONGEST_NAME)


def id_of(run: Mapping[str, Any]) -> Html:
    """Return the run's id, as something beside its name."""
    return element("span", cleaned(text(run.get("id")), _LONGEST_NAME), class_="hint data")


def is_calm(run: Mapping[str, Any]) -> bool:
    """Tell whether the run did what it should."""
    return text(run.get("outcome")) in {"succeeded", "skipped"}


def outcome_tag(run: Mapping[str, Any]) -> Html:
    """Return how the run ended, as it can be seen at a glance."""
    outcome = text(run.get("outcome"))
    tone = _TONES.get(outcome, outcome if outcome in OUTCOMES else "failed")
    return element("span", cleaned(outcome or "no end was logged", _LONGEST_NAME), class_=f"tag {tone}")


def beginning(run: Mapping[str, Any]) -> datetime | None:
    """Return when the run began, or the first of its nodes."""
    known = (instant(mapped(node).get("began_at")) for node in listed(run.get("nodes")))
    return instant(run.get("began_at")) or min(filter(None, known), default=None)


def elapsed(run: Mapping[str, Any]) -> str:
    """Return how long the run took, as far as its log says."""
    elapsed_s = number(run.get("elapsed_s"))
    return "unknown" if elapsed_s is None else seconds_shown(elapsed_s)


def who_acts(run: Mapping[str, Any]) -> Html:
    """Return who must act on the run."""
    who = cleaned(text(run.get("who_acts")), _LONGEST_WHO) or "not said in the log"
    tone = _TONES.get(text(run.get("outcome")), "failed")
    if tone == "ok" and not who.startswith("nobody"):
        tone = "quarantined"
    return element("p", element("b", "Who must act"), " ", element("span", who, class_="data"), class_=f"act {tone}")


def summary(run: Mapping[str, Any]) -> Html:
    """Return what the run was and how it ended."""
    began, ended = beginning(run), instant(run.get("ended_at"))
    known = {
        "outcome": "" if text(run.get("outcome")) else "unknown: it still runs, was killed, or the log ends early",
        "reason": text(run.get("reason")),
        "exit code": text(run.get("exit_code")),
        "began": "" if began is None else f"{began:%Y-%m-%d %H:%M:%S} UTC",
        "ended": "" if ended is None else f"{ended:%Y-%m-%d %H:%M:%S} UTC",
        "elapsed": elapsed(run),
        "progress": _progress(mapped(run.get("progress"))),
        "host": text(run.get("host")),
        "run": text(run.get("id")),
    }
    return element("div", described(known), class_="summary")


def _progress(progress: Mapping[str, Any]) -> str:
    done, total = number(progress.get("done")), number(progress.get("total"))
    if done is None:
        return ""
    return f"{done:,.0f}" if not total else f"{done:,.0f} of {total:,.0f} ({done / total:.0%})"
