"""From an endpoint to the walk over its pages, and from each page's request to a call."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from controlroom.clock import is_abandoned, monotonic_s
from controlroom.errors import ConfigError, PaginationError
from controlroom.http.addresses import filled, joined, with_query
from controlroom.http.calls import Call, encoded
from controlroom.http.configuration import Configuration
from controlroom.http.endpoint import Endpoint
from controlroom.http.messages import Headers, Response
from controlroom.http.models import converter
from controlroom.logs import bound, get_logger
from controlroom.logs.links import new_link
from controlroom.policy.pagination import FetchPage, Page, PageRequest, PageResponse, Walk
from controlroom.redaction import is_sensitive_name, register_secret

__all__ = ["begin", "call_for", "fetching", "log_fallback", "log_page", "may_load_at_once", "page_response", "told"]

_ENOUGH_BITS = 64

_log = get_logger(__name__)


def begin(
    configuration: Configuration,
    endpoint: Endpoint[Any],
    params: Mapping[str, Any] | None,
    resume: Mapping[str, Any] | None,
    path: Mapping[str, object],
) -> Walk:
    """Return the walk over *endpoint*.

    Raises:
        ConfigError: An argument is missing or too many, or *resume* belongs to another walk.
    """
    if not isinstance(endpoint, Endpoint):
        message = f"{endpoint!r} is no endpoint: give Endpoint({str(endpoint)!r}, …)."
        raise ConfigError(message)
    url = joined(configuration.base_url, filled(endpoint.path, path))
    if reason := configuration.admits(url):
        message = f"{endpoint.path} cannot be walked: {reason}. Nothing was sent."
        raise ConfigError(message)
    query = {**configuration.params, **(endpoint.params or {}), **(params or {})}
    for name, value in query.items():
        if isinstance(value, str) and is_sensitive_name(name):
            register_secret(value)
    quarantine = endpoint.on_invalid == "quarantine"
    return Walk(
        PageRequest(endpoint.method.upper(), url, query, endpoint.json),
        endpoint.pagination,
        records=endpoint.records,
        total=endpoint.total,
        convert=None if endpoint.model is None else converter(endpoint.model, quarantine=quarantine),
        max_rejected_share=endpoint.max_invalid_share if quarantine else 0.0,
        stripped=configuration.stripped,
        resume=resume,
        max_pages=endpoint.max_pages,
        max_empty_pages=endpoint.max_empty_pages,
        repeats_allowed=endpoint.repeats_allowed,
    )


def call_for(configuration: Configuration, endpoint: Endpoint[Any], step: FetchPage) -> Call:
    """Return the call that fetches a page.

    Raises:
        PaginationError: The page before points to another origin. Nothing was sent there.
    """
    request = step.request
    if reason := configuration.admits(request.url):
        message = f"Page {step.number} of {endpoint.path} cannot be asked for: {reason}. Nothing was sent."
        raise PaginationError(message, method=request.method, url=request.url)
    headers = Headers({} if request.json is None else {"Content-Type": "application/json"})
    content = b"" if request.json is None else encoded(request.json)
    return Call(request.method, with_query(request.url, request.params), headers, content, endpoint.only_reads)


def page_response(response: Response) -> PageResponse:
    """Return *response* as a pagination sees it.

    Raises:
        APIContractError: It is not JSON.
    """
    return PageResponse(response.url, response.headers, response.json(), digest=_digest(response.content))


def _digest_with(hashing: Any) -> Callable[[bytes], bytes]:
    """Return what tells the pages of a walk apart.

    That is Python's own hash where it has 64 bits and a key (SipHash): no two of a hundred thousand pages share one but by
    a chance of 1 in 3 000 000 000, for a third of what a digest costs. Nothing of it outlives the process, nor has to.
    """
    if hashing.width >= _ENOUGH_BITS and hashing.algorithm.startswith("siphash"):
        return lambda content: hash(content).to_bytes(8, "big", signed=True)
    return lambda content: hashlib.blake2b(content, digest_size=12).digest()


_digest = _digest_with(sys.hash_info)


@contextmanager
def told(endpoint: Endpoint[Any], walk: Walk) -> Iterator[str]:
    """Tell the log how a walk began and how it ended; yields the name by which its lines are known.

    Nothing stays bound: the block holds a generator's ``yield``, and its consumer's lines are not the walk's.
    """
    name = new_link("walk")
    _log.info("walk_started", walk=name, endpoint=endpoint.path, resumed_behind=walk.report.pages)
    try:
        yield name
    except BaseException as error:
        reason = "closed" if isinstance(error, GeneratorExit) or is_abandoned() else type(error).__name__
        if walk.is_reported and reason == "closed":  # its last page was handed out: it broke nothing off
            _log_end(endpoint, name, walk)
            raise
        report = walk.report
        _log.info(
            "walk_broken_off",
            walk=name,
            endpoint=endpoint.path,
            pages=report.pages,
            records=report.records,
            reason=reason,
        )
        raise
    _log_end(endpoint, name, walk)


def fetching(name: str, step: FetchPage) -> AbstractContextManager[None]:
    """Bind what ties the lines of a page's requests and retries to the walk *name*, while the page is fetched."""
    return bound(walk=name, page=step.number)


def may_load_at_once(endpoint: Endpoint[Any], prefetch: int) -> bool:
    """Tell whether several pages may be asked for at once: what changes something is not sent on a guess."""
    return prefetch > 1 and (endpoint.only_reads or endpoint.method.upper() == "GET")


def log_fallback(endpoint: Endpoint[Any], name: str, step: FetchPage, discarded: int) -> None:
    """Say that the pages are asked for one after the other from here on."""
    _log.info("walk_fell_back", walk=name, page=step.number, endpoint=endpoint.path, discarded=discarded)


def log_page(endpoint: Endpoint[Any], name: str, page: Page[Any], began_at_s: float) -> None:
    """Say that a page came."""
    _log.info(
        "page_fetched",
        walk=name,
        page=page.number,
        endpoint=endpoint.path,
        records=len(page.records),
        elapsed_s=round(monotonic_s() - began_at_s, 3),
    )
    if page.rejected:
        first = page.rejected[0]
        _log.warning(
            "records_rejected",
            walk=name,
            page=page.number,
            endpoint=endpoint.path,
            rejected=len(page.rejected),
            position=first.position,
            reason=first.reason,
        )


def _log_end(endpoint: Endpoint[Any], name: str, walk: Walk) -> None:
    """Say how the walk ended, and whether a misspelt path may be why."""
    report = walk.report
    if report.missing_path is not None:
        _log.warning("pagination_path_missing", walk=name, endpoint=endpoint.path, path=report.missing_path)
    _log.info(
        "walk_finished",
        walk=name,
        endpoint=endpoint.path,
        pages=report.pages,
        records=report.records,
        expected=report.expected,
        verified=report.verified,
        stop_reason=report.stop_reason,
        rejected=report.rejected,
    )
