"""Codings of bodies, each by every package that may read it: bounded, whole, and with nothing behind the end."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import APIConnectionError, APIContractError
from controlroom.http import decoding
from controlroom.http.body import BodySink
from controlroom.http.calls import Call
from controlroom.http.configuration import Configuration

PIECE: Final = 64 * 1024
LARGEST_PIECE: Final = 2 * 2**20
PACKAGES: Final = {"br": ("brotli", "brotlicffi"), "zstd": ("compression.zstd", "backports.zstd", "zstandard")}
NOT_HERE: Final = "compression.zstd" if sys.version_info < (3, 14) else "backports.zstd"  # the same, for its Pythons
READERS: Final = [(coding, name) for coding, names in PACKAGES.items() for name in names if name != NOT_HERE]
SKIPPABLE: Final = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"  # RFC 8878 section 3.1.2
RAW_BLOCK_BYTES: Final = 128 * 1024


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=4),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def rle_bomb(blocks: int) -> bytes:
    """A zstd frame in which each 4 bytes stand for 128 KiB (RFC 8878 section 3.1.1.2)."""
    headers = ((number == blocks - 1) | 1 << 1 | RAW_BLOCK_BYTES << 3 for number in range(blocks))
    return b"\x28\xb5\x2f\xfd\x00\x68" + b"".join(header.to_bytes(3, "little") + b"a" for header in headers)


@pytest.fixture(autouse=True)
def looked_up_anew() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    decoding.codings.cache_clear()
    decoding.acceptable.cache_clear()


def only(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let nothing but *packages* be installed."""
    for package in (*PACKAGES["br"], *PACKAGES["zstd"]):
        if package not in packages:
            monkeypatch.setitem(sys.modules, package, None)
    forget()


@pytest.fixture(params=READERS, ids="-".join)
def coding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """br or zstd, as one package reads it."""
    name, package = request.param
    pytest.importorskip(package)
    only(monkeypatch, package)
    return str(name)


def readers_of(name: str) -> Any:
    """The fixture above, of one coding."""
    mine = [reader for reader in READERS if reader[0] == name]
    return pytest.mark.parametrize("coding", mine, ids="-".join, indirect=True)


def unpacked(coding: str, data: bytes, piece: int = PIECE) -> bytes:
    inflater = decoding.Inflater(coding)
    parts = [part for start in range(0, len(data), piece) for part in inflater.unpacked(data[start : start + piece])]
    assert not inflater.is_cut_short
    return b"".join(parts)


def received(coding: str, data: bytes, limit_bytes: int = 10_000) -> bytes:
    sink = BodySink(Call("GET", "https://x/y"), "https://x/y", limit_bytes)
    sink.begin(200, [("Content-Encoding", coding)])
    sink.feed(data)
    sink.end()
    return sink.response().content


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 7])
@pytest.mark.parametrize("fed", [1_000, 10**7])
def test_a_body_comes_out_whole_whatever_its_size(coding: str, size: int, fed: int) -> None:
    for content in (bytes(size), bytes(range(256)) * (size // 256 + 1)):
        assert unpacked(coding, PACKED[coding](content), fed) == content


@pytest.mark.parametrize("over", range(0, 300, 7))
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, bare], ids=["gzip", "zlib", "bare"])
def test_what_fills_a_piece_leaves_nothing_inside(pack: Callable[[bytes], bytes], over: int) -> None:
    """A bare stream has no trailer: all of it is taken in while output still waits, and it was said to be cut short."""
    content = bytes(PIECE + over)

    assert unpacked("gzip" if pack is gzip.compress else "deflate", pack(content)) == content


@given(content=st.binary(max_size=2_000), sizes=st.lists(st.integers(1, 400), max_size=20), repeat=st.integers(1, 4))
@pytest.mark.parametrize("name", PACKED)
def test_any_body_survives_any_cutting(name: str, content: bytes, sizes: list[int], repeat: int) -> None:
    inflater, found, packed = decoding.Inflater(name), b"", PACKED[name](content * repeat)
    for size in [*sizes, len(packed)]:
        found += b"".join(inflater.unpacked(packed[:size]))
        packed = packed[size:]

    assert (found, inflater.is_cut_short) == (content * repeat, False)


def test_a_bomb_is_noticed_before_it_has_gone_off(coding: str) -> None:
    bomb = PACKED[coding](bytes(30_000_000))
    decoding.codings()  # what importing costs is no piece of it
    tracemalloc.start()

    with pytest.raises(APIContractError, match="too large"):
        received(coding, bomb, limit_bytes=1_000_000)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(bomb) < 10_000
    assert peak_bytes < 1_000_000 + 3 * LARGEST_PIECE


def test_no_piece_is_larger_than_it_may_be(coding: str) -> None:
    bomb = rle_bomb(200) if coding == "zstd" else PACKED[coding](bytes(26_000_000))
    inflater = decoding.Inflater(coding)

    sizes = [len(piece) for piece in inflater.unpacked(bomb)]

    assert sum(sizes) >= 26_000_000
    assert max(sizes) <= LARGEST_PIECE
    assert not inflater.is_cut_short


