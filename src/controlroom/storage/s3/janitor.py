"""Ends uploads that nobody will complete: by the journal of those under way, and by their age. Probes likewise."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from controlroom import clock
from controlroom.errors import ConfigError, FileOperationError
from controlroom.logs import get_logger
from controlroom.policy.flow import Flow, drive, drive_async
from controlroom.policy.object_calls import Call
from controlroom.policy.quantities import is_finite
from controlroom.policy.s3_sweeping import Found, has_expiry, sweep, sweep_probes
from controlroom.storage.s3.journal import JournalView, NotedUpload
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3_keys import PROBES, S3Place
from controlroom.storage.threads import in_thread

if TYPE_CHECKING:
    from controlroom.storage.s3.performer import S3Performer
    from controlroom.storage.s3.performer_async import AsyncS3Performer

__all__ = ["StaleUpload", "StaleUploads", "abort_stale_uploads", "abort_stale_uploads_async"]

_log = get_logger(__name__)

# A probe that is under way takes seconds: what swept its objects away would have it learn something wrong.
_PROBING_S: Final = 600.0

_warned: set[tuple[str | None, str]] = set()


@dataclass(frozen=True, slots=True)
class StaleUpload:
    """An upload that nobody will complete.

    Attributes:
        key: Of the object that it would have become.
        upload_id: The server's name of it.
        initiated_at: When it was begun, by the server's clock, aware UTC.
        aborted: Whether it was aborted; False on a dry run.
    """

    key: str
    upload_id: str
    initiated_at: datetime
    aborted: bool


StaleUploads = list[StaleUpload]
"""What a sweep found; a name of its own, since stores have a method called list."""


def abort_stale_uploads(performer: S3Performer, prefix: str, *, older_than_s: float, dry_run: bool) -> StaleUploads:
    """Abort unfinished uploads that are stale; see `S3Store.abort_stale_uploads`."""
    place, options = performer.place, performer.options
    with performer.limited(), closing(JournalView(options.uploads_journal)) as journal:
        janitor = _Janitor(place, options, journal, dry_run=dry_run)
        found = drive(janitor.sweep(prefix, older_than_s), performer.perform)
        janitor.strike_off(found)
        if janitor.finds_probes:
            janitor.tell_of_probes(*drive(janitor.sweep_probes(), performer.perform))
        if janitor.wonders:
            janitor.tell(drive(has_expiry(), performer.perform))
        return janitor.result(found)


async def abort_stale_uploads_async(
    performer: AsyncS3Performer, prefix: str, *, older_than_s: float, dry_run: bool
) -> StaleUploads:
    """Abort unfinished uploads that are stale; see `S3Store.abort_stale_uploads`."""
    place, options = performer.place, performer.options
    with performer.limited(), closing(await in_thread(JournalView, options.uploads_journal)) as journal:
        janitor = _Janitor(place, options, journal, dry_run=dry_run)
        found = await drive_async(janitor.sweep(prefix, older_than_s), performer.perform)
        await in_thread(janitor.strike_off, found)
        if janitor.finds_probes:
            janitor.tell_of_probes(*await drive_async(janitor.sweep_probes(), performer.perform))
        if janitor.wonders:
            janitor.tell(await drive_async(has_expiry(), performer.perform))
        return janitor.result(found)


class _Janitor:
    """What both colours do alike."""

    def __init__(self, place: S3Place, options: S3Options, journal: JournalView, *, dry_run: bool) -> None:
        self._place = place
        self._server = options.endpoint_url
        self._journal = journal
        self._dry_run = dry_run
        self._prefix = ""
        self._older_than_s = 0.0

    def sweep(self, prefix: str, older_than_s: float) -> Flow[Call, list[Found]]:
        """Return what is to be done."""
        if not is_finite(older_than_s) or older_than_s < 0:
            message = f"older_than_s={older_than_s!r} is not possible: give seconds, zero or more. Nothing was aborted."
            raise ConfigError(message)
        self._prefix, self._older_than_s = self._place.full_prefix(prefix), older_than_s
        return sweep(
            self._prefix,
            older_than_s=older_than_s,
            dry_run=self._dry_run,
            living={(upload.key, upload.upload_id) for upload in self._here(self._journal.living)},
            dead={(upload.key, upload.upload_id) for upload in self._here(self._journal.dead)},
            now=clock.utcnow(),
            ref=self._place.url,
        )

    def _here(self, uploads: Iterable[NotedUpload]) -> list[NotedUpload]:
        return [
            upload for upload in uploads if (upload.bucket, upload.endpoint_url) == (self._place.bucket, self._server)
        ]

    def strike_off(self, found: list[Found]) -> None:
        """Forget the uploads of the dead that are over: aborted now, or not there any more."""
        if self._dry_run:
            return
        failed = {(stale.key, stale.upload_id) for stale in found if stale.failure is not None}
        for upload in self._here(self._journal.dead):
            if upload.key.startswith(self._prefix) and (upload.key, upload.upload_id) not in failed:
                self._journal.forget(upload)

    @property
    def finds_probes(self) -> bool:
        """Whether the uploads of probes are swept: then so are their objects."""
        return self._probes.startswith(self._prefix)

    @property
    def _probes(self) -> str:
        return f"{self._place.prefix}{PROBES}"

    def sweep_probes(self) -> Flow[Call, tuple[int, int]]:
        """Return what is to be done about probes whose process died."""
        older_than_s = max(self._older_than_s, _PROBING_S)
        return sweep_probes(self._probes, older_than_s=older_than_s, dry_run=self._dry_run, now=clock.utcnow())

    def tell_of_probes(self, found: int, deleted: int) -> None:
        """Tell the log of them."""
        if found:
            _log.warning(
                "probes_left_behind", ref=self._place.ref(self._probes, whole=True), objects=found, deleted=deleted
            )

    @property
    def wonders(self) -> bool:
        """Whether to ask for the rules of the bucket: once in a process."""
        return (self._server, self._place.bucket) not in _warned

    def tell(self, has_rule: bool | None) -> None:  # noqa: FBT001 - an answer, not a switch
        """Tell the log that the bucket ends no uploads itself."""
        _warned.add((self._server, self._place.bucket))
        if has_rule is False:
            _log.warning("upload_expiry_missed", bucket=self._place.bucket)

    def result(self, found: list[Found]) -> StaleUploads:
        """Return what was stale.

        Raises:
            FileOperationError: Some could not be aborted.
        """
        failed = [stale for stale in found if stale.failure is not None]
        if failed:
            raise _failure(self._place, found, failed)
        return [
            StaleUpload(self._key(stale.key), stale.upload_id, stale.initiated_at, aborted=not self._dry_run)
            for stale in found
        ]

    def _key(self, full: str) -> str:
        return self._place.key_of(full) or full.removeprefix(self._place.prefix)


def _failure(place: S3Place, stale: list[Found], failed: list[Found]) -> FileOperationError:
    causes = [each.failure for each in failed if each.failure is not None]
    if len(causes) == 1 == len(stale):
        return causes[0]
    message = (
        f"{place.url}: {len(failed)} of {len(stale)} stale uploads could not be aborted; the others were. Their parts are still"
        " stored. The first: " + causes[0].message
    )
    error = FileOperationError(message, ref=place.url)
    error.__cause__ = ExceptionGroup("uploads that could not be aborted", causes)
    for each in failed:
        error.add_note(f"{place.ref(each.key, whole=True)}, upload {each.upload_id}: {each.failure}")
    return error
