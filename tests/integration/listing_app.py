"""A FastAPI app with one list per style of paging, and a document of its own making. Run it: it prints its port.

Its pages are those of fastapi-pagination where that has the style; the others are written as servers write them that have
it (OData, Stripe, GitHub, Spring).
"""

from __future__ import annotations

import base64
import ctypes
import datetime as dt
import os
import signal
import socket
import sys
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi_pagination import LimitOffsetPage, Page, add_pagination, paginate
from fastapi_pagination.links import Page as LinkedPage
from pydantic import BaseModel, Field

RECORDS = 23
ItemT = TypeVar("ItemT")


class Note(BaseModel):
    text: str
    answers: list[Note] = []


class Flight(BaseModel):
    """One flight."""

    id: int
    tail_number: str | None = Field(None, alias="tail-number")
    status: Literal["on time", "late", 'said "late"\\n']
    departed_at: dt.datetime
    day: dt.date
    key: uuid.UUID
    class_: int = Field(alias="class")
    notes: list[Note]
    facts: dict[str, Any]
    weight: int | str


def flight(number: int) -> Flight:
    return Flight.model_validate(
        {
            "id": number,
            "tail-number": None if number % 3 else f"N{number}",
            "status": ("on time", "late", 'said "late"\\n')[number % 3],
            "departed_at": f"2013-01-{number:02}T05:15:00Z",
            "day": f"2013-01-{number:02}",
            "key": str(uuid.UUID(int=number)),
            "class": number % 2,
            "notes": [{"text": "a", "answers": [{"text": "b", "answers": [{"text": "c"}]}]}],
            "facts": {"gate": number, "more": [1, {"x": None}]},
            "weight": number if number % 2 else "unknown",
        }
    )


FLIGHTS = [flight(number) for number in range(1, RECORDS + 1)]


class Listing(BaseModel, Generic[ItemT]):
    items: list[ItemT]


class Meta(BaseModel):
    next_cursor: str | None
    total: int


class CursorListing(BaseModel, Generic[ItemT]):
    data: list[ItemT]
    meta: Meta


class KeyListing(BaseModel, Generic[ItemT]):
    data: list[ItemT]
    has_more: bool


class ODataListing(BaseModel, Generic[ItemT]):
    next_link: str | None = Field(None, alias="@odata.nextLink")
    value: list[ItemT]


class SpringListing(BaseModel, Generic[ItemT]):
    content: list[ItemT]
    totalPages: int  # noqa: N815 - as Spring writes it
    totalElements: int  # noqa: N815 - as Spring writes it


app = FastAPI(title="Flights", version="1.2")
add_pagination(app)
Limit = Annotated[int, Query(ge=1, le=5)]


@app.get("/by-page")
def list_by_page() -> Page[Flight]:
    return paginate(FLIGHTS)


@app.get("/by-offset")
def list_by_offset() -> LimitOffsetPage[Flight]:
    return paginate(FLIGHTS)


@app.get("/by-links")
def list_by_links() -> LinkedPage[Flight]:
    return paginate(FLIGHTS)


@app.get("/by-cursor")
def list_by_cursor(cursor: str | None = None, limit: Limit = 5) -> CursorListing[Flight]:
    start = int(base64.b64decode(cursor)) if cursor else 0
    end = start + limit
    following = base64.b64encode(str(end).encode()).decode() if end < RECORDS else None
    return CursorListing(data=FLIGHTS[start:end], meta=Meta(next_cursor=following, total=RECORDS))


@app.get("/by-key")
def list_by_key(starting_after: int | None = None, limit: Limit = 5) -> KeyListing[Flight]:
    later = [one for one in FLIGHTS if starting_after is None or one.id > starting_after]
    return KeyListing(data=later[:limit], has_more=len(later) > limit)


@app.get("/odata/v4/{class}/flights")
def list_odata(
    request: Request,
    class_: Annotated[int, PathParameter(alias="class")],
    skip: Annotated[int, Query(alias="$skip", ge=0)] = 0,
) -> ODataListing[Flight]:
    assert class_ == 7
    end = skip + 5
    link = str(request.url.include_query_params(**{"$skip": end})) if end < RECORDS else None
    return ODataListing[Flight](value=FLIGHTS[skip:end], **{"@odata.nextLink": link})


@app.get("/by-link-header", responses={200: {"headers": {"Link": {"schema": {"type": "string"}}}}})
def list_by_link_header(request: Request, response: Response, page: int = 1, per_page: Limit = 5) -> Sequence[Flight]:
    end = page * per_page
    if end < RECORDS:
        response.headers["Link"] = f'<{request.url.include_query_params(page=page + 1)}>; rel="next"'
    return FLIGHTS[end - per_page : end]


@app.get("/by-zero-based-page")
def list_by_zero_based_page(page: Annotated[int, Query(ge=0)] = 0, size: Limit = 4) -> SpringListing[Flight]:
    some = FLIGHTS[page * size : (page + 1) * size]
    return SpringListing(content=some, totalPages=-(-RECORDS // size), totalElements=RECORDS)


@app.get("/at-once")
def list_at_once() -> Listing[Flight]:
    return Listing(items=FLIGHTS)


@app.get("/names")
def list_names(offset: int = 0, limit: Limit = 5) -> list[str]:
    return [str(one.id) for one in FLIGHTS[offset : offset + limit]]


def serve() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # prctl(2), PR_SET_PDEATHSIG: a dying test takes its server along
    if os.getppid() == 1:
        sys.exit()
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])


if __name__ == "__main__":
    serve()
