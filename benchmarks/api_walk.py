"""Walks over an API, with every guard on, against the loop written by hand over ``httpx.Client`` and ``resp.json()``.

The server is a process of its own and all go to it over real loopback sockets, each over one connection that it keeps open.
Every client is made once, before the clock runs; a round is one walk over a hundred pages. The numbers are ratios of
processor time of this process to the first contender's in the same round; where waiting is the work, of wall time.

The bars: 0.85 at 100 records a page, 1.10 at one; 1.45 with records of a flat pydantic model; ``records()`` no more than
3 % above ``pages()``; prefetching 1.8 times as fast (0.56) where the server and the consumer take 20 ms each. Models in
models have no bar: each record is then some ten objects, and what they cost most is Python's own garbage collection.

The raw limits and the peers parse once with the standard library, unless they do otherwise by themselves, and check
nothing: no totals, no repeated pages, no deadlines. Peers take part where they are installed, each as its documentation
shows it: requests (a session), dlt (``RESTClient.paginate`` with a cursor paginator), singer-sdk
(``RESTStream.request_records``). They bring dozens of packages, so give them an environment of their own::

    python -m venv peers && peers/bin/pip install . requests dlt singer-sdk && peers/bin/python benchmarks/api_walk.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from _pages_server import serving
from _side_by_side import compare
from _walk_peers import by_hand, peers, raw_limits
from pydantic import BaseModel

from controlroom import ApiClient, CursorPagination, Endpoint
from controlroom.http import Page

THINK_S = 0.02


class Order(BaseModel):
    """A record, as a table would hold it."""

    id: int
    name: str
    amount: float
    currency: str
    created_at: str
    status: str
    note: str | None


class Customer(BaseModel):
    """Who ordered."""

    id: int
    email: str
    vip: bool


class WholeOrder(Order):
    """A record, with all that hangs on it."""

    customer: Customer
    tags: list[str]


def orders(path: str, model: Any = None) -> Endpoint[Any]:
    return Endpoint(
        path, records="data", pagination=CursorPagination("cursor", "meta.next"), total="meta.total", model=model
    )


def over(pages: Callable[[], Iterable[Page[Any]]], between: Callable[[], object] = lambda: None) -> Callable[[], None]:
    def walk() -> None:
        for page in pages():
            for _ in page.records:
                pass
            between()

    return walk


def records(api: ApiClient, endpoint: Endpoint[Any]) -> None:
    for _ in api.records(endpoint):
        pass


def hundred_records_a_page(url: str, api: ApiClient) -> None:
    path = "/hundred"
    typed, nested = orders(path, Order), orders(path, WholeOrder)
    contenders = {
        "httpx.Client and resp.json()": by_hand(url, path),
        "controlroom pages()": over(lambda: api.pages(orders(path))),
        "controlroom records()": lambda: records(api, orders(path)),
        "controlroom pages(), typed": over(lambda: api.pages(typed)),
        "controlroom pages(), typed and nested": over(lambda: api.pages(nested)),
    }
    compare("100 records a page", {**contenders, **raw_limits(url, path), **peers(url, path)})
    compare(
        "records() against pages()",
        {"pages()": over(lambda: api.pages(orders(path))), "records()": lambda: records(api, orders(path))},
        rounds=19,
    )


def one_record_a_page(url: str, api: ApiClient) -> None:
    path = "/one"
    contenders = {
        "httpx.Client and resp.json()": by_hand(url, path),
        "controlroom pages()": over(lambda: api.pages(orders(path))),
    }
    compare("1 record a page", {**contenders, **raw_limits(url, path), **peers(url, path)})


def waiting_on_both_sides(url: str, api: ApiClient) -> None:
    def consume() -> None:
        time.sleep(THINK_S)

    slow = orders("/slow")
    contenders = {
        "httpx.Client and resp.json()": by_hand(url, "/slow", consume),
        "controlroom pages()": over(lambda: api.pages(slow), consume),
        "controlroom pages(prefetch=1)": over(lambda: api.pages(slow, prefetch=1), consume),
    }
    compare("20 ms a page on either side", contenders, rounds=3, clock="wall")


def main() -> None:
    with serving() as url, ApiClient(url) as api:
        hundred_records_a_page(url, api)
        one_record_a_page(url, api)
        waiting_on_both_sides(url, api)


if __name__ == "__main__":
    main()
