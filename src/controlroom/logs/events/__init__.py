"""Every event that controlroom logs, as data: what a log can say is a closed set.

A line that differs from its declaration is a bug of ours; `violations` finds it, in your tests as in ours. What a job
logs itself is not declared here, and not judged.
"""

from __future__ import annotations

from controlroom.logs.events.catalogue import EVENTS
from controlroom.logs.events.declarations import EXCEPTION, FAILURE, HEAD, LINKS, MARKS, Event, Field
from controlroom.logs.events.judging import violations

__all__ = ["EVENTS", "EXCEPTION", "FAILURE", "HEAD", "LINKS", "MARKS", "Event", "Field", "violations"]
