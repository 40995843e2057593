"""Contents coded with br and zstd, from a real server: walked, downloaded, cut, blown up and followed by something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import brotli
import pytest
import zstandard

from controlroom.errors import APIConnectionError, APIContractError, APIStatusError
from controlroom.http import ApiClient, CursorPagination, Endpoint
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from tests.integration.http_colours import COLOURS, ask, walk
from tests.integration.http_server import Answer, Asked, serving

pytestmark = pytest.mark.integration

AT_ONCE = RetryPolicy(attempts=3, backoff=Backoff(initial_s=0.0))
PACKED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "br": lambda data: brotli.compress(data, quality=4),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def coded(coding: str, body: Any, **answer: Any) -> Answer:
    """*body* as JSON, packed, where the client said that it reads that."""
    return Answer(PACKED[coding](json.dumps(body).encode()), headers={"Content-Encoding": coding}, **answer)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("coding", PACKED)
def test_a_walk_reads_what_it_announced(colour: str, coding: str) -> None:
    def answer(asked: Asked) -> Answer:
        assert coding in asked.headers["accept-encoding"].split(", ")
        number = int(asked.query.get("cursor", "0"))
        records = [{"id": number * 100 + offset, "text": "é" * 50} for offset in range(100)]
        return coded(coding, {"data": records, "next": str(number + 1) if number < 4 else None})

    endpoint = Endpoint("/items", records="data", pagination=CursorPagination("cursor", "next"))
    with serving(answer) as server:
        outcome = walk(colour, server.url, endpoint)

    assert outcome.error is None
    assert [record["id"] for record in outcome.records] == list(range(500))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("coding", PACKED)
def test_a_body_that_was_cut_is_asked_for_again(colour: str, coding: str) -> None:
    """The server promised no more than it sent: only the coding tells that there should be more."""

    def answer(asked: Asked) -> Answer:
        whole = coded(coding, list(range(1_000)))
        if asked.number == 1:
            whole.body = whole.body[:-5]
        return whole

    with serving(answer) as server:
        assert ask(colour, server.url, client={"retry": AT_ONCE}).json() == list(range(1_000))
        server.asked.clear()
        with pytest.raises(APIConnectionError, match="cut short"):
            ask(colour, server.url, client={"retry": None})


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("behind", [b"\0\0\0\0", b"<!-- a proxy was here -->"])
def test_what_a_proxy_appends_is_no_content(colour: str, coding: str, behind: bytes) -> None:
    def answer(_: Asked) -> Answer:
        whole = coded(coding, {})
        whole.body += behind
        return whole

    with serving(answer) as server, pytest.raises(APIContractError, match="cannot be decompressed"):
        ask(colour, server.url, client={"retry": AT_ONCE})

    assert len(server.asked) == 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("coding", PACKED)
def test_a_bomb_is_refused_and_the_connection_with_it(colour: str, coding: str) -> None:
    bomb = PACKED[coding](b" " * 30_000_000)

    with serving(lambda _: Answer(bomb, headers={"Content-Encoding": coding})) as server:
        with pytest.raises(APIContractError, match="too large"):
            ask(colour, server.url, client={"max_response_bytes": 1_000_000, "retry": AT_ONCE})
        assert len(server.asked) == 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("coding", PACKED)
def test_an_error_is_told_in_the_servers_own_words(colour: str, coding: str) -> None:
    with serving(lambda _: coded(coding, {"reason": "no such order"}, status=404)) as server:
        with pytest.raises(APIStatusError, match="no such order"):
            ask(colour, server.url)
        for other in (coding, "rot13"):
            headers = {"Content-Encoding": other}
            server.answer = lambda _, headers=headers: Answer(b"\xff\xff not so packed", status=404, headers=headers)
            with pytest.raises(APIStatusError, match=r"404 Not Found\. The server refused it"):
                ask(colour, server.url)


@pytest.mark.parametrize("coding", PACKED)
def test_a_server_that_packs_a_download_all_the_same_is_read(coding: str, tmp_path: Path) -> None:
    content = b"1,2,3\n" * 100_000
    headers = {"Content-Encoding": coding, "ETag": '"packed"'}
    with serving(lambda _: Answer(PACKED[coding](content), headers=headers)) as server, ApiClient(server.url) as api:
        api.download("/export.csv", to=tmp_path / "export.csv")

    assert server.asked[0].headers["accept-encoding"] == "identity"
    assert (tmp_path / "export.csv").read_bytes() == content
