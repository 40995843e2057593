"""A walk of 50 pages of 100 records against the same loop written by hand over httpx, served from memory."""

from __future__ import annotations

import json

import httpx
from _side_by_side import compare

from controlroom import ApiClient, CursorPagination, Endpoint

PAGES, RECORDS = 50, 100
BODIES = [
    json.dumps(
        {
            "data": [
                {"id": page * RECORDS + number, "name": f"order {number}", "amount": 2.5} for number in range(RECORDS)
            ],
            "meta": {"next": str(page + 1) if page + 1 < PAGES else None, "total": PAGES * RECORDS},
        }
    ).encode()
    for page in range(PAGES)
]
ORDERS = Endpoint("/orders", records="data", pagination=CursorPagination("cursor", "meta.next"), total="meta.total")


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=BODIES[int(request.url.params.get("cursor", 0))])


def by_hand() -> None:
    with httpx.Client(base_url="https://api.example.com", transport=httpx.MockTransport(answer)) as client:
        cursor: str | None = "0"
        while cursor is not None:
            body = client.get("/orders", params={"cursor": cursor}).json()
            for _ in body["data"]:
                pass
            cursor = body["meta"]["next"]


def ours() -> None:
    with ApiClient("https://api.example.com", transport=httpx.MockTransport(answer)) as api:
        for _ in api.records(ORDERS):
            pass


def main() -> None:
    compare(
        f"{PAGES} pages of {RECORDS} records", {"httpx.Client and resp.json()": by_hand, "controlroom records()": ours}
    )


if __name__ == "__main__":
    main()
