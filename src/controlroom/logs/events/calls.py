"""What calls of other systems log: requests, walks over pages, and retries of anything."""

from __future__ import annotations

from typing import Final

from controlroom.logs.events.declarations import Event, Field

__all__ = ["OF_CALLS"]

_WALKS: Final = ("controlroom.http.walks",)
_WALK: Final = Field("walk", "string", "the walk")
_PAGE: Final = Field("page", "integer", "its number, from 1")
_ENDPOINT: Final = Field("endpoint", "string", "its path, as it was declared")
_PAGES: Final = Field("pages", "integer", "pages so far; those before a resumed walk included")
_RECORDS: Final = Field("records", "integer", "records on them")

_RETRIES: Final = ("controlroom.retrying",)
_SERIES: Final = Field("series", "string", 'the series of attempts at one call, "s1"')
_WHAT: Final = Field("what", "string", "what was tried")
_ATTEMPTS: Final = Field("attempts", "integer", "attempts allowed")
_SINCE_THE_FIRST: Final = Field("elapsed_s", "number", "since the first attempt began", "s")

OF_CALLS: Final = (
    Event(
        "request_finished",
        "DEBUG",
        "An HTTP request was answered, whatever the status.",
        ("controlroom.http.exchange",),
        (
            Field("method", "string", "of the request"),
            Field("url", "string", "of the request, secrets masked"),
            Field("status_code", "integer", "of the answer"),
            Field("elapsed_s", "number", "from sending to the end of the answer", "s"),
            Field("size_bytes", "integer", "the answer's body, decompressed; 0 where it was downloaded", "bytes"),
        ),
    ),
    Event(
        "file_downloaded",
        "INFO",
        "The content behind a URL became a file or an object, whole.",
        ("controlroom.http.downloads",),
        (
            Field("url", "string", "of the request, secrets masked"),
            Field("ref", "string", "the path or URL of what was published"),
            Field("size_bytes", "integer", "how large it is", "bytes"),
            Field("sha256", "string", "of its content"),
            Field("resumed", "integer", "how often it went on where it had broken off"),
            Field("verified", "boolean", "whether a length or a digest proves that it is whole"),
            Field("elapsed_s", "number", "how long it took, retries included", "s"),
        ),
    ),
    Event(
        "circuit_opened",
        "WARNING",
        "So many requests to a server failed that none is sent for a while.",
        ("controlroom.http.circuits",),
        (
            Field("origin", "string", "the server"),
            Field("open_s", "number", "how long none is sent", "s"),
        ),
    ),
    Event(
        "circuit_closed",
        "INFO",
        "A probe succeeded: requests are sent again.",
        ("controlroom.http.circuits",),
        (Field("origin", "string", "the server"),),
    ),
    Event(
        "rate_limit_held",
        "WARNING",
        "A server takes nothing for a minute or longer: nothing is sent until then, and calls without that time are refused.",
        ("controlroom.http.exchange",),
        (
            Field("origin", "string", "the server"),
            Field("for_s", "number", "how long nothing is sent, a day at most", "s"),
            Field("asked_s", "number", "what the server asked for", "s"),
        ),
    ),
    Event(
        "hold_not_shared",
        "WARNING",
        "A server asked for a pause, and the other processes that share the rate limit could not be told.",
        ("controlroom.http.shared_limits",),
        (
            Field("limit", "string", "the file or the database that they share"),
            Field("for_s", "number", "how long the server takes nothing", "s"),
            Field("reason", "string", "why they could not be told"),
        ),
    ),
    Event(
        "walk_started",
        "INFO",
        "A walk over the pages of an endpoint began.",
        _WALKS,
        (
            _WALK,
            _ENDPOINT,
            Field("resumed_behind", "integer", "the page behind which it goes on; 0 where it begins"),
        ),
    ),
    Event(
        "page_fetched",
        "INFO",
        "A page came and was accepted.",
        _WALKS,
        (
            _WALK,
            _PAGE,
            _ENDPOINT,
            Field("records", "integer", "records on it"),
            Field("elapsed_s", "number", "how long it took, retries included", "s"),
        ),
    ),
    Event(
        "pagination_path_missing",
        "WARNING",
        "The only page lacks what should point to the next one: there is none, or its path is misspelt.",
        _WALKS,
        (_WALK, _ENDPOINT, Field("path", "string", "where the next page was looked for")),
    ),
    Event(
        "records_rejected",
        "WARNING",
        "Records of a page did not fit the model and were set aside.",
        _WALKS,
        (
            _WALK,
            _PAGE,
            _ENDPOINT,
            Field("rejected", "integer", "how many"),
            Field("position", "integer", "the first of them, from 0, among the page's records"),
            Field("reason", "string", "what is wrong with that one"),
        ),
    ),
    Event(
        "walk_finished",
        "INFO",
        "The walk is over, and whole as far as the server told.",
        _WALKS,
        (
            _WALK,
            _ENDPOINT,
            _PAGES,
            _RECORDS,
            Field("expected", "integer", "records that the server stated", nullable=True),
            Field("verified", "boolean", "whether it stated a number and that many came"),
            Field("stop_reason", "string", "what proved that it is over"),
            Field("rejected", "integer", "records set aside, since it was begun or resumed"),
        ),
    ),
    Event(
        "walk_fell_back",
        "INFO",
        "Pages that were fetched at once are not of the list that the first page told of: from here on one after the other.",
        _WALKS,
        (
            _WALK,
            Field("page", "integer", "the first that is affected, from 1"),
            _ENDPOINT,
            Field("discarded", "integer", "pages that were asked for ahead and do not count"),
        ),
    ),
    Event(
        "walk_broken_off",
        "INFO",
        "The walk ended before it was over.",
        _WALKS,
        (
            _WALK,
            _ENDPOINT,
            _PAGES,
            _RECORDS,
            Field("reason", "string", 'the class of the error; "closed" where its consumer wanted no more'),
        ),
    ),
    Event(
        "retry_scheduled",
        "WARNING",
        "An attempt failed and will be repeated.",
        (*_RETRIES, "controlroom.settings.cloud.trying"),
        (
            _SERIES,
            _WHAT,
            Field("attempt", "integer", "the one that failed, from 1"),
            _ATTEMPTS,
            Field("wait_s", "number", "the wait before the next one", "s"),
            Field("reason", "string", "why it is repeated, and why after this wait"),
            Field("error", "string", "the class of the error and its message"),
            Field("code", "string", "of the error"),
        ),
    ),
    Event(
        "retries_ended",
        "INFO",
        "A series in which something was repeated ended, other than by giving up.",
        (*_RETRIES, "controlroom.settings.cloud.trying"),
        (
            _SERIES,
            _WHAT,
            Field("attempt", "integer", "the last one"),
            _ATTEMPTS,
            Field(
                "outcome",
                "string",
                "the last attempt succeeded, failed with what must not be repeated, or was not waited for",
                values=("succeeded", "failed", "interrupted"),
            ),
            _SINCE_THE_FIRST,
        ),
    ),
    Event(
        "gave_up",
        "ERROR",
        "A limit ended a series of attempts.",
        (*_RETRIES, "controlroom.settings.cloud.fetch"),
        (
            Field("series", "string", "the series of attempts; not of secrets", required=False),
            _WHAT,
            Field("attempt", "integer", "the last one, from 1"),
            _ATTEMPTS,
            Field("reason", "string", "what the limit says"),
            Field(
                "rule",
                "string",
                "which limit",
                values=("attempts", "longest wait", "elapsed", "deadline", "budget"),
            ),
            Field("elapsed_s", "number", "since the first attempt began; not of secrets", "s", required=False),
            Field("called_from", "string", "the nearest line of somebody's own code", required=False, nullable=True),
        ),
        is_failure=True,
    ),
)
