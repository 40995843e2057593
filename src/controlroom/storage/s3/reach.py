"""What calls of one store have in common, in both colours: where they go, what each carries, and how long they may take."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from controlroom.clock import deadline
from controlroom.policy.deadlines import Deadline
from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3_keys import S3Place

__all__ = ["Reach"]


class Reach:
    """A place in S3, and how to reach it.

    Args:
        place: Bucket and prefix.
        options: How to reach them.

    Attributes:
        carried: The parameters that every call carries.
    """

    def __init__(self, place: S3Place, options: S3Options) -> None:
        self.place = place
        self.options = options
        self.carried: dict[str, Any] = {"Bucket": place.bucket}
        if options.requester_pays:
            self.carried["RequestPayer"] = "requester"

    def limited(self) -> AbstractContextManager[Deadline]:
        """Give everything in the block the total time of one operation. Do not hold it across a ``yield``."""
        return deadline(self.options.timeouts.total_s)

    def ref(self, params: Mapping[str, Any]) -> str:
        """Return the URL of what a call with *params* is about."""
        key = params.get("Key")
        return self.place.url if key is None else self.place.ref(key, whole=True)
