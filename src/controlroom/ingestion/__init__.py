"""Files in, rows out, exactly once: an inbox over a store and a database."""

from __future__ import annotations

from controlroom.ingestion.delivery import Delivery
from controlroom.ingestion.delivery_async import AsyncDelivery
from controlroom.ingestion.inbox import Inbox
from controlroom.ingestion.inbox_async import AsyncInbox
from controlroom.ingestion.outcomes import InboxReport
from controlroom.ingestion.work import Work
from controlroom.ingestion.work_async import AsyncWork

__all__ = ["AsyncDelivery", "AsyncInbox", "AsyncWork", "Delivery", "Inbox", "InboxReport", "Work"]
