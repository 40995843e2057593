"""What writes log: units of work in a database, objects in a store."""

from __future__ import annotations

from typing import Final

from controlroom.logs.events.declarations import Event, Field

__all__ = ["OF_WRITES"]

_DURABILITIES: Final = ("none", "file", "file_and_folder", "batch")
_UNITS: Final = ("controlroom.database.unit_of_work",)
_UNIT: Final = Field("unit", "string", 'the unit of work, "u1"')
_TOOK: Final = Field("elapsed_s", "number", "how long the unit was open", "s")

OF_WRITES: Final = (
    Event("unit_committed", "DEBUG", "A unit of work committed.", _UNITS, (_UNIT, _TOOK)),
    Event(
        "unit_rolled_back",
        "INFO",
        "A unit of work was rolled back: nothing of it is in the database.",
        _UNITS,
        (_UNIT, Field("reason", "string", 'the class of the error; "asked for" without one'), _TOOK),
    ),
    Event(
        "commit_left_in_doubt",
        "WARNING",
        "COMMIT got no clear answer: the unit of work is in the database whole, or not at all.",
        _UNITS,
        (
            _UNIT,
            Field("reason", "string", "the class of the error"),
            _TOOK,
            Field("commit_token", "string", "the ledger key that it claimed", nullable=True),
            Field("server_pid", "integer", "the server's process that had it", nullable=True),
            Field("xid", "string", "the server's number of the transaction", nullable=True),
        ),
    ),
    Event(
        "on_commit_failed",
        "ERROR",
        "A hook failed after its unit of work had committed.",
        _UNITS,
        (
            _UNIT,
            Field("hook", "string", "the name of the function"),
            Field("outcome", "string", "what became of the unit", values=("committed",)),
        ),
        is_failure=True,
    ),
    Event(
        "watermark_advanced",
        "INFO",
        "Data is complete up to here; told once the unit of work has committed.",
        _UNITS,
        (
            _UNIT,
            Field("name", "string", "the watermark"),
            Field("before", "any", "where it stood", nullable=True),
            Field("after", "any", "where it stands"),
        ),
    ),
    Event(
        "checkpoint_saved",
        "DEBUG",
        "A resumable position was stored; told once the unit of work has committed.",
        _UNITS,
        (_UNIT, Field("name", "string", "the checkpoint")),
    ),
    Event(
        "wal_refused",
        "WARNING",
        "SQLite keeps no write-ahead log for this file: readers and writers wait for each other.",
        ("controlroom.database.sqlite.backend",),
        (
            Field("database", "string", "the file"),
            Field("journal_mode", "string", "what it has instead"),
        ),
    ),
    Event(
        "file_published",
        "DEBUG",
        "A file or an object became visible under its name, whole.",
        (
            "controlroom.storage.atomic",
            "controlroom.storage.batch",
            "controlroom.storage.local_objects",
            "controlroom.storage.s3.moving",
            "controlroom.storage.s3.publishing",
        ),
        (
            Field("ref", "string", "its path or URL"),
            Field("size_bytes", "integer", "how large it is", "bytes"),
            Field("sha256", "string", "of its content, for objects of a store", required=False, nullable=True),
            Field("durability", "string", "what was waited for on a local disk", required=False, values=_DURABILITIES),
        ),
    ),
    Event(
        "upload_left_behind",
        "WARNING",
        "An upload in parts failed, and could not be aborted: its parts are stored until somebody sweeps uploads.",
        ("controlroom.storage.s3.publishing",),
        (
            Field("ref", "string", "the URL of the object that it would have become"),
            Field("upload_id", "string", "the server's name of the upload"),
            Field("reason", "string", "the class of the error that kept it from being aborted"),
        ),
    ),
    Event(
        "probes_left_behind",
        "WARNING",
        "A process died while it tried what a server of S3 can do; a sweep of uploads found what it had written.",
        ("controlroom.storage.s3.janitor",),
        (
            Field("ref", "string", "the URL below which it was written"),
            Field("objects", "integer", "how many there are, versions and delete markers included"),
            Field("deleted", "integer", "how many of them were deleted"),
        ),
    ),
    Event(
        "upload_expiry_missed",
        "WARNING",
        "A bucket has no lifecycle rule that ends unfinished uploads (AbortIncompleteMultipartUpload); told once a process.",
        ("controlroom.storage.s3.janitor",),
        (Field("bucket", "string", "its name"),),
    ),
    Event(
        "entry_skipped",
        "WARNING",
        "A listing left out a name that cannot be a key.",
        ("controlroom.storage.listing", "controlroom.storage.s3.listing"),
        (Field("key", "string", "the name, escaped"), Field("reason", "string", "what is wrong with it")),
    ),
)
