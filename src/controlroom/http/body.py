"""Receives an answer piece by piece: under a limit, and within the time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from controlroom.clock import current_deadline
from controlroom.errors import APIConnectionError, APIContractError, APITimeoutError
from controlroom.http.calls import Call
from controlroom.http.decoding import Inflater, UndecodableError, codings
from controlroom.http.messages import Headers, Response

__all__ = ["BodySink"]

_OF_AN_EXTRA: Final = ("br", "zstd")
_ERROR_BODY_BYTES: Final = 64 * 1024  # of an error, the start is enough
_FIRST_ERROR: Final = 400


class BodySink:
    """Takes one answer: `begin`, `feed` while it returns True, then `end`.

    Guarantees:
        Holds no more than *limit_bytes* and one piece of an `Inflater`, however small a bomb was packed.
    """

    def __init__(self, call: Call, url: str, limit_bytes: int) -> None:
        self._call = call
        self._url = url
        self._limit_bytes = limit_bytes
        self._content = bytearray()
        self._status_code = 0
        self._headers = Headers()
        self._inflater: Inflater | None = None
        self._is_readable = True

    @property
    def has_failed_status(self) -> bool:
        """Whether a status of 400 or more came: then the answer is known, even when its body is cut short."""
        return self._status_code >= _FIRST_ERROR

    def response(self) -> Response:
        """Return the answer as far as it came."""
        return Response(self._status_code, self._headers, bytes(self._content), self._call.method, self._url)

    def begin(self, status_code: int, headers: Iterable[tuple[str, str]]) -> None:
        """Take the head of the answer.

        Raises:
            APIContractError: It announces too much, or a coding that was not asked for.
        """
        self._status_code, self._headers = status_code, Headers(headers)
        if self._call.method == "HEAD":
            return
        coding = self._headers.get("content-encoding", "").strip().lower()
        if coding in codings():
            self._inflater = Inflater(coding)
        elif coding not in {"", "identity"}:
            if not self.has_failed_status:
                raise self._broken_contract(_coded(coding), "is coded in a way that was not asked for")
            self._is_readable = False  # the status is told without it
        announced = self._headers.get("content-length", "")
        if re.fullmatch(r"\d{1,20}", announced) and int(announced) > self._limit_bytes and not self.has_failed_status:
            raise self._too_large()

    def feed(self, piece: bytes) -> bool:
        """Take a piece of the body; False when no more is wanted.

        Raises:
            APITimeoutError: The call's time is over.
            APIContractError: Too much, or not coded as announced.
        """
        self._require_time()
        if not self._is_readable:
            return False
        try:
            for part in [piece] if self._inflater is None else self._inflater.unpacked(piece):
                self._content += part
                if len(self._content) > self._limit_bytes and not self.has_failed_status:
                    raise self._too_large()
                if len(self._content) >= _ERROR_BODY_BYTES and self.has_failed_status:
                    return False
        except UndecodableError as error:
            raise self._broken_contract(str(error), "cannot be decompressed") from error
        return True

    async def settle(self) -> None:
        """Wait until what was fed is dealt with; here it is at once."""

    def end(self) -> None:
        """Judge the whole.

        Raises:
            APIConnectionError: The compressed stream stops in its middle.
        """
        if not self.has_failed_status and self._inflater is not None and self._inflater.is_cut_short:
            message = f"{self._call.what}: the compressed body was cut short. {self._call.aftermath('yes')}"
            disposition = self._call.disposition("yes")
            raise APIConnectionError(
                message, sent="yes", disposition=disposition, method=self._call.method, url=self._url
            )

    def _require_time(self) -> None:
        deadline = current_deadline()
        if deadline is not None and deadline.is_over:
            message = (
                f"{self._call.what}: the time for the whole call ended amid the body. {self._call.aftermath('yes')}"
            )
            raise APITimeoutError(
                message,
                phase="total",
                sent="yes",
                disposition=self._call.disposition("yes"),
                method=self._call.method,
                url=self._url,
            )

    def _too_large(self) -> APIContractError:
        return self._broken_contract(f"max_response_bytes is {self._limit_bytes}", "is too large")

    def _broken_contract(self, detail: str, what: str) -> APIContractError:
        message = f"{self._call.what} answered {self._status_code}, but the body {what} ({detail}). It was not read on."
        return APIContractError(message, method=self._call.method, url=self._url)


def _coded(coding: str) -> str:
    return f"{coding}: the extra controlroom[compress] reads it" if coding in _OF_AN_EXTRA else coding
