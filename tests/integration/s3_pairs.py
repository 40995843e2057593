"""The two stores of S3 that the tests meet, each on a server of its own, as fixtures that conftest.py offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.stores import AllInOneLoop, Blocking

__all__ = ["PAIRS", "call", "one_loop", "pair"]

# Each colour on one server, and each server in one colour: test_s3_server_promises.py tells where they differ.
PAIRS = [("S3Store", "seaweedfs_server"), ("AsyncS3Store", "ministack_server")]


@pytest.fixture(scope="module")
def one_loop() -> Iterator[AllInOneLoop]:
    loops = AllInOneLoop()
    yield loops
    loops.close()


@pytest.fixture(params=PAIRS, ids=" on ".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    colour, server = request.param
    return colour, server


def call(store: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """What is not among the methods of every store."""
    if isinstance(store, Blocking):
        return store.run(getattr(store.store, name)(*args, **kwargs))
    return getattr(store, name)(*args, **kwargs)
