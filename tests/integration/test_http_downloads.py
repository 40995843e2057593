"""Downloads that break off, change, lie and come back: whole at their target, or not there at all."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlroom.errors import (
    APIConnectionError,
    APIContractError,
    APIStatusError,
    ChecksumMismatchError,
    ConfigError,
    ControlRoomError,
    ObjectExistsError,
    ObjectNotFoundError,
)
from controlroom.http import ApiClient, AsyncApiClient
from controlroom.policy import Backoff
from controlroom.retrying import RetryPolicy
from controlroom.testing import AsyncMemoryStore, MemoryStore
from tests.integration.http_colours import COLOURS
from tests.integration.http_server import Answer, Asked, serving

pytestmark = pytest.mark.integration

CONTENT = bytes(range(256)) * 4096  # 1 MiB
ETAG = '"v1"'
AT_ONCE = RetryPolicy(attempts=4, backoff=Backoff(initial_s=0.001, jitter="none"))


def download(colour: str, answer: Callable[[Asked], Answer], to: Any, **options: Any) -> Any:
    """The receipt, or what was raised; and what was asked."""
    with serving(answer) as server:

        async def asynchronous() -> Any:
            async with AsyncApiClient(server.url, retry=AT_ONCE) as api:
                return await api.download("/export", to=to, **options)

        try:
            if colour == "async":
                return asyncio.run(asynchronous()), server.asked
            with ApiClient(server.url, retry=AT_ONCE) as api:
                return api.download("/export", to=to, **options), server.asked
        except ControlRoomError as error:
            return error, server.asked


class Ranges:
    """A server of one content that cuts its first *cuts* answers in their middle."""

    def __init__(self, content: bytes = CONTENT, *, cuts: int = 0, etag: str | None = ETAG, **headers: str) -> None:
        self.content = content
        self.cuts = cuts
        self.headers = {**({} if etag is None else {"ETag": etag}), **headers}

    def __call__(self, asked: Asked) -> Answer:
        cut = asked.number <= self.cuts
        start = self.start(asked)
        if start is None:
            return Answer(self.content, headers=self.headers, cut=cut)
        stated = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        return Answer(self.content[start:], 206, {**self.headers, "Content-Range": stated}, cut=cut)

    def start(self, asked: Asked) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
        if found is None or asked.headers.get("if-range") != self.headers.get("ETag"):
            return None
        return int(found[1])


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("colour", COLOURS)
def test_it_is_written_whole_with_its_proof(colour: str, tmp_path: Path) -> None:
    receipt, asked = download(colour, Ranges(), tmp_path / "export.csv")

    assert (tmp_path / "export.csv").read_bytes() == CONTENT
    assert (receipt.size_bytes, receipt.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert asked[0].headers["accept-encoding"] == "identity"
    assert left_in(tmp_path) == ["export.csv"]


@pytest.mark.parametrize("colour", COLOURS)
def test_what_breaks_off_goes_on_where_it_was(colour: str, tmp_path: Path) -> None:
    receipt, asked = download(colour, Ranges(cuts=3), tmp_path / "export.csv")

    assert receipt.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert [one.headers.get("if-range") for one in asked] == [None, ETAG, ETAG, ETAG]
    starts = [int(one.headers["range"].removeprefix("bytes=").rstrip("-")) for one in asked[1:]]
    assert starts == sorted(set(starts))
    assert (tmp_path / "export.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    "headers", [{"etag": None}, {"etag": 'W/"v1"'}, {"etag": '"\xfc"'}, {"Accept-Ranges": "none"}], ids=str
)
def test_without_a_strong_validator_it_begins_again(colour: str, headers: dict[str, Any], tmp_path: Path) -> None:
    receipt, asked = download(colour, Ranges(cuts=2, **headers), tmp_path / "export.csv")

    assert receipt.size_bytes == len(CONTENT)
    assert ["range" in one.headers for one in asked] == [False] * 3
    assert (tmp_path / "export.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("colour", COLOURS)
def test_a_content_that_changes_meanwhile_is_never_mixed(colour: str, tmp_path: Path) -> None:
    old, new = Ranges(cuts=1), Ranges(b"new" * 1000, etag='"v2"')

    receipt, _ = download(colour, lambda asked: (old if asked.number == 1 else new)(asked), tmp_path / "export.csv")

    assert receipt.sha256 == hashlib.sha256(b"new" * 1000).hexdigest()
    assert (tmp_path / "export.csv").read_bytes() == b"new" * 1000


def lying(asked: Asked, content_range: str, **headers: str) -> Answer:
    """Cut the first answer, and answer any range with a lie."""
    if "range" not in asked.headers:
        return Answer(CONTENT, headers={"ETag": ETAG}, cut=asked.number == 1)
    return Answer(b"x" * 100, 206, {"ETag": ETAG, "Content-Range": content_range, **headers})


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    "lie",
    [
        lambda asked: lying(asked, "bytes 0-99/1048576"),
        lambda asked: lying(asked, "bytes 524288-524387/999"),
        lambda asked: lying(asked, "pages 1-2/3"),
        lambda asked: lying(asked, ""),
        lambda asked: lying(asked, "bytes 524288-1048575/1048576", ETag='"v2"'),
        lambda asked: Answer(b"no", 416) if "range" in asked.headers else lying(asked, ""),
    ],
    ids=["another start", "another total", "another unit", "no range", "another content", "416"],
)
def test_a_range_that_does_not_fit_begins_again(colour: str, lie: Any, tmp_path: Path) -> None:
    receipt, asked = download(colour, lie, tmp_path / "export.csv")

    assert receipt.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert ["range" in one.headers for one in asked] == [False, True, False]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_partial_answer_that_nobody_asked_for_is_no_content(colour: str, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("old")
    answer = Answer(b"x" * 10, 206, {"Content-Range": "bytes 0-9/100", "ETag": ETAG})

    error, asked = download(colour, lambda _: answer, tmp_path / "export.csv")

    assert isinstance(error, APIConnectionError)
    assert (len(asked), (tmp_path / "export.csv").read_text()) == (4, "old")


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(b'other').digest()).decode()}:"},
        {"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(b'other').digest()).decode()}:"},
        {"Digest": f"sha-256={base64.b64encode(hashlib.sha256(b'other').digest()).decode()}"},
        {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(b"other").digest()).decode()},
    ],
    ids=["RFC 9530", "RFC 9530 content", "RFC 3230", "S3"],
)
def test_a_content_that_is_not_what_the_server_promised_is_not_published(
    colour: str, headers: dict[str, str], tmp_path: Path
) -> None:
    error, _ = download(colour, Ranges(**headers), tmp_path / "export.csv")

    assert isinstance(error, ChecksumMismatchError)
    assert error.actual == hashlib.sha256(CONTENT).hexdigest()
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("colour", COLOURS)
def test_a_promise_that_is_kept_is_kept_over_a_resume_too(colour: str, tmp_path: Path) -> None:
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()

    receipt, _ = download(
        colour,
        Ranges(cuts=2, **{"Repr-Digest": f"md5=:AAAA:, sha-256=:{digest}:"}),
        tmp_path / "export.csv",
        sha256=hashlib.sha256(CONTENT).hexdigest().upper(),
    )

    assert receipt.size_bytes == len(CONTENT)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_callers_own_checksum_is_verified(colour: str, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("old")

    error, _ = download(colour, Ranges(), tmp_path / "export.csv", sha256="0" * 64)

    assert isinstance(error, ChecksumMismatchError)
    assert (tmp_path / "export.csv").read_text() == "old"


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("announced", [True, False])
def test_more_than_was_allowed_is_not_let_in(colour: str, announced: bool, tmp_path: Path) -> None:
    packed = {} if announced else {"Content-Encoding": "gzip"}
    content = CONTENT if announced else gzip.compress(CONTENT)

    error, asked = download(colour, Ranges(content, **packed), tmp_path / "export.csv", max_bytes=len(CONTENT) - 1)

    assert isinstance(error, APIContractError)
    assert (len(asked), left_in(tmp_path)) == (1, [])


@pytest.mark.parametrize("colour", COLOURS)
def test_a_coding_that_was_not_asked_for_is_undone(colour: str, tmp_path: Path) -> None:
    server = Ranges(gzip.compress(CONTENT), cuts=1, **{"Content-Encoding": "gzip"})

    receipt, asked = download(colour, server, tmp_path / "export.csv")

    assert receipt.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert "range" not in asked[1].headers


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("status", [404, 503, 204])
def test_what_is_no_content_leaves_the_target_as_it_was(colour: str, status: int, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("old")

    error, _ = download(colour, lambda _: Answer(b"", status), tmp_path / "export.csv")

    assert isinstance(error, APIStatusError if status > 400 else APIContractError)
    assert (tmp_path / "export.csv").read_text() == "old"
    assert left_in(tmp_path) == ["export.csv"]


@pytest.mark.parametrize("colour", COLOURS)
def test_an_empty_content_is_an_empty_object(colour: str, tmp_path: Path) -> None:
    receipt, _ = download(colour, Ranges(b""), tmp_path / "export.csv")

    assert (receipt.size_bytes, (tmp_path / "export.csv").read_bytes()) == (0, b"")


@pytest.mark.parametrize("colour", COLOURS)
def test_it_goes_into_any_store(colour: str) -> None:
    store: Any = MemoryStore() if colour == "sync" else AsyncMemoryStore()

    receipt, _ = download(colour, Ranges(cuts=1), store, key="raw/export.csv")

    data = store.read_bytes("raw/export.csv")
    assert (data if colour == "sync" else asyncio.run(data)) == CONTENT
    assert receipt.ref.endswith("raw/export.csv")


@pytest.mark.parametrize("colour", COLOURS)
def test_what_is_there_is_kept_where_that_was_asked_for(colour: str, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("old")

    error, _ = download(colour, Ranges(), tmp_path / "export.csv", if_absent=True)

    assert isinstance(error, ObjectExistsError)
    assert (tmp_path / "export.csv").read_text() == "old"


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"to": "export.csv", "key": "k"}, ConfigError),
        ({"to": MemoryStore()}, ConfigError),
        ({"to": "export.csv", "sha256": "abc"}, ConfigError),
        ({"to": "export.csv", "max_bytes": 0}, ConfigError),
        ({"to": "absent/export.csv"}, ObjectNotFoundError),
    ],
    ids=["a key for a path", "a store without a key", "no checksum", "nothing allowed", "no such folder"],
)
def test_an_impossible_target_is_refused(
    colour: str, options: dict[str, Any], kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    error, _ = download(colour, Ranges(), **options)

    assert isinstance(error, kind)
    assert left_in(tmp_path) == []


def test_a_download_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        with serving(Ranges(CONTENT * 8)) as server:
            async with AsyncApiClient(server.url) as api:
                for steps in range(1, 40, 3):
                    task = asyncio.ensure_future(api.download("/export", to=tmp_path / "export.csv"))
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    assert left_in(tmp_path) == []

    asyncio.run(main())


class Halted(httpx.SyncByteStream):
    """The first half of a content of unknown length; then the connection is lost."""

    def __iter__(self) -> Iterator[bytes]:
        yield CONTENT[:1000]
        raise httpx.ReadError("lost")


def test_a_part_of_a_content_whose_end_nobody_knows_is_not_taken_for_the_rest(tmp_path: Path) -> None:
    part = {"ETag": ETAG, "Content-Range": "bytes 1000-1999/*"}
    answers = [
        httpx.Response(200, headers={"ETag": ETAG, "Transfer-Encoding": "chunked"}, stream=Halted()),
        httpx.Response(206, headers=part, content=CONTENT[1000:2000]),
        httpx.Response(200, headers={"ETag": ETAG}, content=CONTENT),
    ]
    transport = httpx.MockTransport(lambda _: answers.pop(0))

    with ApiClient("https://api.example.com", transport=transport, retry=AT_ONCE) as api:
        receipt = api.download("/export", to=tmp_path / "export.csv")

    assert receipt.size_bytes == len(CONTENT)
    assert (tmp_path / "export.csv").read_bytes() == CONTENT
