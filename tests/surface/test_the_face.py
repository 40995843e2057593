"""`import controlroom` costs nothing, and every name it offers is there."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import controlroom
from tests.surface.house import public_modules

LIST_LOADED = "import sys; before = set(sys.modules); import controlroom; print(*sorted(set(sys.modules) - before))"


def loaded_by_the_import() -> list[str]:
    command = [sys.executable, "-c", LIST_LOADED]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


def test_importing_the_package_loads_no_third_party_module() -> None:
    loaded = loaded_by_the_import()

    assert "controlroom" in loaded
    assert [name for name in loaded if name.split(".")[0] not in {*sys.stdlib_module_names, "controlroom"}] == []


def test_importing_the_package_loads_none_of_its_own_modules() -> None:
    assert [name for name in loaded_by_the_import() if name.startswith("controlroom.")] == []


@pytest.mark.parametrize("name", controlroom.__all__)
def test_every_name_offered_resolves_and_is_listed(name: str) -> None:
    assert getattr(controlroom, name) is not None
    assert name in dir(controlroom)


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = controlroom.no_such_thing


def test_every_module_declares_only_names_it_has() -> None:
    modules = public_modules()
    missing = [
        f"{module.__name__}.{name}" for module in modules for name in module.__all__ if not hasattr(module, name)
    ]

    assert len(modules) > 1
    assert missing == []


def test_a_submodule_is_reachable_without_importing_it_first() -> None:
    """`controlroom.errors.DataError` after a bare `import controlroom` is either there or says what to import."""
    assert importlib.import_module("controlroom.errors").ControlRoomError is controlroom.ControlRoomError
