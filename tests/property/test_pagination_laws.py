"""Laws of walks: over any graph of pages, a walk ends, and yields each record once or raises."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import IncompletePaginationError, PaginationError, PaginationLoopError
from controlroom.policy.flow import drive
from controlroom.policy.pagination import (
    CursorPagination,
    FetchPage,
    KeysetPagination,
    NextUrlPagination,
    OffsetPagination,
    PageNumberPagination,
    PageRequest,
    PageResponse,
    Walk,
)
from controlroom.policy.pagination.links import links
from controlroom.policy.rate_limit import RateLimit

HERE = "https://api.example.com/items"
NAMES = "abcdefgh"

Graph = dict[str, tuple[list[int], str | None]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Pages by cursor: any number of records, pointing anywhere; the first is "a"."""
    nodes: Graph = {}
    taken = 0
    for name in NAMES[: draw(st.integers(1, len(NAMES)))]:
        size = draw(st.integers(0, 3))
        nodes[name] = (list(range(taken, taken + size)), draw(st.sampled_from([None, "", *NAMES])))
        taken += size
    return {name: (records, None if next_ not in nodes else next_) for name, (records, next_) in nodes.items()}


def expected(graph: Graph) -> tuple[list[int], bool]:
    """What a walk may hand out, and whether it must raise: a page that points back is not handed out."""
    records: list[int] = []
    seen, name = {"a"}, "a"
    while True:
        page, following = graph[name]
        if following in seen:
            return records, True
        records += page
        if following is None:
            return records, False
        seen.add(following)
        name = following


def walked(walk: Walk, answer: Any, *, stop_after: int | None = None) -> tuple[list[Any], Any, Exception | None]:
    """Records, last checkpoint and error. A walk that never ends fails here."""
    records: list[Any] = []
    checkpoint = walk.checkpoint

    def fetch(step: FetchPage) -> PageResponse:
        body = answer(step.request)
        return PageResponse(step.request.url, {}, body, digest=json.dumps(body).encode())

    for number in range(200):
        try:
            page = None if number == stop_after else drive(walk.next_page(), fetch)
        except PaginationError as error:
            return records, checkpoint, error
        if page is None:
            return records, checkpoint, None
        records += page.records
        checkpoint = json.loads(json.dumps(page.checkpoint))
    raise AssertionError("the walk does not end")


def by_cursor(graph: Graph) -> Any:
    def answer(request: PageRequest) -> Any:
        records, following = graph[request.params.get("cursor", "a")]
        return {"items": records, "next": following}

    return answer


def by_url(graph: Graph) -> Any:
    def answer(request: PageRequest) -> Any:
        records, following = graph[request.url.rpartition("=")[2] if "=" in request.url else "a"]
        return {"items": records, "next": None if following is None else f"?c={following}"}

    return answer


@given(graphs(), st.booleans())
def test_any_graph_of_pages_is_walked_once_or_raises(graph: Graph, urls: bool) -> None:
    pagination = NextUrlPagination("next") if urls else CursorPagination("cursor", "next")
    start = PageRequest("GET", f"{HERE}?c=a" if urls else HERE, {} if urls else {"cursor": "a"})

    records, _, error = walked(Walk(start, pagination, records="items"), by_url(graph) if urls else by_cursor(graph))

    assert (records, error is not None) == expected(graph)
    assert error is None or isinstance(error, PaginationLoopError)


@given(graphs(), st.integers(0, 9))
def test_a_walk_cut_anywhere_and_resumed_is_the_walk_itself(graph: Graph, cut: int) -> None:
    start, pagination = PageRequest("GET", HERE, {"cursor": "a"}), CursorPagination("cursor", "next")
    before, checkpoint, error = walked(Walk(start, pagination, records="items"), by_cursor(graph), stop_after=cut)
    if error is not None:
        return

    after, _, error = walked(Walk(start, pagination, records="items", resume=checkpoint), by_cursor(graph))

    records, must_raise = expected(graph)
    if must_raise:  # the resumed walk knows nothing of the pages before: it may go round once, never for ever
        assert isinstance(error, PaginationLoopError)
    else:
        assert (before + after, error) == (records, None)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 20), st.one_of(st.none(), st.integers(-3, 3)))
