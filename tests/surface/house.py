"""Where the package under test lies: the source tree, or the wheel that `nox -s wheel` installed."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import controlroom

PACKAGE = Path(controlroom.__file__).parent


def source_files() -> list[Path]:
    """Every Python file of the package, smallest name first."""
    return sorted(PACKAGE.rglob("*.py"))


def public_modules() -> list[ModuleType]:
    """Every module of the package that declares `__all__`, imported."""
    names = ["controlroom", *(found.name for found in pkgutil.walk_packages(controlroom.__path__, "controlroom."))]
    return [module for name in names if hasattr(module := importlib.import_module(name), "__all__")]
