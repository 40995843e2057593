"""What a pagination sees: the request for a page, and what came back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Self, TypeVar
from urllib.parse import urljoin

from controlroom.errors import APIContractError, ConfigError
from controlroom.policy.pagination.paths import MISSING, value_at
from controlroom.policy.pagination.report import WalkReport

__all__ = ["FetchPage", "Page", "PageRequest", "PageResponse", "RejectedRecord", "absolute"]

RecordT = TypeVar("RecordT")

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_IN_ORDER = json.JSONEncoder(sort_keys=True, default=str)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The request for one page, without credentials.

    Attributes:
        method: "GET" or another, upper case.
        url: Absolute; may hold a query of its own, which is sent as it stands.
        params: Query parameters added to the URL.
        json: The body, or None.
    """

    method: str
    url: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None

    @property
    def pages_in_body(self) -> bool:
        """Whether paging values travel in the JSON body: for POST, PUT and PATCH, and whatever else has a body."""
        return self.json is not None or self.method in _WITH_BODY

    def value(self, name: str) -> Any:
        """Return the paging value *name*, or None; in a body *name* is a dotted path."""
        if not self.pages_in_body:
            return self.params.get(name)
        found = value_at(self.json, name) if isinstance(self.json, Mapping) else MISSING
        return None if found is MISSING else found

    def with_value(self, name: str, value: Any) -> Self:
        """Return this request with the paging value *name* set: in the query, or in the body as a dotted path.

        Raises:
            ConfigError: The body is not an object, so it has no place for a named value.
        """
        if not self.pages_in_body:
            return type(self)(self.method, self.url, {**self.params, name: value}, self.json)
        return replace(self, json=_with_entry({} if self.json is None else self.json, name.split("."), value))

    def at(self, url: str) -> Self:
        """Return this request for *url*, absolute or relative to the present one. The link is complete: no params.

        Raises:
            APIContractError: *url* is none.
        """
        return type(self)(self.method, absolute(self.url, url), {}, self.json)

    def digest(self) -> bytes:
        """Return a short fingerprint: equal requests have equal ones."""
        facts = [self.method, self.url, dict(self.params), self.json]
        return hashlib.blake2b(_IN_ORDER.encode(facts).encode(), digest_size=12).digest()


def absolute(base: str, url: str) -> str:
    """Return *url*, which may be relative to *base*.

    Raises:
        APIContractError: It is no URL.
    """
    try:
        return urljoin(base, url)
    except ValueError as error:
        message = f"The server points to {url!r}, which is no URL: {error}."
        raise APIContractError(message) from error


def _with_entry(body: Any, parts: Sequence[str], value: Any) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        message = f'The body has no place for "{parts[0]}": paging through a body needs a JSON object there.'
        raise ConfigError(message)
    inner = value if len(parts) == 1 else _with_entry(body.get(parts[0]) or {}, parts[1:], value)
    return {**body, parts[0]: inner}


@dataclass(frozen=True, slots=True)
class PageResponse:
    """What came back for a page.

    Attributes:
        url: Where it came from, after redirects, without credentials.
        headers: Response headers; look-up ignores case.
        body: The parsed JSON body.
        records: The page's records, in the server's order.
        digest: Fingerprint of the raw body.
    """

    url: str
    headers: Mapping[str, str]
    body: Any
    records: Sequence[Any] = ()
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class FetchPage:
    """Send *request* and parse the answer as JSON. *number* is 1-based."""

    request: PageRequest
    number: int


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that does not fit the endpoint's model.

    Attributes:
        record: As it came.
        position: 0-based, among the page's records as they came.
        reason: Which fields are wrong, and how; never their values.
    """

    record: Any = field(repr=False)
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Page(Generic[RecordT]):
    """One page of a walk.

    Attributes:
        records: In the server's order.
        number: 1-based within the walk; goes on counting after a resume.
        checkpoint: JSON-ready; resumes the walk *behind* this page. Store it once the page is dealt with, best in the
            same transaction. Holds no credentials.
        rejected: Records that do not fit the model, where the endpoint says ``on_invalid="quarantine"``.
        start: Where the walk stood before this page; ``start["index"]`` of its records had been dealt with by then.
        report: How the walk ended, on the page that nothing follows; None on the others, and where the walk is to raise
            behind this page: no report tells of an end that is none.
    """

    records: list[RecordT]
    number: int
    checkpoint: dict[str, Any]
    rejected: tuple[RejectedRecord, ...] = ()
    start: dict[str, Any] = field(default_factory=dict, repr=False)
    report: WalkReport | None = None

    def checkpoint_behind(self, count: int) -> dict[str, Any]:
        """Return a checkpoint that resumes behind the first *count* of this page's records: it is fetched again then.

        Raises:
            ConfigError: The page has not so many.

        Guarantees:
            Not promised: that the page, fetched again, begins with the same records; give a stable order to what changes.
        """
        if not 0 <= count <= len(self.records):
            message = f"checkpoint_behind({count}) is not possible: page {self.number} has {len(self.records)} records."
            raise ConfigError(message)
        if count == len(self.records):
            return self.checkpoint
        index, passed, set_aside = self.start.get("index", 0), 0, {one.position for one in self.rejected}
        while passed < count:
            passed += index not in set_aside
            index += 1
        return {**self.start, "index": index}
