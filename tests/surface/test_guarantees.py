"""Every row of the page of guarantees names a test, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    line
    for line in (ROOT / "docs/reference/guarantees.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| operation", "| ---"))
]


def test_the_page_has_rows():
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_a_guarantee_names_the_tests_that_prove_it(row):
    proofs = re.findall(r"`((?:tests|examples)/[\w/]+\.py)(?:::(\w+))?`", row.split("|")[4])
    assert proofs
    for path, name in proofs:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert name == "" or f"def {name}(" in source
