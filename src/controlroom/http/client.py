"""The client."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from controlroom.clock import deadline, monotonic_s
from controlroom.http import library, walks
from controlroom.http.auth import Auth
from controlroom.http.calls import Call, CallOptions
from controlroom.http.configuration import Configuration, hosts
from controlroom.http.coordination import require_colour
from controlroom.http.download_targets import Target
from controlroom.http.downloads import Download, DownloadSink, log_download
from controlroom.http.endpoint import BoundEndpoint, Endpoint
from controlroom.http.engine import Engine
from controlroom.http.exchange import exchange
from controlroom.http.messages import Headers, Response
from controlroom.http.prefetch import FellBack, Fetch, ahead, at_once, require_count
from controlroom.http.timeouts import Timeouts
from controlroom.http.trust import Trust, Verify
from controlroom.policy.circuit import CircuitBreaker
from controlroom.policy.flow import drive
from controlroom.policy.pagination import FetchPage, Page, PageResponse, Walk
from controlroom.policy.rate_limit import RateLimit
from controlroom.retrying import RetryPolicy

if TYPE_CHECKING:
    import os

    from controlroom.storage import ObjectStore, Receipt

__all__ = ["ApiClient"]

RecordT = TypeVar("RecordT")


class ApiClient:
    """Talks to one API. Share one instance, between threads too; close it, or use ``with``.

    Args:
        base_url: "https://api.example.com", or with a path that all others go below.
        auth: `BearerAuth`, `BasicAuth`, `ApiKeyAuth`, or a callable that sets credentials on a `Request`.
        headers: Sent with every request to this origin. Values under telling names are masked in all output.
        params: Added to every request's query; treated as *headers* are.
        timeouts: For each phase, and for a whole call.
        retry: How failed calls are repeated; None: not at all.
        rate_limit: How fast requests may leave; share one between clients to have them counted together. With or without
            one, what the server says in Retry-After, RateLimit and X-RateLimit fields holds for the whole client.
        circuit: Stops asking an origin that fails too often; share one between clients to have calls counted together.
        max_response_bytes: The largest body let in, after decompression.
        allowed_hosts: Hosts ("cdn.example.com", "10.0.0.7:8080") that links and redirects may lead to, without
            credentials.
        verify: Whom to believe in TLS: the PEM file of a private certificate authority, in the place of the usual ones; or
            an ``ssl.SSLContext``, which may hold a client certificate. None: what SSL_CERT_FILE or SSL_CERT_DIR names, or
            else the usual ones. There is no way to believe everyone.
        transport: An ``httpx.BaseTransport`` in the place of sockets and proxies. Closed with the client.

    Raises:
        ConfigError: An argument is impossible.

    Guarantees:
        Never hangs: each phase has a limit and the call a total; all are cut to the ambient deadline.
        Never floods: repeats only what was never sent, GET, HEAD, OPTIONS, PUT, DELETE, and calls with an idempotency
        key; only after 408, 429, 5xx but 501, timeouts and network errors; waits as long as Retry-After says.
        Never lies: a truncated, oversized or undecodable answer raises; so does a walk that repeats itself, ends with
        another number of records than the server stated, or would have to stop in its middle.
        Credentials never leave the origin of *base_url*, and are shown nowhere.
        Not promised: cookies are not kept.
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
        transport: library.BaseTransport | None = None,
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
        require_colour("rate_limit.shared", self._configuration.pace.shared, "sync")
        require_colour("auth.store", getattr(getattr(auth, "store", None), "place", None), "sync")
        self._engine = Engine(transport, Trust(verify, has_transport=transport is not None))

    def request(self, method: str, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a request and return the answer, read to its end.

        Args:
            method: "GET" or another.
            path: Below the base URL, or an absolute URL of this origin.
            **options: See `CallOptions`.

        Raises:
            APIStatusError: The answer has a status of 400 or more.
            APIConnectionError: No connection, or it was lost.
            APITimeoutError: A phase, or the whole call, took too long.
            CircuitOpenError: The circuit of this origin is open, and no time is left to wait for it.
            APIContractError: The answer is too large, not coded as it says, or a redirect to another origin.
            DeadlineExceededError: The ambient deadline had passed, or leaves no time for the rate limit.
            ConfigError: An argument cannot be sent, or the client is closed.

        Guarantees:
            What may be repeated was repeated when this raises. An error that says RECONCILE means that the request may
            have been carried out.
        """
        return self._send(self._configuration.call(method, path, **options))

    def get(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a GET request; see `request`."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a POST request; see `request`. With ``idempotency_key=`` it can be retried."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a PUT request; see `request`."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a PATCH request; see `request`. With ``idempotency_key=`` it can be retried."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Unpack[CallOptions]) -> Response:
        """Send a DELETE request; see `request`."""
        return self.request("DELETE", path, **options)

    def download(
        self,
        path: str,
        *,
        to: str | os.PathLike[str] | ObjectStore,
        key: str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        if_absent: bool = False,
        sha256: str | None = None,
        max_bytes: int | None = None,
        total_s: float = 3600.0,
    ) -> Receipt:
        """Write what *path* answers to a file or into a store: whole, or not at all.

        Args:
            path: As in `request`.
            to: A path, in a folder that exists, or an object store …
            key: … and the object's name in it.
            params: Added to the query.
            headers: For this call, on top of the client's.
            if_absent: Only if there is no such object yet.
            sha256: What the content has to have, in hexadecimal. A digest that the server states is verified anyway.
            max_bytes: The most that is let in; None: whatever comes.
            total_s: For the whole download; ``timeouts.total_s`` does not count here, each phase's limit does.

        Raises:
            ChecksumMismatchError: The content is not what was promised.
            ObjectExistsError: *if_absent*, and it is there.
            APIContractError: The answer is longer than allowed, or no content.
            ConfigError: An argument is impossible.
            FileOperationError: It cannot be written, as the store says.
            ExternalAPIError: As `request` raises it.

        Guarantees:
            After any of these, and after a crash at any point, the target is as it was. What breaks off goes on where it
            was (Range, If-Range) if the server names the content by a strong validator, and begins again otherwise; a
            content that changes meanwhile begins again too. Holds one piece in memory.
            Not promised: going on in another process.
        """
        call = self._configuration.call("GET", path, params=params, headers=headers)
        download, target = Download(call, max_bytes, sha256), Target(to, key, if_absent=if_absent)
        began_s = monotonic_s()
        try:
            with deadline(total_s):
                self._configuration.retry_for(call).call(self._try_download, download, target)
                download.verify()
            receipt = target.publish()
        except BaseException:
            target.forget()
            raise
        log_download(download, receipt, began_s)
        return receipt

    def _try_download(self, download: Download, target: Target) -> None:
        if download.is_complete:
            return
        sink = partial(DownloadSink, download=download, emit=target.write)
        with download.past_the_end_begins_again():
            answer = drive(exchange(download.next_call(), self._configuration, sink), self._engine.perform)
        download.require_content(answer)

    def records(
        self, endpoint: Endpoint[RecordT], *, params: Mapping[str, Any] | None = None, **path: object
    ) -> Iterator[RecordT]:
        """Return an iterator over all records of *endpoint*, one page in memory; see `pages`."""
        pages = self._walked(endpoint, walks.begin(self._configuration, endpoint, params, None, path))
        return (record for page in pages for record in page.records)

    def pages(
        self,
        endpoint: Endpoint[RecordT],
        *,
        params: Mapping[str, Any] | None = None,
        resume: Mapping[str, Any] | None = None,
        prefetch: int = 0,
        **path: object,
    ) -> Iterator[Page[RecordT]]:
        """Return an iterator over the pages of *endpoint*; each is fetched when it is asked for.

        Args:
            endpoint: What to walk.
            params: Query parameters on top of the endpoint's.
            resume: The ``checkpoint`` of a page, or of an error: goes on behind it.
            prefetch: How many further pages load while you work on one, in order; 0: none. From 2 on, pages that are
                counted (`OffsetPagination`, `PageNumberPagination`), each of which states the total of records, are
                asked for several at once, sixteen at most; others one after the other.
            **path: Values for the places in the endpoint's path.

        Raises:
            PaginationLoopError: A cursor, a link or a page came a second time.
            IncompletePaginationError: The walk is over, but the server stated another total.
            PaginationError: Too many pages, too many empty ones in a row, or a link to another origin.
            APIContractError: A body has no records where they should be, or is not JSON.
            ConfigError: *resume* belongs to another walk, or a path argument is missing.
            ExternalAPIError: As `request` raises it. ``.checkpoint`` resumes the walk behind the last page;
                every `ControlRoomError` of a walk has it.

        Guarantees:
            Ends only on proof: nothing points on, an empty page where the client counts, or the stated total. The last
            page says so (``page.report``), unless the walk raises behind it.
            Pages asked for at once are the same pages: one that differs from what the first page said of the list is
            thrown away and asked for again in its turn, and so is all that was asked for with it.
            Not promised: a consistent snapshot of a list that changes meanwhile.
        """
        require_count(prefetch)
        walk = walks.begin(self._configuration, endpoint, params, resume, path)
        if walks.may_load_at_once(endpoint, prefetch):
            return at_once(partial(self._walked, endpoint, walk), walk, prefetch)
        pages = self._walked(endpoint, walk)
        return ahead(pages, prefetch) if prefetch else pages

    def _walked(
        self, endpoint: Endpoint[RecordT], walk: Walk, before: Callable[[Fetch, FellBack], Fetch] | None = None
    ) -> Generator[Page[RecordT], None, None]:
        with walks.told(endpoint, walk) as name:
            fetch: Fetch = partial(self._fetch, endpoint, name)
            if before is not None:
                fetch = before(fetch, partial(walks.log_fallback, endpoint, name))
            began_at_s = monotonic_s()
            while (page := drive(walk.next_page(), fetch)) is not None:
                walks.log_page(endpoint, name, page, began_at_s)
                yield page
                began_at_s = monotonic_s()

    def _fetch(self, endpoint: Endpoint[Any], name: str, step: FetchPage) -> PageResponse:
        with walks.fetching(name, step):
            return walks.page_response(self._send(walks.call_for(self._configuration, endpoint, step)))

    def _send(self, call: Call) -> Response:
        with deadline(self._configuration.timeouts.total_s):
            return self._configuration.retry_for(call).call(self._try, call)

    def _try(self, call: Call) -> Response:
        return drive(exchange(call, self._configuration), self._engine.perform)

    def _bind(self, endpoint: Endpoint[RecordT]) -> BoundEndpoint[RecordT]:
        return BoundEndpoint(self, endpoint)

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._configuration.base_url!r}, auth={self._configuration.auth!r})"
