"""The story of a run, from its log alone.

`story` reads JSON lines one by one and keeps a tree of what happened, no larger than a person reads: a log of any length
fits. Lines of other programs, and lines that were cut, are counted and passed over. Nothing is looked up anywhere else,
so a log explains a run on any machine.
"""

from __future__ import annotations

from controlroom.explain.command import main, read, show, write_html
from controlroom.explain.document import StoryDocument
from controlroom.explain.run import RunStory
from controlroom.explain.story import Story, story
from controlroom.explain.text import render_text

__all__ = ["RunStory", "Story", "StoryDocument", "main", "read", "render_text", "show", "story", "write_html"]
