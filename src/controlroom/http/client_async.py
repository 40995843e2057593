"""The asynchronous client; see `controlroom.http.client`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from controlroom.clock import deadline, monotonic_s
from controlroom.http import library, walks
from controlroom.http.auth import Auth
from controlroom.http.calls import Call, CallOptions
from controlroom.http.configuration import Configuration, hosts
from controlroom.http.coordination import require_colour
from controlroom.http.download_targets import AsyncTarget
from controlroom.http.downloads import Download, DownloadSink, log_download
from controlroom.http.endpoint import AsyncBoundEndpoint, Endpoint
from controlroom.http.engine_async import AsyncEngine
from controlroom.http.exchange import exchange
from controlroom.http.messages import Headers, Response
from controlroom.http.prefetch import FellBack, require_count
from controlroom.http.prefetch_async import Fetch, ahead, at_once
from controlroom.http.timeouts import Timeouts
from controlroom.http.trust import Trust, Verify
from controlroom.policy.circuit import CircuitBreaker
from controlroom.policy.flow import drive_async
from controlroom.policy.pagination import FetchPage, Page, PageResponse, Walk
from controlroom.policy.rate_limit import RateLimit
from controlroom.retrying import RetryPolicy

if TYPE_CHECKING:
    import os

    from controlroom.storage import AsyncObjectStore, Receipt

__all__ = ["AsyncApiClient"]

RecordT = TypeVar("RecordT")


class AsyncApiClient:
    """The asyncio twin of `ApiClient`: the same arguments, the same guarantees. Use ``async with``, or ``aclose``.

    Args:
        base_url: As for `ApiClient`, and so are the rest …
        transport: … except for this: an ``httpx.AsyncBaseTransport``.

    Guarantees:
        Not promised: use from two event loops at once. One after the other is fine, as in ``asyncio.run`` for each call.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: Auth | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008 - immutable
        rate_limit: RateLimit | None = None,
        circuit: CircuitBreaker | None = None,
        max_response_bytes: int = 64 * 2**20,
        allowed_hosts: Iterable[str] | None = None,
        verify: Verify = None,
        transport: library.AsyncBaseTransport | None = None,
    ) -> None:
        self._configuration = Configuration(
            base_url,
            auth=auth,
            headers=Headers(headers or {}),
            params=params or {},
            timeouts=Timeouts() if timeouts is None else timeouts,
            retry=RetryPolicy(attempts=1) if retry is None else retry,
            rate_limit=rate_limit,
            circuit=circuit,
            max_response_bytes=max_response_bytes,
            allowed_hosts=hosts(allowed_hosts),
        )
        require_colour("rate_limit.shared", self._configuration.pace.shared, "async")
        require_colour("auth.store", getattr(getattr(auth, "store", None), "place", None), "async")
        self._engine = AsyncEngine(transport, Trust(verify, has_transport=transport is not None))

    async def request(self, method: str, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a request and return the answer, read to its end.

        See `ApiClient.request`.
        """
        return await self._send(self._configuration.call(method, path, **options))

    async def get(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a GET request; see `request`."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a POST request; see `request`. With ``idempotency_key=`` it can be retried."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a PUT request; see `request`."""
        return await self.request("PUT", path, **options)

    async def patch(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a PATCH request; see `request`. With ``idempotency_key=`` it can be retried."""
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a DELETE request; see `request`."""
        return await self.request("DELETE", path, **options)

    async def download(
        self,
        path: str,
        *,
        to: str | os.PathLike[str] | AsyncObjectStore,
        key: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        if_absent: bool = False,
        sha256: str | None = None,
        max_bytes: int | None = None,
        total_s: float = 3600.0,
    ) -> Receipt:
        """Write what *path* answers to a file or into a store: whole, or not at all.

        See `ApiClient.download`.
        """
        call = self._configuration.call("GET", path, params=params, headers=headers)
        download, target = Download(call, max_bytes, sha256), AsyncTarget(to, key, if_absent=if_absent)
        began_s = monotonic_s()
        try:
            with deadline(total_s):
                await self._configuration.retry_for(call).acall(self._try_download, download, target)
                download.verify()
            receipt = await target.publish()
        except BaseException:
            await target.forget()
            raise
        log_download(download, receipt, began_s)
        return receipt

    async def _try_download(self, download: Download, target: AsyncTarget) -> None:
        if download.is_complete:
            return
        sink = partial(DownloadSink, download=download, emit=target.write, settle=target.settle)
        with download.past_the_end_begins_again():
            answer = await drive_async(exchange(download.next_call(), self._configuration, sink), self._engine.perform)
        download.require_content(answer)

    def records(
        self, endpoint: Endpoint[RecordT], *, params: Mapping[str, Any] | None = None, **path: object
    ) -> AsyncIterator[RecordT]:
        """Return an iterator over all records of *endpoint*, one page in memory; see `pages`."""
        pages = self._walked(endpoint, walks.begin(self._configuration, endpoint, params, None, path))
        return (record async for page in pages for record in page.records)

    def pages(
        self,
        endpoint: Endpoint[RecordT],
        *,
        params: Mapping[str, Any] | None = None,
        resume: Mapping[str, Any] | None = None,
        prefetch: int = 0,
        **path: object,
    ) -> AsyncIterator[Page[RecordT]]:
        """Return an iterator over the pages of *endpoint*; each is fetched when it is asked for.

        See `ApiClient.pages`.
        """
        require_count(prefetch)
        walk = walks.begin(self._configuration, endpoint, params, resume, path)
        if walks.may_load_at_once(endpoint, prefetch):
            return at_once(partial(self._walked, endpoint, walk), walk, prefetch)
        pages = self._walked(endpoint, walk)
        return ahead(pages, prefetch) if prefetch else pages

    async def _walked(
        self, endpoint: Endpoint[RecordT], walk: Walk, before: Callable[[Fetch, FellBack], Fetch] | None = None
    ) -> AsyncGenerator[Page[RecordT], None]:
        with walks.told(endpoint, walk) as name:
            fetch: Fetch = partial(self._fetch, endpoint, name)
            if before is not None:
                fetch = before(fetch, partial(walks.log_fallback, endpoint, name))
            began_at_s = monotonic_s()
            while (page := await drive_async(walk.next_page(), fetch)) is not None:
                walks.log_page(endpoint, name, page, began_at_s)
                yield page
                began_at_s = monotonic_s()

    async def _fetch(self, endpoint: Endpoint[Any], name: str, step: FetchPage) -> PageResponse:
        with walks.fetching(name, step):
            return walks.page_response(await self._send(walks.call_for(self._configuration, endpoint, step)))

    async def _send(self, call: Call) -> Response:
        with deadline(self._configuration.timeouts.total_s):
            return await self._configuration.retry_for(call).acall(self._try, call)

    async def _try(self, call: Call) -> Response:
        return await drive_async(exchange(call, self._configuration), self._engine.perform)

    def _bind(self, endpoint: Endpoint[RecordT]) -> AsyncBoundEndpoint[RecordT]:
        return AsyncBoundEndpoint(self, endpoint)

    async def aclose(self) -> None:
        """Close all connections; a second call does nothing."""
        await self._engine.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._configuration.base_url!r}, auth={self._configuration.auth!r})"
