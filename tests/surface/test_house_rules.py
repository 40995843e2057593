"""What keeps the house readable: small files, short functions, names that mean something, one home of time."""

from __future__ import annotations

import ast
import re
import statistics
import tokenize
from pathlib import Path

from tests.surface.house import PACKAGE, source_files

FILE_LIMIT_LINES = 350
DRAWERS = {"utils", "util", "common", "helpers", "helper", "core", "base", "shared", "misc", "types"}
HOME_OF_TIME = PACKAGE / "clock.py"
CLOCK_CALLS = {
    "time": {"sleep", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"},
    "asyncio": {"sleep"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
TESTS = Path(__file__).parents[1]
UNIT_TESTS = TESTS / "unit"
SILENCER = re.compile(r"noqa(: *[A-Z0-9, ]+\b)?|type: ignore(\[[\w, -]+\])?|pragma: no (cover|branch)")


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of *function* without its docstring: a promise may be long, the code that keeps it may not."""
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def function_lengths() -> list[int]:
    return sorted(
        code_lines(node)
        for path in source_files()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_no_file_has_grown_too_long_to_be_read_at_one_sitting() -> None:
    too_long = {
        str(path.relative_to(PACKAGE)): lines_of(path) for path in source_files() if lines_of(path) > FILE_LIMIT_LINES
    }

    assert too_long == {}


def test_the_median_file_is_short() -> None:
    assert statistics.median(lines_of(path) for path in source_files()) <= 150


def test_functions_are_short() -> None:
    lengths = function_lengths()

    assert statistics.median(lengths) <= 10
    assert lengths[int(len(lengths) * 0.95)] <= 40


def test_no_module_is_a_drawer_without_a_name_of_its_own() -> None:
    names = {part for path in source_files() for part in path.relative_to(PACKAGE).with_suffix("").parts}

    assert {name.strip("_") for name in names} & DRAWERS == set()


def clock_calls(path: Path) -> list[str]:
    """Uses of a real clock in *path*, however they were imported."""
    found = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio"):
            names = {alias.name for alias in node.names} & CLOCK_CALLS[node.module]
            found += [f"line {node.lineno}: from {node.module} import {name}" for name in sorted(names)]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in CLOCK_CALLS.get(owner, ()):
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
    return found


def test_nobody_but_the_clock_asks_the_time_or_sleeps() -> None:
    offenders = {
        str(path.relative_to(PACKAGE)): calls
        for path in source_files()
        if path != HOME_OF_TIME and (calls := clock_calls(path))
    }

    assert offenders == {}


def test_the_search_for_clock_calls_finds_those_of_the_clock() -> None:
    assert clock_calls(HOME_OF_TIME)


def mirrors(test_module: Path) -> bool:
    """`policy/test_retry.py`, or `policy/test_retry_budget.py` for an aspect of it, tests `policy/retry.py`."""
    folder = PACKAGE / test_module.parent.relative_to(UNIT_TESTS)
    subject = test_module.stem.removeprefix("test_")
    names = {path.stem for path in folder.glob("*") if path.suffix == ".py" or path.is_dir()}
    return any(subject == name or subject.startswith(f"{name}_") for name in names)


def test_every_unit_test_mirrors_the_module_it_tests() -> None:
    unit_tests = sorted(UNIT_TESTS.rglob("test_*.py"))

    assert unit_tests
    assert [str(path.relative_to(UNIT_TESTS)) for path in unit_tests if not mirrors(path)] == []


def unexplained_silencers(path: Path) -> list[int]:
    """Lines of *path* that silence a checker without a reason beside it."""
    with path.open("rb") as file:
        comments = [(t.start[0], t.string) for t in tokenize.tokenize(file.readline) if t.type == tokenize.COMMENT]
    return [line for line, text in comments if SILENCER.search(text) and len(SILENCER.sub("", text).split()) < 3]


def test_whoever_silences_a_checker_says_why_on_the_same_line() -> None:
    files = [*source_files(), *TESTS.rglob("*.py")]

    assert {str(path): lines for path in files if (lines := unexplained_silencers(path))} == {}


def test_the_search_for_silencers_tells_a_reason_from_none(tmp_path: Path) -> None:
    lines = [
        "import os  # noqa: F401",
        "import os  # noqa: F401 - for its side effect",
        "x = f()  # type: ignore[no-any-return]",
        "x = f()  # type: ignore[no-any-return]  # the stub is wrong",
    ]
    (tmp_path / "sample.py").write_text("\n".join(lines), encoding="utf-8")

    assert unexplained_silencers(tmp_path / "sample.py") == [1, 3]
