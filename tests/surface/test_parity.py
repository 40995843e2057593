"""Each `AsyncX` offers what X offers: the same methods, the same arguments, the same promise.

Pairs are discovered, never listed: a new `AsyncX` is held to X from the day it is public. `X` and `x_async` functions too.
"""

from __future__ import annotations

import inspect
import types
from typing import Any

import pytest

from tests.surface.house import public_modules

RENAMED = {  # what the language or the contract calls otherwise in the async world
    "close": "aclose",
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    "__iter__": "__aiter__",
    "__next__": "__anext__",
}
BOTH_COLOURS = {"__init__", "__call__"}


def public_objects() -> dict[str, Any]:
    """Every public name of every module; that a name resolves at all is for `test_the_face` to say."""
    return {name: getattr(module, name, None) for module in public_modules() for name in module.__all__}


def class_pairs() -> list[tuple[type, type]]:
    found = public_objects()
    return [
        (found[name.removeprefix("Async")], twin)
        for name, twin in sorted(found.items())
        if name.startswith("Async") and name.removeprefix("Async") in found and inspect.isclass(twin)
    ]


def function_pairs() -> list[tuple[Any, Any]]:
    found = public_objects()
    return [
        (found[name.removesuffix("_async")], twin)
        for name, twin in sorted(found.items())
        if name.endswith("_async") and name.removesuffix("_async") in found
    ]


def members(owner: type) -> dict[str, Any]:
    """Public methods and properties of *owner*, its own classes' only, under their sync names."""
    names = {async_name: name for name, async_name in RENAMED.items()}
    public = {
        name: inspect.getattr_static(owner, name)
        for name in dir(owner)
        if not name.startswith("_") or name in {*RENAMED, *names, *BOTH_COLOURS}
    }
    return {
        names.get(name, name): member
        for name, member in public.items()
        if isinstance(member, types.FunctionType | property | classmethod | staticmethod)
    }


def parameters(member: Any) -> list[tuple[str, Any, Any]]:
    function = member.fget if isinstance(member, property) else inspect.unwrap(getattr(member, "__func__", member))
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def summary(member: Any) -> str:
    return (inspect.getdoc(member) or "").split("\n", 1)[0]


def name_of_pair(pair: Any) -> str:
    return pair[1].__name__


def test_there_are_pairs_to_compare() -> None:
    assert class_pairs()


@pytest.mark.parametrize("pair", class_pairs(), ids=name_of_pair)
def test_the_async_twin_has_the_same_members(pair: tuple[type, type]) -> None:
    sync, twin = pair

    assert sorted(members(twin)) == sorted(members(sync))


@pytest.mark.parametrize("pair", class_pairs(), ids=name_of_pair)
def test_the_async_twin_takes_the_same_arguments(pair: tuple[type, type]) -> None:
    sync, twin = (members(owner) for owner in pair)
    shared = sorted(sync.keys() & twin.keys())

    assert {name: parameters(twin[name]) for name in shared} == {name: parameters(sync[name]) for name in shared}


@pytest.mark.parametrize("pair", class_pairs(), ids=name_of_pair)
def test_the_async_twin_makes_the_same_promise(pair: tuple[type, type]) -> None:
    sync, twin = (members(owner) for owner in pair)
    shared = sorted(name for name in sync.keys() & twin.keys() if not name.startswith("_"))

    assert {name: summary(twin[name]) for name in shared} == {name: summary(sync[name]) for name in shared}
    assert [name for name in shared if not summary(sync[name])] == []


def test_async_functions_take_the_same_arguments() -> None:
    differing = {
        twin.__name__: parameters(twin) for sync, twin in function_pairs() if parameters(twin) != parameters(sync)
    }

    assert differing == {}


class Door:
    def open(self, *, wide: bool = False) -> None:
        """Open it."""

    def close(self) -> None:
        """Shut it."""


class AsyncDoor:
    async def open(self, *, wide: bool = True) -> None:
        """Open it at once."""

    async def aclose(self) -> None:
        """Shut it."""


def test_the_comparison_sees_another_default_and_another_promise_but_not_another_colour() -> None:
    sync, twin = members(Door), members(AsyncDoor)

    assert sorted(sync) == sorted(twin) == ["close", "open"]
    assert parameters(sync["open"]) != parameters(twin["open"])
    assert summary(sync["open"]) != summary(twin["open"])
    assert parameters(sync["close"]) == parameters(twin["close"])
