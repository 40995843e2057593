"""Bodies that lie about their size, their coding and their end."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom import clock
from controlroom.errors import APIConnectionError, APIContractError, APITimeoutError, Disposition
from controlroom.http.body import BodySink
from controlroom.http.calls import Call
from controlroom.testing import ManualClock

TEXT = b"the quick brown fox " * 100


def received(
    pieces: list[bytes],
    headers: dict[str, str] | None = None,
    *,
    status: int = 200,
    limit_bytes: int = 10_000,
    method: str = "GET",
) -> bytes:
    sink = BodySink(Call(method, "https://x/y"), "https://x/y", limit_bytes)
    sink.begin(status, (headers or {}).items())
    for piece in pieces:
        if not sink.feed(piece):
            break
    sink.end()
    return sink.response().content


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
    "": bytes,
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_comes_out_whole_however_it_was_cut_into_pieces(coding: str, size: int) -> None:
    packed = CODINGS[coding](TEXT)
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]

    assert received(pieces, {"Content-Encoding": coding}) == TEXT


def test_a_bare_deflate_stream_is_read_as_browsers_do() -> None:
    assert received([bare_deflate(TEXT)], {"Content-Encoding": "deflate"}) == TEXT


@pytest.mark.parametrize("padding", [b"", b"\0" * 10])
def test_all_members_of_a_gzip_body_count(padding: bytes) -> None:
    packed = gzip.compress(TEXT) + padding + gzip.compress(b"second") + padding

    assert received([packed], {"Content-Encoding": "gzip"}) == TEXT + b"second"
    assert received([bytes([byte]) for byte in packed], {"Content-Encoding": "gzip"}) == TEXT + b"second"


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=20), st.sampled_from(["gzip", "deflate"]))
def test_any_body_survives_any_cutting(data: bytes, sizes: list[int], coding: str) -> None:
    packed, pieces = CODINGS[coding](data), []
    for size in sizes:
        pieces.append(packed[:size])
        packed = packed[size:]

    assert received([*pieces, packed], {"Content-Encoding": coding}) == data


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_noticed_before_it_has_gone_off(coding: str) -> None:
    bomb = CODINGS[coding](b"\0" * 100_000_000)
    tracemalloc.start()

    with pytest.raises(APIContractError, match="too large"):
        received([bomb], {"Content-Encoding": coding}, limit_bytes=1_000_000)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 5_000_000


@pytest.mark.parametrize(("size", "fits"), [(9_999, True), (10_000, True), (10_001, False)])
def test_the_limit_is_exact(size: int, fits: bool) -> None:
    for pieces in ([b"x" * size], [b"x"] * size):
        if fits:
            assert len(received(pieces)) == size
        else:
            with pytest.raises(APIContractError, match="max_response_bytes is 10000"):
                received(pieces)


def test_an_announced_size_over_the_limit_is_not_even_read() -> None:
    with pytest.raises(APIContractError, match="too large"):
        received([], {"Content-Length": "10001"})


@pytest.mark.parametrize("length", ["-1", "x", "", "1" * 30, "10, 10"])
def test_an_announced_size_that_cannot_be_read_decides_nothing(length: str) -> None:
    assert received([b"abc"], {"Content-Length": length}) == b"abc"


def test_the_answer_to_head_announces_what_it_does_not_send() -> None:
    headers = {"Content-Length": "99999999", "Content-Encoding": "br"}

    assert received([], headers, method="HEAD") == b""


@pytest.mark.parametrize("coding", ["compress", "gzip, gzip", "utf-8"])
def test_a_coding_nobody_asked_for_raises_instead_of_passing_for_content(coding: str) -> None:
    with pytest.raises(APIContractError, match="not asked for"):
        received([b"abc"], {"Content-Encoding": coding})


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", b"plain text"), ("deflate", b"x\x9cnonsense"), ("gzip", gzip.compress(TEXT)[:-5] + b"XXXXX")],
    ids=count(),
)
def test_a_body_that_is_not_coded_as_it_says_raises(coding: str, body: bytes) -> None:
    with pytest.raises(APIContractError, match="cannot be decompressed"):
        received([body], {"Content-Encoding": coding})


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_body_cut_short_is_a_lost_connection_not_a_short_answer(coding: str) -> None:
    packed = CODINGS[coding](TEXT)

    for end in range(1, len(packed)):
        with pytest.raises(APIConnectionError, match="cut short") as raised:
            received([packed[:end]], {"Content-Encoding": coding})
        assert raised.value.disposition is Disposition.RETRY


def test_a_compressed_answer_without_any_body_is_empty() -> None:
    assert received([], {"Content-Encoding": "gzip"}, status=204) == b""


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_of_an_errors_body_the_start_is_enough(coding: str) -> None:
    body = CODINGS[coding](b"e" * 10_000_000)

    content = received([body], {"Content-Encoding": coding, "Content-Length": "10000000"}, status=500)

    assert 64 * 1024 <= len(content) <= max(128 * 1024, len(body))


def test_the_time_is_looked_at_between_pieces() -> None:
    with ManualClock() as manual, clock.deadline(10):
        sink = BodySink(Call("POST", "https://x/y"), "https://x/y", 100)
        sink.begin(200, [])
        assert sink.feed(b"a")
        manual.advance(10)

        with pytest.raises(APITimeoutError) as raised:
            sink.feed(b"b")

    assert (raised.value.phase, raised.value.sent, raised.value.disposition) == ("total", "yes", Disposition.RECONCILE)
