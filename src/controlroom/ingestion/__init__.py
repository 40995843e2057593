"""Files in, rows out, exactly once: an inbox over a store and a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlroom.ingestion.delivery import Delivery
from controlroom.ingestion.inbox import Inbox
from controlroom.ingestion.outcomes import InboxReport
from controlroom.ingestion.work import Work

if TYPE_CHECKING:
    from controlroom.ingestion.delivery_async import AsyncDelivery
    from controlroom.ingestion.inbox_async import AsyncInbox
    from controlroom.ingestion.work_async import AsyncWork

__all__ = ["AsyncDelivery", "AsyncInbox", "AsyncWork", "Delivery", "Inbox", "InboxReport", "Work"]

# On first use: SQLAlchemy's asynchronous half brings its ORM along, some 0.4 s that a sync job need not spend.
_HOMES = {"AsyncDelivery": "delivery_async", "AsyncInbox": "inbox_async", "AsyncWork": "work_async"}


def __getattr__(name: str) -> Any:
    if (module := _HOMES.get(name)) is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415 - on first use, like what it imports

    return getattr(import_module(f"{__name__}.{module}"), name)
