"""A generated module as the tools of its readers find it: typed throughout, and formatted already."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controlroom.generate import generate
from tests.unit.generate.documents import rich

pytestmark = pytest.mark.integration

RUFF = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))


@pytest.mark.slow
def test_it_passes_mypys_strict_mode(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed here: whether a generated module is well typed was not tested")
    uses = """
from client import BASE_URL, Node, Pet, PetsRUs
api = PetsRUs(BASE_URL)
reveal_type(next(api.pets()))
reveal_type(next(api.names(pet_id=1)))
reveal_type(next(api.facts()))
"""
    (tmp_path / "client.py").write_text(generate(rich()).source, encoding="utf-8")
    (tmp_path / "uses.py").write_text(uses, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "uses.py", "client.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)

    assert done.returncode == 0, done.stdout
    for revealed in ('"client.Pet"', '"str"', '"dict[str, Any]"'):
        assert f"Revealed type is {revealed}" in done.stdout.replace("builtins.", "")


@pytest.mark.skipif(RUFF is None, reason="ruff is not installed here: whether it would change a line was not tested")
def test_ruff_format_would_change_nothing() -> None:
    source = generate(rich()).source
    command = [str(RUFF), "format", "--isolated", "--line-length", "120", "--no-cache", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == source
