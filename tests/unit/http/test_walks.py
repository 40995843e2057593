from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from controlroom.http import walks

HASHES = [
    sys.hash_info,
    SimpleNamespace(width=32, algorithm="siphash13"),
    SimpleNamespace(width=64, algorithm="fnv"),
]


@pytest.mark.parametrize("hashing", HASHES, ids=["here", "32 bits", "no key"])
def test_pages_are_told_apart_by_their_bodies(hashing: object) -> None:
    digest = walks._digest_with(hashing)
    bodies = [b"", b"a", b"b", b"a" * 30_000, b"a" * 30_001]

    assert len({digest(body) for body in bodies}) == len(bodies)
    assert all(len(digest(body)) >= 8 for body in bodies)
    assert digest(bytes(bytearray(b"ab"))) == digest(b"ab")


@pytest.mark.parametrize("hashing", HASHES[1:], ids=["32 bits", "no key"])
def test_where_pythons_own_hash_is_too_weak_it_is_a_digest(hashing: object) -> None:
    assert len(walks._digest_with(hashing)(b"a")) == 12
