"""What workers that share a database log: leases, messages, forgetting."""

from __future__ import annotations

from typing import Final

from controlroom.logs.events.declarations import Event, Field

__all__ = ["OF_COORDINATION"]

_LEASES: Final = ("controlroom.database.lease_state",)
_LEASE: Final = (Field("lease", "string", "its name"), Field("epoch", "integer", "the how manieth hold of it this is"))
_RELAYS: Final = ("controlroom.database.relaying",)
_MESSAGE: Final = (
    Field("message_id", "string", "the message"),
    Field("topic", "string", "what it is about"),
    Field("attempt", "integer", "the how manieth try it was, from 1"),
)

OF_COORDINATION: Final = (
    Event(
        "schema_migrated",
        "INFO",
        "The control tables were brought up to date.",
        ("controlroom.database.schema",),
        (
            Field("unit", "string", 'the unit of work, "u1"'),
            Field("before", "integer", "the version that they had"),
            Field("after", "integer", "the version that they have"),
        ),
    ),
    Event(
        "lease_acquired",
        "INFO",
        "This worker took a lease: nobody else has it.",
        _LEASES,
        (*_LEASE, Field("ttl_s", "number", "how long it lasts without a renewal", "s")),
    ),
    Event("lease_released", "DEBUG", "A lease was given back.", _LEASES, _LEASE),
    Event(
        "lease_renewal_failed",
        "WARNING",
        "A lease could not be renewed; it is tried again.",
        _LEASES,
        (
            *_LEASE,
            Field("reason", "string", "the class of the error"),
            Field("left_s", "number", "how long it still lasts for certain", "s"),
        ),
    ),
    Event("lease_lost", "WARNING", "Another worker has the lease: this one was silent for too long.", _LEASES, _LEASE),
    Event(
        "lease_left_to_expire",
        "WARNING",
        "A lease could not be given back: others wait until it expires.",
        _LEASES,
        (*_LEASE, Field("reason", "string", "the class of the error")),
    ),
    Event(
        "message_kept",
        "WARNING",
        "A message of the outbox could not be handed on; it is tried again.",
        _RELAYS,
        (*_MESSAGE, Field("reason", "string", "the class of the error")),
    ),
    Event(
        "message_set_aside",
        "ERROR",
        "A message of the outbox is not tried any more: it stays in its table for a person to look at.",
        _RELAYS,
        _MESSAGE,
        is_failure=True,
    ),
    Event(
        "outbox_relayed",
        "INFO",
        "Messages of the outbox were handed on.",
        _RELAYS,
        (
            Field("topic", "string", "only those about this", nullable=True),
            Field("delivered", "integer", "those that are gone from the outbox"),
            Field("failed", "integer", "those that are kept for another try"),
            Field("set_aside", "integer", "those that are kept for a person to look at"),
            Field("elapsed_s", "number", "how long it took", "s"),
        ),
    ),
    Event(
        "control_tables_pruned",
        "INFO",
        "What was old was forgotten.",
        ("controlroom.database.pruning",),
        (
            Field("ledger", "integer", "keys whose work can be done again"),
            Field("outbox", "integer", "messages that had been set aside"),
            Field("received", "integer", "ids of messages"),
            Field("leases", "integer", "leases that nobody held"),
            Field("elapsed_s", "number", "how long it took", "s"),
        ),
    ),
)
