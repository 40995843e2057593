"""The stores, opened anew for each test, and the servers that stand below those in S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.contract.stores import S3_STORES, STORES, AllInOneLoop, open_s3
from tests.servers.ministack import ministack_server
from tests.servers.s3 import S3Server
from tests.servers.seaweedfs import seaweedfs_server
from tests.unit.storage.folders import staged_in

__all__ = ["ministack_server", "seaweedfs_server"]


# Where a store is not what the others are, and why. A test that is named here must fail there.
KNOWN = {
    ("test_every_publication_has_an_etag_of_its_own", "S3Store"): "an ETag of S3 is made of the content alone",
    ("test_listing_is_in_the_order_of_utf_8", "seaweedfs"): "SeaweedFS lists the folders of a tree: a/b before a!b",
    (
        "test_of_few_who_create_large_objects",
        "seaweedfs",
    ): "SeaweedFS looks, and completes in a second step: it is refused",
    ("test_a_key_means_itself_whatever_it_contains", "seaweedfs-a\\\\b"): "a\\b is a/b to SeaweedFS",
}


@pytest.fixture(autouse=True)
def known(request: pytest.FixtureRequest) -> None:
    for (test, where), reason in KNOWN.items():
        if test in request.node.name and where in request.node.name:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="session")
def one_loop() -> Iterator[AllInOneLoop]:
    loop = AllInOneLoop()
    yield loop
    loop.close()


@pytest.fixture(params=[*STORES, *S3_STORES])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> S3Server | None:
    """The server below a store in S3."""
    return request.getfixturevalue(S3_STORES[kind][1]) if kind in S3_STORES else None


@pytest.fixture
def new_store(
    kind: str, tmp_path: Path, server: S3Server | None, one_loop: AllInOneLoop
) -> Iterator[Callable[..., Any]]:
    """Opens stores of one kind that hold nothing yet. When the test is over, nothing unfinished is left in them."""
    prefix = None if server is None else server.new_prefix()

    def opened(name: str = "store", **options: Any) -> Any:
        if server is None:
            return STORES[kind](tmp_path / name)
        store = open_s3(S3_STORES[kind][0], server, f"{prefix}/{name}", one_loop, **options)
        opening.callback(store.close)
        return store

    with ExitStack() as opening:
        yield opened
    assert staged_in(tmp_path) == []
    if server is not None:
        assert server.uploads(prefix=f"{prefix}/") == []
        assert [key for key in server.keys(prefix=f"{prefix}/") if ".controlroom-" in key] == []


@pytest.fixture
def store(new_store: Callable[..., Any]) -> Any:
    return new_store()
