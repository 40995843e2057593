"""Each `AsyncX` offers what X offers: the same methods, the same arguments, the same promise.

Pairs are discovered, never listed: a new `AsyncX` is held to X from the day it is public. `X` and `x_async` functions too.
"""

from __future__ import annotations

import inspect
import io
import re
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
    """What this package offers at its face and in the packages one floor below: `controlroom.http`, but not its files."""
    offered = [module for module in public_modules() if module.__name__.count(".") <= 1]
    found = {name: getattr(module, name, None) for module in offered for name in module.__all__}
    return {
        name: value
        for name, value in found.items()
        if (getattr(value, "__module__", None) or "").startswith("controlroom")
    }


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
    """Public methods and properties of *owner* under their sync names, and its constructor."""
    sync_names = {async_name: name for name, async_name in RENAMED.items()}
    special = {*RENAMED, *sync_names, *BOTH_COLOURS}
    found = {
        sync_names.get(name, name): inspect.getattr_static(owner, name)
        for name in dir(owner)
        if not name.startswith("_") or name in special
    }
    kinds = (types.FunctionType, types.MethodDescriptorType, property, classmethod, staticmethod)
    return {name: member for name, member in found.items() if isinstance(member, kinds)}


def attributes(owner: type) -> set[str]:
    """Names that a constructor may set: an attribute on one side may be a property on the other."""
    constructors = [vars(cls)["__init__"] for cls in owner.__mro__ if "__init__" in vars(cls)]
    return {name for init in constructors if inspect.isfunction(init) for name in init.__code__.co_names}


def missing(owner: type, other: type) -> list[str]:
    """What *owner* lacks of the members of *other*."""
    return sorted(members(other).keys() - members(owner).keys() - attributes(owner) - {"__init__"})


def is_constructed(pair: tuple[type, type]) -> bool:
    """Whether users make one, as a docstring that documents the arguments says; others are handed out."""
    return any("Args:" in (owner.__doc__ or "") for owner in pair)


def parameters(member: Any) -> list[tuple[str, Any, Any]]:
    function = member.fget if isinstance(member, property) else inspect.unwrap(getattr(member, "__func__", member))
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def summary(member: Any) -> str:
    """The first line of the docstring, with `async with` and `await` read as a sync reader would write them."""
    return re.sub(r"\b(async|await) ", "", (inspect.getdoc(member) or "").split("\n", 1)[0])


def name_of_pair(pair: Any) -> str:
    return pair[1].__name__


def test_there_are_pairs_to_compare() -> None:
    assert class_pairs()


@pytest.mark.parametrize("pair", class_pairs(), ids=name_of_pair)
def test_the_async_twin_has_the_same_members(pair: tuple[type, type]) -> None:
    sync, twin = pair

    assert missing(sync, twin) == []
    # A sync file is a standard io object, so that csv or gzip take it; its twin offers what can be awaited.
    assert issubclass(sync, io.IOBase) or missing(twin, sync) == []


@pytest.mark.parametrize("pair", class_pairs(), ids=name_of_pair)
def test_the_async_twin_takes_the_same_arguments(pair: tuple[type, type]) -> None:
    sync, twin = (members(owner) for owner in pair)
    names = (sync.keys() & twin.keys()) - (set() if is_constructed(pair) else {"__init__"})
    shared = [name for name in sorted(names) if not isinstance(sync[name], types.MethodDescriptorType)]

    assert {name: parameters(twin[name]) for name in shared} == {name: parameters(sync[name]) for name in shared}


@pytest.mark.parametrize("pair", class_pairs(), ids=name_of_pair)
def test_the_async_twin_makes_the_same_promise(pair: tuple[type, type]) -> None:
    sync, twin = (members(owner) for owner in pair)
    shared = [
        name
        for name in sorted(sync.keys() & twin.keys())
        if not name.startswith("_") and not isinstance(sync[name], types.MethodDescriptorType)
    ]

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
