"""The story of a run, from its log alone.

`story` reads JSON lines one by one and keeps sums, not lines: a log of any length fits. Lines of other programs, and
lines that were cut, are counted and passed over. Nothing is looked up anywhere else, so a log explains a run on any
machine.
"""

from __future__ import annotations

from controlroom.explain.command import main
from controlroom.explain.parts import Failure, FileStory, Part, RequestStory, RetryStory, WalkStory
from controlroom.explain.run import RunStory
from controlroom.explain.story import Story, story
from controlroom.explain.text import render_text

__all__ = [
    "Failure",
    "FileStory",
    "Part",
    "RequestStory",
    "RetryStory",
    "RunStory",
    "Story",
    "WalkStory",
    "main",
    "render_text",
    "story",
]
