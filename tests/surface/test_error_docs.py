"""docs/reference/errors.md says of every class what the class does: an alarm leads its reader there by the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controlroom.errors import ControlRoomError
from tests.unit.errors.every_class import EVERY_CLASS, sample_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
ABOUT_ALL = ["What every error carries", "Exit codes"]
LABELS = ["Disposition", "Exit code", "Attributes", "State left behind", "Next act"]
SIGNALLED = 128
IDS = [cls.code for cls in EVERY_CLASS]


def sections() -> dict[str, str]:
    heading, *parts = re.split(r"^## (.+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert heading.startswith("# Errors\n")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def fields_of(code: str) -> dict[str, str]:
    """The labelled items of a section, each on one line."""
    one_line = re.sub(r"\n  ", " ", sections()[code])
    return dict(re.findall(r"^- \*\*(.+?):\*\* (.+)$", one_line, flags=re.MULTILINE))


def test_there_is_one_heading_for_each_code_and_no_other() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert len(headings) == len(set(headings))
    assert sorted(headings) == sorted([*ABOUT_ALL, *(cls.code for cls in EVERY_CLASS)])


def test_the_tree_on_the_page_is_the_tree() -> None:
    drawn = re.search(r"```text\n(.+?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert drawn
    above: list[str] = []
    pairs = set()
    for line in drawn[1].splitlines():
        level, name = (len(line) - len(line.lstrip("│├└─ "))) // 3, line.lstrip("│├└─ ")
        above[level:] = [name]
        pairs.add((name, above[level - 1] if level else "Exception"))

    assert pairs == {(cls.__name__, cls.__base__.__name__) for cls in EVERY_CLASS}


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_a_section_says_what_its_class_does(cls: type[ControlRoomError]) -> None:
    fields, error = fields_of(cls.code), cls("x")

    assert list(fields) == LABELS
    assert all(fields.values())
    assert sections()[cls.code].strip().startswith(f"`{cls.__name__}`. ")
    assert fields["Disposition"].startswith(f"`{error.disposition.name}`")
    assert fields["Exit code"].startswith(str(min(error.exit_code, SIGNALLED)))


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_a_section_names_the_attributes_of_its_class_and_no_other(cls: type[ControlRoomError]) -> None:
    of_every_error = {"attempts", "retry_after_s"}
    attributes = {name for name in vars(sample_of(cls)) if not name.startswith("_")} - of_every_error

    assert set(re.findall(r"`(\w+)`", fields_of(cls.code)["Attributes"])) == attributes
