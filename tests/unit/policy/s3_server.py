"""A server of S3 for flows: answers steps as data, remembers them, and fails where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from controlroom.errors import FileOperationError, ObjectNotFoundError, StorageUnavailableError
from controlroom.policy.object_calls import Call
from controlroom.policy.s3_pieces import Ask, Begin, BeginUpload, Gather, Piece, Publication, ReadPiece, Rewind

LOST = StorageUnavailableError("no answer", sent="unknown")
REFUSED = StorageUnavailableError("try later", sent="yes")
BROKEN = FileOperationError("broken")
MINE = "a" * 32

Failing = Mapping[str, BaseException | Callable[[], BaseException | None]]


def publication(**changes: Any) -> Publication:
    given: dict[str, Any] = {
        "key": "p/k",
        "ref": "s3://b/p/k",
        "write_id": MINE,
        "kept": {"Metadata": {"controlroom-write-id": MINE, "x": "y"}, "ContentType": "text/csv"},
        "part_size_bytes": 10,
    }
    return Publication(**{**given, **changes})


def found(write_id: str = MINE, etag: str = "e", **metadata: str) -> dict[str, Any]:
    """What HeadObject answers."""
    return {"ETag": f'"{etag}"', "VersionId": "v", "Metadata": {"Controlroom-Write-Id": write_id, **metadata}}


class Server:
    """Performs steps: `names` are those performed, in order."""

    def __init__(
        self,
        *sizes: int,
        failing: Failing | None = None,
        present: list[dict[str, Any] | BaseException] | None = None,
        offers: bool = True,
        rewinds: bool = False,
    ) -> None:
        self._sizes = sizes or (3,)
        self._read = iter(self._sizes)
        self._failing = dict(failing or {})
        self._present = list(present or [ObjectNotFoundError("none")])
        self._offers = offers
        self._rewinds = rewinds
        self._begun = 0
        self.steps: list[Any] = []
        self.names: list[str] = []

    def perform(self, step: Any) -> Any:
        step = step.call if isinstance(step, BeginUpload) else step
        name = step.operation if isinstance(step, Call) else type(step).__name__
        self.steps.append(step)
        self.names.append(name)
        failure = self._failing.get(name)
        if failure is not None and not isinstance(failure, BaseException):
            failure = failure()
        if failure is not None:
            raise failure
        return getattr(self, f"_{name}", lambda _: None)(step)

    def call(self, operation: str) -> Mapping[str, Any]:
        """The parameters of the last call of *operation*."""
        calls = [step.call if isinstance(step, Begin) else step for step in self.steps]
        return next(c.params for c in reversed(calls) if isinstance(c, Call) and c.operation == operation)

    def _ReadPiece(self, step: ReadPiece) -> Piece:  # noqa: N802 - the name of the step
        size_bytes = next(self._read)
        is_last = size_bytes < step.size_bytes
        return Piece(b"x" * size_bytes, size_bytes, 7, "f" * 64 if is_last else "", "bWQ1", is_last=is_last)

    def _Rewind(self, _: Rewind) -> bool:  # noqa: N802 - as above
        self._read, self._begun = iter(self._sizes), 0
        return self._rewinds

    def _Ask(self, _: Ask) -> bool:  # noqa: N802 - as above
        return self._offers

    def _Begin(self, _: Begin) -> None:  # noqa: N802 - as above
        self._begun += 1

    def _Gather(self, _: Gather) -> list[dict[str, str]]:  # noqa: N802 - as above
        return [{"ETag": f'"p{number}"'} for number in range(1, self._begun + 1)]

    def _CreateMultipartUpload(self, _: Call) -> dict[str, str]:  # noqa: N802 - the name of the operation
        return {"UploadId": "u"}

    def _PutObject(self, _: Call) -> dict[str, str]:  # noqa: N802 - as above
        return {"ETag": '"put"', "VersionId": "v1"}

    def _CompleteMultipartUpload(self, _: Call) -> dict[str, str]:  # noqa: N802 - as above
        return {"ETag": '"done"', "VersionId": "null"}

    def _HeadObject(self, _: Call) -> dict[str, Any]:  # noqa: N802 - as above
        seen = self._present.pop(0) if len(self._present) > 1 else self._present[0]
        if isinstance(seen, BaseException):
            raise seen
        return seen
