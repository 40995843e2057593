"""What an inbox logs of the files that it delivers."""

from __future__ import annotations

from typing import Final

from controlroom.logs.events.declarations import Event, Field

__all__ = ["OF_DELIVERIES"]

_HANDLING: Final = ("controlroom.ingestion",)
_FILE: Final = Field("file", "string", "the file's key in the store")
_KEY: Final = Field("key", "string", "the same")
_ATTEMPT: Final = Field("attempt", "integer", "which attempt at the file, from 1")
_ATTEMPTS: Final = Field("attempts", "integer", "attempts allowed")
_TOOK: Final = Field("elapsed_s", "number", "since it was claimed", "s")
_FATES: Final = ("archive", "quarantine")

OF_DELIVERIES: Final = (
    Event(
        "file_claimed",
        "INFO",
        "This worker, and no other, has the file.",
        _HANDLING,
        (_FILE, _KEY, _ATTEMPT, _ATTEMPTS, Field("size_bytes", "integer", "how large it is", "bytes")),
    ),
    Event("file_left_alone", "DEBUG", "Another worker has the file.", _HANDLING, (_FILE, _KEY)),
    Event(
        "file_unsettled", "DEBUG", "Somebody is still writing the file: a later run takes it.", _HANDLING, (_FILE, _KEY)
    ),
    Event(
        "notification_passed_over",
        "DEBUG",
        "A notification told of nothing that is to be done.",
        _HANDLING,
        (
            Field("key", "string", "the object's key in its bucket"),
            Field("kind", "string", "what happened to it"),
            Field("reason", "string", "why nothing is to be done"),
        ),
    ),
    Event(
        "file_vanished",
        "INFO",
        "The file was gone before it could be read: somebody took it away.",
        _HANDLING,
        (_FILE, _KEY, _ATTEMPT),
    ),
    Event(
        "record_rejected",
        "WARNING",
        "A record was set aside; told of the first five of a file.",
        ("controlroom.ingestion.rejects",),
        (
            _FILE,
            _KEY,
            Field("line", "integer", "its line or position in the file, from 1", nullable=True),
            Field("reason", "string", "what is wrong with it"),
        ),
    ),
    Event(
        "file_ingested",
        "INFO",
        "What the handler wrote has committed; where archiving failed, the next run repeats that.",
        _HANDLING,
        (_FILE, _KEY, _ATTEMPT, Field("rejected", "integer", "records set aside"), _TOOK),
    ),
    Event(
        "file_skipped",
        "INFO",
        "The file was archived without effects.",
        _HANDLING,
        (
            _FILE,
            _KEY,
            _ATTEMPT,
            Field("reason", "string", "why there was nothing to do"),
            Field("same_as", "string", "the key under which the same content was ingested", nullable=True),
            _TOOK,
        ),
    ),
    Event(
        "file_failed",
        "ERROR",
        "The work on the file failed, or what was decided about it could not be carried out.",
        _HANDLING,
        (
            _FILE,
            _KEY,
            Field("attempt", "integer", "which attempt at the file, from 1", required=False),
            Field("fate", "string", "the decision that could not be carried out", required=False, values=_FATES),
        ),
        is_failure=True,
    ),
    Event(
        "file_quarantined",
        "WARNING",
        "The file was set aside, with its reason beside it; nothing of it is in the database.",
        _HANDLING,
        (
            _FILE,
            _KEY,
            _ATTEMPT,
            _ATTEMPTS,
            Field("to", "string", "its key now; null where the next run has to move it", nullable=True),
            Field("reason", "string", "the class of the error"),
            _TOOK,
        ),
    ),
    Event(
        "file_released",
        "WARNING",
        "The file was given back: rolled back, and delivered again by a later run.",
        _HANDLING,
        (_FILE, _KEY, _ATTEMPT, Field("reason", "string", "the class of the error"), _TOOK),
    ),
    Event(
        "file_abandoned",
        "WARNING",
        "Nothing could be settled about the file: it is delivered again when the lease of its claim has run out.",
        _HANDLING,
        (_FILE, _KEY, _ATTEMPT, Field("reason", "string", "the class of the error that prevented it")),
    ),
    Event(
        "file_finished",
        "INFO",
        "What a worker that died had decided about the file was carried out.",
        _HANDLING,
        (
            _FILE,
            _KEY,
            Field("fate", "string", "the decision", values=_FATES),
            Field("reason", "string", "why, where it was quarantined", nullable=True),
        ),
    ),
)
