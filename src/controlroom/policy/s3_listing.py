"""How a listing of S3 goes from page to page, and what it must not be fooled by. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from controlroom.errors import FileOperationError
from controlroom.policy.object_calls import Call

__all__ = ["Pages"]


class Pages:
    """Goes through the pages of a listing.

    Args:
        prefix: With what names in the bucket begin.
        ref: What errors call it.
        start_after: Only what comes after this name, in the order of the server; None for everything.
    """

    def __init__(self, prefix: str, ref: str, start_after: str | None = None) -> None:
        # "url": XML has no form for some characters, and parsers make one line end of all.
        self._params: dict[str, Any] = {"Prefix": prefix, "EncodingType": "url"}
        self._start = {} if start_after is None else {"StartAfter": start_after}
        self._prefix = prefix
        self._ref = ref
        self._token: str | None = None
        self._tokens: set[str] = set()
        self._page = 0
        self._last: str | None = None
        self._is_over = False

    def calls(self) -> Iterator[Call]:
        """Yield the call for each page; `objects` of its answer decides whether there is another."""
        while not self._is_over:
            yield Call(
                "ListObjectsV2",
                self._params | (self._start if self._token is None else {"ContinuationToken": self._token}),
            )

    def objects(self, answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return the objects on a page, their keys decoded.

        Raises:
            FileOperationError: The server turns in circles, or lists what was not asked for.
        """
        is_encoded = answer.get("EncodingType") == "url"
        found = [
            {**entry, "Key": unquote_plus(entry["Key"]) if is_encoded else entry["Key"]}
            for entry in answer.get("Contents") or ()
        ]
        if flaw := self._flaw(answer, [entry["Key"] for entry in found]):
            raise self._lie(flaw)
        self._last = found[-1]["Key"] if found else self._last
        self._token = answer.get("NextContinuationToken")
        self._is_over = not answer.get("IsTruncated")
        self._remember()
        return found

    def _remember(self) -> None:
        """Keep the tokens of pages 1, 2, 4, 8, …: a loop of any length comes back to one of them, and memory stays flat."""
        self._page += 1
        if self._token is not None and self._page & (self._page - 1) == 0:
            self._tokens.add(self._token)

    def _flaw(self, answer: Mapping[str, Any], keys: Sequence[str]) -> str | None:
        strange = next((key for key in keys if not key.startswith(self._prefix)), None)
        if strange is not None:
            return f"names {strange!r}, which does not begin with {self._prefix!r}"
        if keys and keys[0] == self._last:
            return f"begins with {self._last!r}, with which the page before it ended"
        if answer.get("IsTruncated") and not answer.get("NextContinuationToken"):
            return "is cut off, and does not say where the rest is"
        if answer.get("IsTruncated") and answer["NextContinuationToken"] in self._tokens:
            return "names one as the next that was there already"
        return None

    def _lie(self, fact: str) -> FileOperationError:
        message = (
            f"{self._ref}: a page of the listing {fact}. What was listed so far is not all. Nothing was changed. The server, or"
            " something before it, does not list as S3 does."
        )
        return FileOperationError(message, ref=self._ref)
