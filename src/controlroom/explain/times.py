"""Where the time of a run went: parts that leave each other out, so that they add up."""

from __future__ import annotations

from collections.abc import Iterator

from controlroom.explain.sums import Sums

__all__ = ["times_of"]

_ELSEWHERE = "everything else"
_LEAST_S = 1e-6  # what is told is rounded to that
_LEAST_SHARE = 0.01  # less of the run than this is nobody's question


def times_of(sums: Sums, elapsed_s: float | None) -> list[tuple[str, float]]:
    """Return the parts, longest first, in seconds.

    They add up to *elapsed_s*, unless pages or files were worked on side by side: then they come to more.
    """
    parts = [(name, seconds) for name, seconds in _parts(sums) if seconds >= _LEAST_S]
    if parts and elapsed_s is not None:
        rest_s = elapsed_s - sum(seconds for _, seconds in parts)
        if rest_s > _LEAST_SHARE * elapsed_s:
            parts.append((_ELSEWHERE, rest_s))
    return sorted(parts, key=lambda part: (part[0] == _ELSEWHERE, -part[1]))


def _parts(sums: Sums) -> Iterator[tuple[str, float]]:
    yield "waiting before retries", sums.waited_s
    yield "fetching pages", sums.pages_s
    yield "downloading", sums.downloads_s
    inside_s = sums.pages_in_files_s + sums.waited_in_files_s + sums.downloads_in_files_s
    yield "working on files", sums.files_s - inside_s
    if not sums.pages_s and not sums.downloads_s:  # what those take is the time of their requests
        yield "other requests", sums.requests_s
