from __future__ import annotations

import pytest

from controlroom.settings.positions import line_of
from controlroom.settings.toml_file import lines_of

TEXT = '''# first
title = "x"

[db]  # comment
url = """
[fake]
pool = 1
"""
"quoted key" = { inner = 1, other = { deep = 2 } }
pool = [
  1,
  [2],
]

[db.replica]
url = 'y'

[[servers]]
name = "a"
[[servers]]
name = "b"
[a."b.c"]
d.e = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("db",), 4),
        (("db", "url"), 5),
        (("db", "quoted key", "other", "deep"), 9),
        (("db", "pool"), 10),
        (("db", "replica", "url"), 16),
        (("servers",), 18),
        (("servers", "0"), 18),
        (("servers", "0", "name"), 19),
        (("a", "b.c", "d", "e"), 23),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_key_is_found_on_its_line(path: tuple[str, ...], line: int, newline: str) -> None:
    assert lines_of(TEXT.replace("\n", newline))[path] == line


def test_what_stands_in_a_text_is_no_key() -> None:
    assert ("fake",) not in lines_of(TEXT)
    assert line_of(("fake", "pool"), lines_of(TEXT)) is None


def test_what_has_no_line_of_its_own_is_found_where_it_stands() -> None:
    assert line_of(("servers", "7", "port"), lines_of(TEXT)) == 18


def test_an_endless_statement_costs_its_line_number_not_minutes() -> None:
    text = "a = 1\nb = [\n" + "1,\n" * 1000 + "]\nc = 1\n"

    assert set(lines_of(text)) == {("a",)}


def test_of_an_array_of_tables_each_item_has_its_own_lines() -> None:
    lines = lines_of("[[a]]\nx = 1\n[[a]]\nx = 2\n[a.b]\ny = 3\n[[a.c]]\nz = 4\n[d.e]\n")

    assert (lines[("a", "0", "x")], lines[("a", "1", "x")]) == (2, 4)
    assert (lines[("a", "1", "b", "y")], lines[("a", "1", "c", "0", "z")]) == (6, 8)
    assert (lines[("a",)], lines[("d",)], lines[("d", "e")]) == (1, 9, 9)