def test_counting_walks_have_all_records_whatever_the_server_clamps(
    total: int, asked: int, clamp: int, lie: int | None
) -> None:
    data = list(range(total))
    stated = {} if lie is None else {"total": max(0, total + lie)}

    def answer(request: PageRequest) -> Any:
        start = request.params["offset"]
        return {"items": data[start : start + min(clamp, request.params["limit"])], **stated}

    pagination = OffsetPagination(size=asked, total=None if lie is None else "total")
    records, _, error = walked(Walk(PageRequest("GET", HERE), pagination, records="items"), answer)

    claimed = stated.get("total", total)
    if error is None:  # nothing is missing but what the server itself denied to have
        assert records == data[:claimed]
        assert len(records) == claimed
    else:
        assert isinstance(error, IncompletePaginationError)
        assert error.received == len(records) != error.expected


@given(st.lists(st.lists(st.integers(), max_size=3, unique=True), max_size=8), st.integers(0, 1))
def test_page_numbers_end_on_an_empty_page_and_never_hand_out_a_page_twice(pages: list[list[int]], first: int) -> None:
    def answer(request: PageRequest) -> Any:
        number = request.params["page"] - first
        return {"items": pages[number] if number < len(pages) else []}

    records, _, error = walked(
        Walk(PageRequest("GET", HERE), PageNumberPagination(first=first), records="items"), answer
    )

    until_empty = pages[: next((number for number, page in enumerate(pages) if not page), len(pages))]
    whole = [record for page in until_empty for record in page]
    assert records == whole[: len(records)]
    assert (error is None) == (len({json.dumps(page) for page in until_empty}) == len(until_empty))
    assert error is not None or records == whole


@given(st.text(max_size=60))
def test_any_text_as_link_header_is_read_or_refused(header: str) -> None:
    try:
        found = list(links(header))
    except ValueError:
        return
    assert all(link.target in header for link in found)
    assert len(found) <= header.count("<")


@given(
    st.lists(
        st.tuples(
            st.text('abc/?=&,;<" ', max_size=8).map(lambda text: text.replace("<", "").strip()),
            st.sampled_from(["next", "prev", "last next", "NEXT"]),
            st.text('abc,;=" <>\\', max_size=6),
        ),
        max_size=4,
    )
)
def test_links_written_by_the_rules_are_read_back(written: list[tuple[str, str, str]]) -> None:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    header = ", ".join(f'<{target}>; title="{quoted(title)}"; rel="{relation}"' for target, relation, title in written)

    assert [(link.target, link.relations) for link in links(header)] == [
        (target, set(relation.lower().split())) for target, relation, _ in written
    ]


@given(
    st.integers(1, 20),
    st.floats(0.1, 60),
    st.integers(1, 5),
    st.lists(st.floats(0, 10), min_size=1, max_size=60),
)
def test_no_window_sees_more_than_the_limit_and_its_burst(
    requests: int, per_s: float, burst: int, pauses: list[float]
) -> None:
    limit = RateLimit(requests, per_s, burst)
    now_s, left = 0.0, []
    for pause_s in pauses:
        now_s += pause_s
        left.append(now_s + limit.reserve(now_s))

    for start in left:
        assert sum(start <= instant < start + per_s * (1 - 1e-9) for instant in left) <= requests + burst - 1


@given(
    st.lists(st.integers(-1000, 1000), unique=True, max_size=20),
    st.integers(1, 6),
    st.sampled_from(["after", "from", "ignored"]),
    st.sampled_from(["up", "down"]),
)
def test_a_keyset_walk_yields_each_record_once_or_raises(keys: list[int], size: int, reads: str, order: str) -> None:
    """Whatever the server takes the key for: nothing is lost or doubled without a word."""
    listed = sorted(keys, reverse=order == "down")

    def answer(request: PageRequest) -> Any:
        asked = request.params.get("key")
        if asked is None or reads == "ignored":
            rest = listed
        else:
            behind = (lambda key: key < asked) if order == "down" else (lambda key: key > asked)
            rest = [key for key in listed if behind(key) or (reads == "from" and key == asked)]
        return [{"id": key} for key in rest[:size]]

    records, _, error = walked(Walk(PageRequest("GET", HERE), KeysetPagination("key", "id"), records=None), answer)

    handed_out = [record["id"] for record in records]
    assert len(set(handed_out)) == len(handed_out)
    assert error is not None or sorted(handed_out) == sorted(keys)
