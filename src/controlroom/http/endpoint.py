"""A list that an API offers: where it is, how it is paged, and where its records stand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

from controlroom.errors import ConfigError
from controlroom.http.messages import is_token
from controlroom.policy.pagination import Page, Pagination, Path, SinglePage

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    from controlroom.http.client import ApiClient
    from controlroom.http.client_async import AsyncApiClient

    RecordT = TypeVarWithDefault("RecordT", default=Any)
else:
    RecordT = TypeVar("RecordT")

__all__ = ["AsyncBoundEndpoint", "BoundEndpoint", "Endpoint"]


@dataclass(frozen=True)
class Endpoint(Generic[RecordT]):
    """Immutable; give it to a client's ``records`` and ``pages``, or declare it in a client's class.

    Args:
        path: Below the client's base URL. "{name}" is filled by the keyword argument of that name.
        method: "POST" pages through its body.
        params: Query parameters of every page; those of the call go on top.
        json: The body of every page.
        records: Where a body holds its records: a dotted path, or a callable; None: the body is the list.
        pagination: How to go on.
        model: The type of a record, if not plain JSON: a pydantic model, a dataclass, a TypedDict.
        on_invalid: What to do with a record that does not fit the model: "raise" (the page is not handed out), or
            "quarantine" (it is put into ``page.rejected`` and logged, and the page goes on without it).
        max_invalid_share: How many of a walk's records may be set aside, from 0 to 1; more raises.
        total: Where a body states how many records there are. Verified: another number received raises.
        max_pages: Pages that one walk may take; more raises.
        max_empty_pages: Pages without records in a row; more raises.
        repeats_allowed: Equal pages are genuine: the data repeats, and has no ids.
        only_reads: You vouch that a POST here only reads (a search): it is then retried like a GET.

    Raises:
        ConfigError: *pagination* has no ``first`` and ``following``, or another argument is impossible.
    """

    path: str
    method: str = field(default="GET", kw_only=True)
    params: Mapping[str, Any] | None = field(default=None, kw_only=True)
    json: Any = field(default=None, kw_only=True)
    records: Path | None = field(default=None, kw_only=True)
    pagination: Pagination = field(default_factory=SinglePage, kw_only=True)
    model: type[RecordT] | None = field(default=None, kw_only=True)
    on_invalid: Literal["raise", "quarantine"] = field(default="raise", kw_only=True)
    max_invalid_share: float = field(default=0.05, kw_only=True)
    total: Path | None = field(default=None, kw_only=True)
    max_pages: int = field(default=100_000, kw_only=True)
    max_empty_pages: int = field(default=1_000, kw_only=True)
    repeats_allowed: bool = field(default=False, kw_only=True)
    only_reads: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what would fail only after the first page."""
        methods = (getattr(self.pagination, name, None) for name in ("first", "following"))
        if isinstance(self.pagination, type) or not all(callable(method) for method in methods):
            message = f"{self.path}: {self.pagination!r} is no pagination: it needs the methods first and following."
            raise ConfigError(message)
        if self.on_invalid not in {"raise", "quarantine"}:
            message = f'{self.path}: on_invalid={self.on_invalid!r} is not possible: give "raise" or "quarantine".'
            raise ConfigError(message)
        if self.on_invalid == "quarantine" and self.model is None:
            message = f'{self.path}: on_invalid="quarantine" needs a model= to judge records by.'
            raise ConfigError(message)
        if not is_token(self.method):
            message = f"{self.path}: {self.method!r} is no method."
            raise ConfigError(message)

    @overload
    def __get__(self, client: None, owner: Any) -> Self: ...
    @overload
    def __get__(self, client: ApiClient, owner: Any) -> BoundEndpoint[RecordT]: ...
    @overload
    def __get__(self, client: AsyncApiClient, owner: Any) -> AsyncBoundEndpoint[RecordT]: ...
    def __get__(self, client: Any, owner: Any) -> Any:
        """Return the endpoint of a client, where one declares it in its class."""
        bind = getattr(client, "_bind", None)
        return self if bind is None else bind(self)


@dataclass(frozen=True, slots=True)
class BoundEndpoint(Generic[RecordT]):
    """A declared endpoint of a client: call it for the records."""

    client: ApiClient
    endpoint: Endpoint[RecordT]

    def __call__(self, *, params: Mapping[str, Any] | None = None, **path: object) -> Iterator[RecordT]:
        """Return an iterator over the records; see `ApiClient.records`."""
        return self.client.records(self.endpoint, params=params, **path)

    def first(self, *, params: Mapping[str, Any] | None = None, **path: object) -> RecordT | None:
        """Return the first record, or None where there is none; no page behind it is fetched."""
        for record in self(params=params, **path):
            return record
        return None

    def pages(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        resume: Mapping[str, Any] | None = None,
        prefetch: int = 0,
        **path: object,
    ) -> Iterator[Page[RecordT]]:
        """Return an iterator over the pages; see `ApiClient.pages`."""
        return self.client.pages(self.endpoint, params=params, resume=resume, prefetch=prefetch, **path)


@dataclass(frozen=True, slots=True)
class AsyncBoundEndpoint(Generic[RecordT]):
    """A declared endpoint of an asynchronous client: call it for the records."""

    client: AsyncApiClient
    endpoint: Endpoint[RecordT]

    def __call__(self, *, params: Mapping[str, Any] | None = None, **path: object) -> AsyncIterator[RecordT]:
        """Return an iterator over the records; see `ApiClient.records`."""
        return self.client.records(self.endpoint, params=params, **path)

    async def first(self, *, params: Mapping[str, Any] | None = None, **path: object) -> RecordT | None:
        """Return the first record, or None where there is none; no page behind it is fetched."""
        async for record in self(params=params, **path):
            return record
        return None

    def pages(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        resume: Mapping[str, Any] | None = None,
        prefetch: int = 0,
        **path: object,
    ) -> AsyncIterator[Page[RecordT]]:
        """Return an iterator over the pages; see `ApiClient.pages`."""
        return self.client.pages(self.endpoint, params=params, resume=resume, prefetch=prefetch, **path)
