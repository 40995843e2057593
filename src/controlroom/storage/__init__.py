"""Files and object stores: content appears whole or not at all, and every outcome has a name.

Rules of this package:

* `controlroom.policy.publication` decides the order of steps and what is undone; the publishers here perform them.
* Sync is the truth for local files; async is one thread hop a step, drained on cancellation.
* Every OSError is translated once, in `classify`.
"""

from __future__ import annotations

from controlroom.storage.atomic import atomic_writer, write_bytes, write_json, write_text
from controlroom.storage.batch import AtomicBatch, atomic_batch
from controlroom.storage.files import AtomicBinaryFile, AtomicTextFile, ObjectReader, ObjectWriter
from controlroom.storage.files_async import AsyncObjectReader, AsyncObjectWriter
from controlroom.storage.local import LocalStore
from controlroom.storage.local_async import AsyncLocalStore
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.opening import open_store, open_store_async
from controlroom.storage.partitions import DatePartition
from controlroom.storage.protocols import AsyncObjectStore, ObjectStore
from controlroom.storage.transferring import transfer, transfer_async

__all__ = [
    "AsyncLocalStore",
    "AsyncObjectReader",
    "AsyncObjectStore",
    "AsyncObjectWriter",
    "AtomicBatch",
    "AtomicBinaryFile",
    "AtomicTextFile",
    "DatePartition",
    "LocalStore",
    "ObjectInfo",
    "ObjectReader",
    "ObjectStore",
    "ObjectWriter",
    "Receipt",
    "atomic_batch",
    "atomic_writer",
    "open_store",
    "open_store_async",
    "transfer",
    "transfer_async",
    "write_bytes",
    "write_json",
    "write_text",
]