@readers_of("zstd")
def test_a_window_larger_than_a_receiver_has_to_have_is_refused(coding: str) -> None:
    settings = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    body = packer.compress(b"small") + packer.flush()

    with pytest.raises(APIContractError, match=r"cannot be decompressed .*memory"):
        received(coding, body)


def test_a_body_cut_anywhere_is_a_lost_connection_and_never_a_short_answer(coding: str) -> None:
    packed = PACKED[coding](b"the quick brown fox " * 10)

    for end in range(1, len(packed)):
        with pytest.raises(APIConnectionError, match="cut short"):
            received(coding, packed[:end])


@pytest.mark.parametrize("behind", [b"\0", b"x", b"garbage behind the end", b"\x28\xb5"])
@pytest.mark.parametrize("later", [False, True])
def test_what_stands_behind_the_end_is_no_content(coding: str, behind: bytes, later: bool) -> None:
    packed = PACKED[coding](b"whole")
    inflater = decoding.Inflater(coding)
    fed = [packed, behind] if later else [packed + behind]

    with pytest.raises(decoding.UndecodableError):
        for data in fed:
            assert set(inflater.unpacked(data)) <= {b"whole"}
        if inflater.is_cut_short:  # half of what could be the next frame's beginning
            raise decoding.UndecodableError


@pytest.mark.parametrize("behind", [b"\0", b"x", zlib.compress(b"a second stream"), bare(b"another")])
def test_deflate_is_one_stream(behind: bytes) -> None:
    with pytest.raises(APIContractError, match="more behind its end"):
        received("deflate", zlib.compress(b"whole") + behind)


@readers_of("zstd")
def test_all_frames_of_a_zstd_body_count_and_those_to_be_skipped_do_not(coding: str) -> None:
    packed = SKIPPABLE + PACKED[coding](b"one,") + SKIPPABLE + PACKED[coding](b"") + PACKED[coding](b"two") + SKIPPABLE

    assert unpacked(coding, packed) == b"one,two"
    assert unpacked(coding, packed, 1) == b"one,two"


@readers_of("br")
def test_two_streams_of_brotli_are_no_body(coding: str) -> None:
    """RFC 7932 knows one; a zstd body may have several (RFC 8878)."""
    with pytest.raises(APIContractError, match="cannot be decompressed"):
        received(coding, brotli.compress(b"one") + brotli.compress(b"two"))


@pytest.mark.parametrize("content", [b"\xff" * 100, b"<html>no</html>"])
def test_a_body_that_is_not_coded_as_it_says_raises(coding: str, content: bytes) -> None:
    with pytest.raises(APIContractError, match="cannot be decompressed") as raised:
        received(coding, content)

    assert isinstance(raised.value.__cause__, decoding.UndecodableError)


@readers_of("zstd")
def test_a_checksum_that_does_not_fit_is_noticed(coding: str) -> None:
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(b"whole"))
    packed[-1] ^= 1

    with pytest.raises(APIContractError, match="cannot be decompressed"):
        received(coding, bytes(packed))


@pytest.mark.parametrize("name", PACKED)
def test_thousands_of_empty_streams_cost_no_more_than_their_bytes(name: str) -> None:
    """What remains behind each of them is copied: of a large piece, a million times all of it."""
    empty = PACKED[name](b"")
    inflater = decoding.Inflater(name)

    if name in {"gzip", "zstd"}:
        assert list(inflater.unpacked(empty * 20_000)) == []
    else:
        with pytest.raises(decoding.UndecodableError):
            list(inflater.unpacked(empty * 20_000))


# What is announced


@pytest.mark.parametrize(
    ("packages", "announced"),
    [
        ((), "gzip, deflate"),
        (("brotli",), "gzip, deflate, br"),
        (("brotlicffi",), "gzip, deflate, br"),
        (("backports.zstd",), "gzip, deflate, zstd"),
        (("zstandard",), "gzip, deflate, zstd"),
        (("brotli", "zstandard"), "gzip, deflate, br, zstd"),
    ],
)
def test_what_can_be_read_is_announced_and_nothing_else(
    packages: tuple[str, ...], announced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, *packages)

    call = Configuration("https://api.example.com").call("GET", "/x")
    sent = Configuration("https://api.example.com").outgoing(call, call.url)

    assert sent.headers["Accept-Encoding"] == announced
    assert [name for name in PACKED if name in decoding.codings()] == announced.split(", ")


@pytest.mark.parametrize("name", ["br", "zstd"])
def test_what_cannot_be_read_is_refused_and_says_what_would_read_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)

    with pytest.raises(
        APIContractError, match=rf"not asked for \({name}: the extra controlroom\[compress\] reads it\)"
    ):
        received(name, PACKED[name](b"content"))


def test_a_brotli_that_knows_no_bound_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 1.2 a piece of the body may become 16 MiB for each three bytes, all at once."""
    only(monkeypatch)
    unbounded: Any = SimpleNamespace(Decompressor=SimpleNamespace(process=None), error=Exception)
    monkeypatch.setitem(sys.modules, "brotli", unbounded)

    assert decoding.acceptable() == "gzip, deflate"
