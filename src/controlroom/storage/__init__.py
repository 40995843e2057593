"""Files and object stores: content appears whole or not at all, and every outcome has a name.

Rules of this package:

* `controlroom.policy.publication` decides the order of steps and what is undone; the publishers here perform them.
* Sync is the truth for local files; async is one thread hop a step, drained on cancellation.
* Every OSError is translated once, in `classify`.
"""

from __future__ import annotations

from controlroom.policy.durability import Durability
from controlroom.policy.s3_events import ObjectEvent
from controlroom.storage.atomic import atomic_writer, write_bytes, write_json, write_text
from controlroom.storage.batch import AtomicBatch, atomic_batch
from controlroom.storage.events import parse_s3_events
from controlroom.storage.files import AtomicBinaryFile, AtomicTextFile, ObjectReader, ObjectWriter
from controlroom.storage.files_async import AsyncObjectReader, AsyncObjectWriter
from controlroom.storage.local import LocalStore
from controlroom.storage.local_async import AsyncLocalStore
from controlroom.storage.manifests import (
    Manifest,
    ManifestEntry,
    publish_manifest,
    publish_manifest_async,
    read_manifest,
    read_manifest_async,
    sweep_manifest,
    sweep_manifest_async,
)
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.opening import open_store, open_store_async
from controlroom.storage.partitions import DatePartition, Partition
from controlroom.storage.protocols import AsyncObjectStore, ObjectStore
from controlroom.storage.s3.janitor import StaleUpload
from controlroom.storage.s3.options import S3Encryption, S3Timeouts
from controlroom.storage.s3.store import S3Store
from controlroom.storage.s3.store_async import AsyncS3Store
from controlroom.storage.transferring import transfer, transfer_async

__all__ = [
    "AsyncLocalStore",
    "AsyncObjectReader",
    "AsyncObjectStore",
    "AsyncObjectWriter",
    "AsyncS3Store",
    "AtomicBatch",
    "AtomicBinaryFile",
    "AtomicTextFile",
    "DatePartition",
    "Durability",
    "LocalStore",
    "Manifest",
    "ManifestEntry",
    "ObjectEvent",
    "ObjectInfo",
    "ObjectReader",
    "ObjectStore",
    "ObjectWriter",
    "Partition",
    "Receipt",
    "S3Encryption",
    "S3Store",
    "S3Timeouts",
    "StaleUpload",
    "atomic_batch",
    "atomic_writer",
    "open_store",
    "open_store_async",
    "parse_s3_events",
    "publish_manifest",
    "publish_manifest_async",
    "read_manifest",
    "read_manifest_async",
    "sweep_manifest",
    "sweep_manifest_async",
    "transfer",
    "transfer_async",
    "write_bytes",
    "write_json",
    "write_text",
]
