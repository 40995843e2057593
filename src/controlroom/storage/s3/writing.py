"""Publishes objects in S3: performs the steps of `controlroom.policy.s3_publication`, several parts at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from controlroom import clock
from controlroom.errors import ObjectNotFoundError
from controlroom.policy.flow import Flow, drive
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_pieces import (
    AbortUpload,
    Ask,
    Begin,
    BeginUpload,
    CheckSource,
    ForgetUpload,
    Gather,
    NoteUpload,
    Publication,
    Published,
    ReadPiece,
    Rewind,
    Step,
    StopParts,
)
from controlroom.policy.s3_publication import abort_upload, finish, publish, push
from controlroom.storage.files import ObjectSink, ObjectWriter
from controlroom.storage.objects import Receipt
from controlroom.storage.s3.publishing import (
    ABORT_WITHIN_S,
    Asked,
    body_bytes,
    has_room,
    journal_of,
    noted,
    receipt,
    requested,
    sums_of,
    told_of_orphan,
)
from controlroom.storage.s3.uploading import PartBuffer, PieceReader
from controlroom.storage.sources import Source, check_source

if TYPE_CHECKING:
    from controlroom.storage.s3.performer import S3Performer

__all__ = ["Uploader", "publish_object", "writing_object"]

T = TypeVar("T")


def publish_object(
    performer: S3Performer,
    key: str,
    source: Source,
    **asked: Unpack[Asked],
) -> Receipt:
    """Make the bytes of *source* the object *key*, as one piece; see `S3Store.publish`."""
    check_source(source)
    with performer.limited(), closing(PieceReader(source, sums_of(performer.options))) as reader:
        publication = requested(performer, key, length_bytes=reader.length_bytes, **asked)
        with Uploader(performer, publication, reader) as uploader:
            return receipt(publication, drive(publish(publication), uploader.perform))


@contextmanager
def writing_object(
    performer: S3Performer,
    key: str,
    **asked: Unpack[Asked],
) -> Iterator[ObjectWriter]:
    """Write the object *key* piece by piece; see `S3Store.writer`."""
    publication = requested(performer, key, **asked)
    with Uploader(performer, publication) as uploader:
        pushing = _Pushing(performer, publication, uploader)
        file = ObjectWriter(ObjectSink(publication.ref, pushing.append))
        try:
            yield file
            file.close()
        except BaseException:
            file.discard()
            pushing.discard()
            raise
        if file.discarded:
            pushing.discard()
        else:
            file.receipt = receipt(publication, pushing.publish())


class _Pushing:
    """Sends what is written, part by part, as it comes."""

    def __init__(self, performer: S3Performer, publication: Publication, uploader: Uploader) -> None:
        self._performer = performer
        self._publication = publication
        self._uploader = uploader
        self._buffer = PartBuffer(publication)

    def append(self, data: memoryview) -> int:
        """Take the beginning of *data*."""
        buffer = self._buffer
        buffer.require_sound()
        if buffer.is_full:
            try:
                buffer.upload = self._drive(push(self._publication, buffer.upload, buffer.piece(is_last=False)))
            except BaseException as error:
                buffer.failure = error
                raise
        return buffer.take(data)

    def publish(self) -> Published:
        """Make what was written the object."""
        buffer = self._buffer
        buffer.require_sound()
        return self._drive(finish(self._publication, buffer.upload, buffer.piece(is_last=True)))

    def discard(self) -> None:
        """Forget what was written."""
        if self._buffer.upload is not None:
            self._drive(abort_upload(self._publication, self._buffer.upload))

    def _drive(self, flow: Flow[Step, T]) -> T:
        with self._performer.limited():
            return drive(flow, self._uploader.perform)


class Uploader:
    """Performs the steps of one publication. Close it: nothing of it is under way afterwards.

    Args:
        performer: Of calls.
        publication: What shall be published.
        reader: Of the source; None where pieces are pushed.
    """

    def __init__(self, performer: S3Performer, publication: Publication, reader: PieceReader | None = None) -> None:
        self._performer = performer
        self._publication = publication
        self._reader = reader
        self._journal = journal_of(performer.options)
        self._pool: ThreadPoolExecutor | None = None
        self._begun: list[Future[Any]] = []
        self._under_way: dict[Future[Any], int] = {}
        self._abandon: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what is under way, and let go of the rest."""
        self._stop()
        if self._journal is not None:
            self._journal.close()

    def perform(self, step: Step) -> Any:
        """Do what *step* says."""
        match step:
            case Call():
                return self._performer.perform(step)
            case BeginUpload():
                return self._performer.perform(step.call)
            case ReadPiece():
                return self._source.read(step.size_bytes)
            case Gather():
                return [future.result() for future in self._begun]
            case Begin():
                self._begin(step.call)
            case StopParts():
                self._stop()
            case AbortUpload():
                self._abort(step)
            case _:
                return self._attend_to(step)
        return None

    def _attend_to(self, step: NoteUpload | ForgetUpload | Ask | Rewind | CheckSource) -> Any:
        match step:
            case NoteUpload() if self._journal is not None:
                place, options = self._performer.place, self._performer.options
                self._journal.note(noted(place, options, step.key, step.upload_id))
            case ForgetUpload() if self._journal is not None:
                self._journal.forget(step.upload_id)
            case Ask():
                return self._performer.capabilities.has(step.capability)
            case Rewind():
                return self._reader is not None and self._reader.rewind()
            case CheckSource() if self._reader is not None:
                self._reader.check()
        return None

    @property
    def _source(self) -> PieceReader:
        assert self._reader is not None, "pieces are pushed"  # noqa: S101 - what pushes pieces reads none
        return self._reader

    def _begin(self, call: Call) -> None:
        """Begin *call* as soon as there is room for it; see `has_room`."""
        options, size_bytes = self._performer.options, body_bytes(call)
        while not has_room(self._under_way, size_bytes, options):
            for done in wait(self._under_way, return_when=FIRST_COMPLETED).done:
                del self._under_way[done]
                done.result()
        self._pool = self._pool or ThreadPoolExecutor(options.parallel, "controlroom-s3")
        context, abandon = clock.abandonable()
        future = self._pool.submit(context.run, self._performer.perform, call)
        self._under_way[future] = size_bytes
        self._begun.append(future)
        self._abandon.append(abandon)

    def _stop(self) -> None:
        for abandon in self._abandon:
            abandon()
        for future in self._begun:
            future.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        self._pool = None
        self._begun, self._abandon = [], []
        self._under_way.clear()

    def _abort(self, step: AbortUpload) -> None:
        try:
            with clock.unhurried(), clock.deadline(ABORT_WITHIN_S):
                self._performer.perform(step.call)
        except ObjectNotFoundError:
            raise
        except BaseException as error:
            told_of_orphan(self._publication.ref, step, error)
            raise
