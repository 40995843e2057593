"""One call from its first failure on: what is known of its attempts, and what may be done about the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from botocore.parsers import ResponseParserError

from controlroom.errors import ControlRoomError, StorageUnavailableError
from controlroom.errors.api import Sent
from controlroom.policy.object_calls import Call, is_conflict, note_earlier
from controlroom.retrying import RetryPolicy
from controlroom.storage.s3.classify import classified, code_and_status

__all__ = ["Tries", "understood"]

_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_BAD_HEAD: Final = "400"  # an answer to HEAD has no body that could say why; expired credentials are one reason
_SKEWED: Final = "RequestTimeTooSkewed"


# A login page of a hotel, or a head that was cut, makes a fine answer to botocore: an empty one.
_EXPECTED: Final = {
    "CompleteMultipartUpload": "ETag",
    "CopyObject": "CopyObjectResult",
    "CreateMultipartUpload": "UploadId",
    "GetObject": "ETag",
    "GetObjectTagging": "TagSet",
    "HeadObject": "ETag",
    "ListMultipartUploads": "IsTruncated",
    "ListObjectVersions": "IsTruncated",
    "ListObjectsV2": "IsTruncated",
    "ListParts": "IsTruncated",
    "PutObject": "ETag",
    "UploadPart": "ETag",
    "UploadPartCopy": "CopyPartResult",
}


def understood(operation: str, answer: Any) -> Any:
    """Return *answer* if it is one to *operation*.

    Raises:
        ResponseParserError: Of botocore: it has not what every answer of S3 to it has.
    """
    expected = _EXPECTED.get(operation)
    if expected is not None and expected not in answer:
        if "Body" in answer:
            answer["Body"].close()
        message = f"an answer to {operation} without {expected}"
        raise ResponseParserError(message)
    return answer


@dataclass(slots=True)
class Tries:
    """The attempts of one call.

    Args:
        call: What is asked.
        ref: Of which object, as a URL.
    """

    call: Call
    ref: str
    earlier: Sent = "no"
    _again: bool = field(default=False)

    def failed(self, error: Exception) -> ControlRoomError:
        """Return *error*, which ended an attempt, as one of ours; it tells what is known of all attempts so far."""
        if isinstance(error, ControlRoomError):
            return error
        ours = classified(error, ref=self.ref, operation=self.call.operation)
        note_earlier(ours, self.earlier)
        if isinstance(ours, StorageUnavailableError):
            self.earlier = ours.sent
        return ours

    def goes_again_at_once(self, error: Exception) -> bool:
        """Tell whether *error* ended an attempt that a mere repetition may mend. Once in a call.

        Credentials may have been renewed behind our back; and a machine that slept signs with the time it fell asleep.
        """
        code, _ = code_and_status(error)
        bad_head = code == _BAD_HEAD and self.call.operation.startswith("Head")
        if self._again or not (code in _EXPIRED or code == _SKEWED or bad_head):
            return False
        self._again = True
        return True

    def needs_credentials(self, error: Exception) -> bool:
        """Tell whether they are to be looked for anew before the repetition."""
        return code_and_status(error)[0] != _SKEWED

    def policy(self, policy: RetryPolicy) -> RetryPolicy:
        """Return *policy*, named, for what is left of this call."""
        return policy.named(f"{self.call.operation} {self.ref}", only_if=self._may_repeat)

    def _may_repeat(self, error: ControlRoomError) -> bool:
        """A conflict at the end of an upload in parts voids the upload: it has to start again, not this call."""
        return not (self.call.operation == "CompleteMultipartUpload" and is_conflict(error))
