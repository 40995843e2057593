"""Objects of S3 are copied, moved and removed: performs the steps of `controlroom.policy.s3_moving` and its kin."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from controlroom import clock
from controlroom.errors import ConfigError, ObjectNotFoundError
from controlroom.logs import get_logger
from controlroom.policy.flow import Flow, drive
from controlroom.policy.object_calls import Call, Calls
from controlroom.policy.s3_copies import Copied, Copying, Located
from controlroom.policy.s3_copying import Look, Step, copy, described
from controlroom.policy.s3_moving import delete, delete_many, move
from controlroom.policy.s3_pieces import AbortUpload, Ask, ForgetUpload, NoteUpload
from controlroom.storage.objects import Receipt
from controlroom.storage.s3.encryption import encrypted_by
from controlroom.storage.s3.journal import UploadsJournal
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3.publishing import ABORT_WITHIN_S, journal_of, noted
from controlroom.storage.s3_keys import S3Place

__all__ = ["CopyPerformer", "Requests", "S3Moving"]

_log = get_logger(__name__)


class Requests:
    """What both colours have in common: what is asked of them as values for flows, and their receipts.

    Args:
        place: Bucket and prefix.
        options: How the store goes about its work.
        single_bytes: What is longer is copied in parts; S3's own limit when not given.
        part_bytes: In parts of this length, where the source has none.
    """

    def __init__(
        self, place: S3Place, options: S3Options, *, single_bytes: int | None = None, part_bytes: int | None = None
    ) -> None:
        self._place = place
        self._options = options
        lengths = {"single_bytes": single_bytes, "part_bytes": part_bytes}
        self._lengths = {name: length for name, length in lengths.items() if length is not None}

    def copying(self, src: str, dst: str, *, if_absent: bool) -> Copying:
        """Return what is to be copied where.

        Raises:
            UnsafePathError: One of them cannot be a key.
        """
        return Copying(
            self._place.bucket,
            self.located(src),
            self.located(dst),
            uuid.uuid4().hex,
            if_absent=if_absent,
            tags=self._options.tags,
            encryption=encrypted_by(self._options.encryption),
            **self._lengths,
        )

    def located(self, key: str) -> Located:
        """Return where *key* is."""
        return Located(self._place.full_key(key), self._place.ref(key))

    def all_located(self, keys: Iterable[str]) -> list[Located]:
        """Return where *keys* are, each once.

        Raises:
            UnsafePathError: One of them cannot be a key.
            ConfigError: They are a single text.
        """
        if isinstance(keys, str):
            message = f"delete_many({keys!r}): give several keys, not one text: its letters would be taken for keys."
            raise ConfigError(message)
        return list({key: self.located(key) for key in keys}.values())

    def receipt(self, work: Copying, done: Copied) -> Receipt:
        """Prove a copy, and tell the log."""
        _log.debug("file_published", ref=work.target.ref, size_bytes=done.size_bytes, sha256=done.sha256 or None)
        return Receipt(work.target.ref, done.size_bytes, done.sha256, done.etag, done.version)


class S3Moving:
    """Copies, moves and removes objects.

    Args:
        performer: Performs the calls.
        single_bytes: As of `Requests`.
        part_bytes: As of `Requests`.
    """

    def __init__(
        self, performer: S3Performer, *, single_bytes: int | None = None, part_bytes: int | None = None
    ) -> None:
        self._performer = performer
        self._requests = Requests(performer.place, performer.options, single_bytes=single_bytes, part_bytes=part_bytes)

    def copy(self, src: str, dst: str, *, if_absent: bool) -> Receipt:
        """Copy *src* to *dst*."""
        work = self._requests.copying(src, dst, if_absent=if_absent)
        return self._requests.receipt(work, self._driven(copy(work)))

    def move(self, src: str, dst: str, *, if_absent: bool) -> Receipt:
        """Move *src* to *dst*."""
        work = self._requests.copying(src, dst, if_absent=if_absent)
        return self._requests.receipt(work, self._driven(move(work)))

    def delete(self, key: str, if_match: str | None) -> None:
        """Remove *key*."""
        self._driven(delete(self._requests.located(key), if_match))

    def delete_many(self, keys: Iterable[str]) -> None:
        """Remove *keys*."""
        self._driven(delete_many(self._requests.all_located(keys)))

    def _driven(self, flow: Flow[Step, Any]) -> Any:
        with self._performer.limited(), closing(CopyPerformer(self._performer)) as performer:
            return drive(flow, performer.perform)


class CopyPerformer:
    """Performs the steps of one operation. Close it.

    Args:
        performer: Of calls.
    """

    def __init__(self, performer: S3Performer) -> None:
        self._performer = performer
        self._journal: UploadsJournal | None = journal_of(performer.options)

    def perform(self, step: Step) -> Any:
        """Do what *step* says."""
        match step:
            case Call() | Calls():
                return self._performer.perform(step)
            case Look():
                return self._look(step.key)
            case Ask():
                return self._performer.capabilities.has(step.capability)
            case AbortUpload():
                with clock.unhurried(), clock.deadline(ABORT_WITHIN_S):
                    return self._performer.perform(step.call)
            case NoteUpload() if self._journal is not None:
                self._journal.note(noted(self._performer.place, self._performer.options, step.key, step.upload_id))
            case ForgetUpload() if self._journal is not None:
                self._journal.forget(step.upload_id)
        return None  # or there is no journal to note it in

    def _look(self, key: str) -> Any:
        try:
            return self._performer.perform(described(key))
        except ObjectNotFoundError:
            return None

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()
