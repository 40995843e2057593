"""Every Python block of the README and of docs/ runs, in an empty folder, as its reader would run it.

The blocks of one page share their names, from top to bottom. A block that cannot run here stands under a comment that
says why, `<!-- not run: needs an AWS account -->`, and is skipped with that reason.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?(?P<fence>`{3,})python\n(?P<code>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[tuple[int, str, str | None]]:
    """Line, code and reason for not running of each block on *page*."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start("code")), m["code"], m["reason"]) for m in BLOCK.finditer(text)]


PAGES_WITH_CODE = [page for page in pages() if blocks(page)]


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__page__"}
    reasons = []
    for line, code, reason in blocks(page):
        if reason:
            reasons.append(f"line {line}: {reason}")
        else:
            exec(compile("\n" * line + code, str(page), "exec", dont_inherit=True), names)
    if len(reasons) == len(blocks(page)):
        pytest.skip("; ".join(reasons))


def test_the_readme_shows_code_that_runs() -> None:
    assert [reason for _, _, reason in blocks(ROOT / "README.md") if not reason]


def test_the_readmes_code_runs_a_second_time_on_what_the_first_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in ("the first day", "the next day"):
        names: dict[str, Any] = {"__name__": "__page__"}
        for line, code, _reason in blocks(ROOT / "README.md"):
            exec(compile("\n" * line + code, "README.md", "exec", dont_inherit=True), names)
    assert json.loads((tmp_path / "orders.done.json").read_text()) == {"inserted": 0}
