"""Objects of S3 are looked up and read: in one request where they are small, in parallel stretches of one version else."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, Self

from controlroom.errors import ObjectNotFoundError
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_reading import Pin, Promise, first, pinned, promised
from controlroom.storage.atomic import atomic_writer
from controlroom.storage.conditions import check_limit
from controlroom.storage.files import ObjectReader
from controlroom.storage.objects import ObjectInfo, Receipt
from controlroom.storage.paths import StrPath
from controlroom.storage.s3.downloading import write_down
from controlroom.storage.s3.listing import listed
from controlroom.storage.s3.metadata import described
from controlroom.storage.s3.performer import S3Performer
from controlroom.storage.s3.streams import PinnedFile, Stream
from controlroom.storage.s3.stretches import Stretches
from controlroom.storage.s3.sums import SumOfStretches, Verification

__all__ = ["S3Reading", "Whole", "head"]


class S3Reading:
    """Looks objects up and reads them.

    Args:
        performer: Performs the calls.
    """

    def __init__(self, performer: S3Performer) -> None:
        self._performer = performer

    def stat(self, key: str) -> ObjectInfo:
        """Describe *key*."""
        full = self._performer.place.full_key(key)
        with self._performer.limited():
            return described(key, self._performer.perform(head(full)))

    def exists(self, key: str) -> bool:
        """Tell whether there is *key*."""
        try:
            self.stat(key)
        except ObjectNotFoundError:
            return False
        return True

    def open(self, key: str) -> ObjectReader:
        """Open *key*: one answer, which is read as its reader asks for it."""
        answer, pin = self.begun(key)
        return ObjectReader(PinnedFile(self._performer, pin, answer), described(key, answer))

    def begun(self, key: str) -> tuple[Mapping[str, Any], Pin]:
        """Ask for all of *key*; answer what came back, its body unread, and which version that is."""
        place = self._performer.place
        full = place.full_key(key)
        with self._performer.limited():
            answer: Mapping[str, Any] = self._performer.perform(first(full))
        try:
            return answer, pinned(answer, full, place.ref(key))
        except BaseException:
            answer["Body"].close()
            raise

    def read_bytes(self, key: str, max_bytes: int | None) -> bytes:
        """Read *key* whole."""
        ref = self._performer.place.ref(key)
        check_limit(ref, 0, max_bytes)
        with self._performer.limited():
            answer, pin = self.begun(key)
            try:
                check_limit(ref, pin.size_bytes, max_bytes)
                if pin.size_bytes > self._performer.options.part_size_bytes:
                    return self._in_parallel(answer, pin)
                return self._at_once(answer, pin)
            except BaseException:
                answer["Body"].close()
                raise

    def _at_once(self, answer: Mapping[str, Any], pin: Pin) -> bytes:
        content = bytearray(pin.size_bytes)
        Stream(self._performer, pin, 0, pin.size_bytes, answer).read_into(memoryview(content))
        Verification(pin, promised(answer)).take(content, 0)
        return bytes(content)

    def download(self, key: str, to: StrPath, *, overwrite: bool, durable: bool) -> Receipt:
        """Write *key* to the file *to*."""
        with self._performer.limited(), atomic_writer(to, "wb", overwrite, durable) as file:
            answer, pin = self.begun(key)
            return write_down(self._performer, pin, answer, file, to)

    def list(self, prefix: str, start_after: str | None) -> Iterator[ObjectInfo]:
        """Yield what begins with *prefix*."""
        return listed(self._performer, prefix, start_after)

    def _in_parallel(self, answer: Mapping[str, Any], pin: Pin) -> bytes:
        """Read every stretch to its place in one buffer."""
        with Whole(pin, promised(answer)) as whole:
            with Stretches(self._performer, pin, answer) as stretches:

                def fill(start: int, end: int) -> int:
                    stretches.read(start, whole.view[start:end])
                    return whole.sum_of(start, end)

                for start, end, crc32 in stretches.in_order(fill):
                    whole.add(start, end, crc32)
            return whole.verified()


class Whole:
    """Room for all of *pin*, filled in any order, and verified.

    Args:
        pin: What is read.
        promise: What it has to add up to; None if nothing was promised.
    """

    def __init__(self, pin: Pin, promise: Promise | None) -> None:
        self._sum = SumOfStretches(pin, promise)
        # It takes the bytes over, whose memory the kernel has not even filled with zeros yet, since nobody else has them;
        # and hands them over without copying, once nothing looks at them.
        self._buffer = io.BytesIO(bytes(pin.size_bytes))
        self.view: memoryview = self._buffer.getbuffer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.view.release()

    def sum_of(self, start: int, end: int) -> int:
        """Return the CRC-32 of a stretch, if it will be needed; from any thread."""
        return self._sum.sum_of(self.view[start:end])

    def add(self, start: int, end: int, crc32: int) -> None:
        """Add the next stretch, in order."""
        self._sum.add(self.view[start:end], crc32)

    def verified(self) -> bytes:
        """Return the content.

        Raises:
            ChecksumMismatchError: It does not add up.
        """
        self._sum.verify()
        self.view.release()
        return self._buffer.getvalue()


def head(key: str) -> Call:
    """Return the call that describes *key*, which is as the bucket has it."""
    return Call("HeadObject", {"Key": key})
