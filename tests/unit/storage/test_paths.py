from __future__ import annotations

import os
from pathlib import Path

import pytest

from controlroom.errors import ConfigError, UnsafePathError
from controlroom.storage.paths import KeyRoot, check_key, check_prefix, is_staged_name, real_target, staged_name

UNSAFE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../secret",
    "a/../../secret",
    "a/..",
    ".",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "\udcff",
    "\ud800",
    staged_name("0" * 16),
    f"a/{staged_name('0' * 16, 3)}",
]


@pytest.mark.parametrize("key", UNSAFE, ids=ascii)
def test_a_key_that_could_leave_the_root_or_has_no_place_there_is_refused(key: str) -> None:
    with pytest.raises(UnsafePathError, match="Nothing was touched"):
        check_key(key)


@pytest.mark.parametrize(
    "key", ["a", "a/b", "..a", "a..", "...", "a b/c?d*[e]%2F", "ü/日本.csv", "a\nb", "-rf", "a\\..\\b"]
)
def test_a_key_of_plain_segments_is_taken_as_it_is(key: str) -> None:
    assert check_key(key) == key


def test_a_key_that_is_no_text_is_a_wrong_argument() -> None:
    with pytest.raises(ConfigError, match="not PosixPath"):
        check_key(Path("a"))  # type: ignore[arg-type]  # the danger under test


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", ".", "a/.", ".hid", ".."])
def test_a_prefix_may_end_anywhere(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["/", "/a", "../", "../a", "a/../b", "a//", "a\0", "a/\udcff"], ids=ascii)
def test_a_prefix_that_no_key_begins_with_is_refused(prefix: str) -> None:
    with pytest.raises(UnsafePathError):
        check_prefix(prefix)


def test_staged_names_are_recognised_and_leave_room_for_any_name() -> None:
    name = staged_name("0123456789abcdef", 999_999_999)

    assert is_staged_name(name)
    assert len(name) < 64
    assert not is_staged_name(name + "x")
    assert not is_staged_name("data.csv")


@pytest.mark.parametrize("path", ["", ".", "..", "a/", "a/.", "a/..", "a\0b", staged_name("0" * 16)], ids=ascii)
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    with pytest.raises(UnsafePathError):
        real_target(path)


def test_a_bytes_path_is_a_wrong_argument() -> None:
    with pytest.raises(ConfigError, match="not bytes"):
        real_target(b"/a")  # type: ignore[arg-type]  # the danger under test


def test_a_target_is_where_its_links_lead_also_into_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("dangling")

    assert real_target(tmp_path / "link") == Path(os.path.realpath(tmp_path)) / "dangling"


@pytest.fixture
def root(tmp_path: Path) -> KeyRoot:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    (tmp_path / "root-but-not").mkdir()
    return KeyRoot(tmp_path / "root")


@pytest.mark.parametrize(
    ("link", "leads_to", "key"),
    [
        ("out", "../outside", "out/secret"),
        ("out", "../outside", "out/not/yet/there"),
        ("file", "../outside/secret", "file"),
        ("file", "../outside/dangling", "file"),
        ("sibling", "../root-but-not", "sibling/x"),
        ("up", "..", "up/outside/secret"),
        ("top", "/", "top/etc/passwd"),
    ],
)
def test_a_link_does_not_lead_out_of_the_root(root: KeyRoot, link: str, leads_to: str, key: str) -> None:
    (root.path / link).symlink_to(leads_to)

    with pytest.raises(UnsafePathError, match="leads out of"):
        root.content(key)


def test_a_link_within_the_root_is_followed(root: KeyRoot) -> None:
    (root.path / "real").mkdir()
    (root.path / "alias").symlink_to("real")

    assert root.content("alias/a") == root.path / "real" / "a"
    assert root.name("alias/a") == root.path / "real" / "a"


def test_the_name_of_a_link_is_not_followed(root: KeyRoot) -> None:
    (root.path / "file").symlink_to("../outside/secret")

    assert root.name("file") == root.path / "file"


def test_a_folder_outside_is_refused_for_names_too(root: KeyRoot) -> None:
    (root.path / "out").symlink_to("../outside")

    with pytest.raises(UnsafePathError):
        root.name("out/secret")


def test_the_root_of_the_filesystem_holds_everything() -> None:
    assert KeyRoot("/").contains("/etc")
