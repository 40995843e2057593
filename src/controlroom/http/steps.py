"""What an exchange asks its driver to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from controlroom.http import library
from controlroom.http.body import BodySink
from controlroom.http.coordination import Work
from controlroom.http.messages import Request

__all__ = ["Coordinate", "Pause", "Send"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait *wait_s* seconds."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send *request* and let *sink* take the answer, each phase within its timeout (library's names, seconds).

    With *to_its_end*, a task that is cancelled takes the answer before it goes.
    """

    request: Request = field(repr=False)  # its URL may carry a key
    timeouts: dict[str, float]
    sink: BodySink
    to_its_end: bool = False

    def in_the_librarys_words(self) -> library.Request:
        """Return the request as a transport takes it, of either colour."""
        asked = self.request
        return library.Request(
            asked.method,
            asked.url,
            headers=list(asked.headers.items()),
            content=asked.content or None,
            extensions={"timeout": self.timeouts},
        )


@dataclass(frozen=True, slots=True)
class Coordinate:
    """Do *work* on what several requests or processes share, and return what came of it."""

    work: Work
