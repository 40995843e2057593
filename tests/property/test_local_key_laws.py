"""Whatever text a key is: a folder keeps it exactly, or refuses it by name and is as it was."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import UnsafePathError
from controlroom.storage import LocalStore

segments = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(categories=["Cs", "Cc", "Zs", "Mn", "Po"]), max_size=6),
    st.sampled_from(
        ["", ".", "..", "...", "?", "#", "%", "%2F", "*", "~", "-", " ", "a\\b", "é", "e\u0301", "日本", "x" * 255]
    ),
    st.sampled_from(
        ["x" * 256, "é" * 128, ".controlroom-0123456789abcdef.staged", "con", "nul", "a:b", "\0", "\ud800"]
    ),
)
keys = st.lists(segments, min_size=1, max_size=5).map("/".join)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def inside(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@given(key=keys)
def test_a_folder_keeps_any_key_exactly_or_refuses_it_by_name(folder: Path, key: str) -> None:
    with TemporaryDirectory(dir=folder) as name:
        store = LocalStore(Path(name) / "root", durable=False)
        try:
            store.publish(key, b"content")
        except UnsafePathError:
            assert inside(folder) == set()
            return
        assert [info.key for info in store.list()] == [key]
        assert store.read_bytes(key) == b"content"
        assert inside(folder) == inside(Path(name) / "root")
        store.move(key, "zz moved zz")
        store.delete("zz moved zz")
        assert inside(folder) == set()


@given(text=st.text(st.characters(categories=["L", "Mn"]), min_size=1, max_size=8))
def test_two_forms_of_one_text_are_two_keys_or_one_and_the_same(folder: Path, text: str) -> None:
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    with TemporaryDirectory(dir=folder) as name:
        store = LocalStore(name, durable=False)
        store.publish(composed, b"composed")
        if composed != decomposed and store.exists(decomposed):
            pytest.skip("this filesystem takes both forms for one")
        store.publish(decomposed, b"decomposed")

        assert {info.key for info in store.list()} == {composed, decomposed}
        assert store.read_bytes(decomposed) == b"decomposed"
