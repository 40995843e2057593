"""What a declaration is made of: an event, its facts, and the facts that any line may carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["EXCEPTION", "FAILURE", "HEAD", "LINKS", "MARKS", "Event", "Field"]

Type = Literal["string", "integer", "number", "boolean", "array", "object", "any"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True)
class Field:
    """One fact of a line.

    Attributes:
        name: Its key.
        type: What its value is in JSON; "number" takes whole numbers too.
        meaning: What it says, in a few words.
        unit: "s" or "bytes", where it measures something.
        required: Whether it stands on every line of the event.
        nullable: Whether it may be null: asked for, and not known.
        values: All that it can be, where that is a closed set.
    """

    name: str
    type: Type
    meaning: str
    unit: Literal["", "s", "bytes"] = ""
    required: bool = True
    nullable: bool = False
    values: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration as JSON-ready data."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Event:
    """One event that controlroom logs.

    Attributes:
        name: A past-tense fact.
        level: The level of each line of it.
        meaning: What has happened, in one sentence.
        loggers: Who emits it; "*" is the logger of the job.
        fields: Its own facts, in their order. Beside them a line has the `HEAD` and may have any of the `LINKS`.
        is_failure: Whether it tells of an exception: then it has the facts in `FAILURE` too, and one failure is told once.
    """

    name: str
    level: Level
    meaning: str
    loggers: tuple[str, ...]
    fields: tuple[Field, ...]
    is_failure: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration as JSON-ready data."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [item.to_dict() if isinstance(item, Field) else item for item in value]
    return value


HEAD: Final = (
    Field("timestamp", "string", "when, RFC 3339 in UTC with microseconds"),
    Field("level", "string", "how grave", values=("DEBUG", "INFO", "WARNING", "ERROR")),
    Field("event", "string", "what: the name of the event"),
    Field("logger", "string", "who"),
    Field("seq", "integer", "the number of the line in its process, from 1"),
    Field("pid", "integer", "the process"),
)
"""What every line has."""

LINKS: Final = (
    Field("run_id", "string", "the run of a job", required=False),
    Field("file", "string", "the key of the file that was being delivered", required=False),
    Field("walk", "string", 'the walk over pages, "w1"', required=False),
    Field("page", "integer", "the page being fetched, from 1", required=False),
)
"""What ties lines together: bound around the work, so that whatever happens inside carries it."""

MARKS: Final = (
    Field("truncated", "boolean", "the line was too long; its longest facts are cut to text", required=False),
    Field("sampled", "integer", "one of so many: the others were left out", required=False),
    Field(
        "buffered", "boolean", "below the level; kept, and written because of the ERROR that follows", required=False
    ),
    Field("at", "string", "where the log call stands, module:line, where asked for", required=False),
    Field("aws_request_id", "string", "AWS Lambda's name for the invocation", required=False),
    Field("tenant_id", "string", "AWS Lambda's name for the tenant", required=False),
)
"""What the logging itself, or its host, puts on a line."""

FAILURE: Final = (
    Field("error", "string", "the class of the error and its message"),
    Field("code", "string", 'the code of the error; "unforeseen" where nobody classified it'),
    Field(
        "disposition",
        "string",
        "what has to be done about it",
        values=("retry", "quarantine", "stop", "reconcile", "skip"),
    ),
    Field("exception", "object", "the whole error as data"),
)
"""What every failure has."""

EXCEPTION: Final = (
    Field("type", "string", "its class"),
    Field("message", "string", "its text"),
    Field("code", "string", "as above; of the errors of controlroom, as the next three", required=False),
    Field("disposition", "string", "as above", required=False),
    Field("exit_code", "integer", "what a process that it ends returns", required=False),
    Field("attempts", "array", "the tries: number, error, wait_s, reason of each", required=False),
    Field("retry_after_s", "number", "how long the other side asked to wait", "s", required=False),
    Field("notes", "array", "texts that were added to it", required=False),
    Field("causes", "array", "what led to it, nearest first, each like this object", required=False),
    Field("causes_omitted", "boolean", "whether there were more causes than are told", required=False),
    Field("members", "array", "of a group: the first of them, each like this object", required=False),
    Field("members_total", "integer", "of a group: how many there are", required=False),
    Field(
        "frames",
        "array",
        "file, line, function and, where it is known, source of each frame, outermost first",
        required=False,
    ),
    Field("reported", "boolean", "its frames stand on an earlier line", required=False),
)
"""What ``exception`` holds, beside the attributes that the error's class has of its own (docs/reference/errors.md)."""
