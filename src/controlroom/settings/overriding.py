"""``override(page_size=5)``: whatever loads settings inside the block gets these values. For tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from controlroom.errors import ConfigError
from controlroom.settings.layers import Layer, Place, of_data
from controlroom.settings.near_misses import closest_name
from controlroom.settings.schema import Declared, Setting, leaves

__all__ = ["layers_of_overrides", "override"]


class _Block:
    """One ``with override(…)``, and what became of its values."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.loads = 0
        self.without_effect = set(_paths(values))
        self.offered: list[Setting] = []


_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("controlroom_settings_overrides", default=())


@contextmanager
def override(values: Mapping[str, Any] | None = None, /, **named: Any) -> Iterator[None]:
    """Give every `load_settings` inside the block these values, above every other source. For tests.

    ``with override(page_size=5, db={"pool": 1}): ingest.run()``

    Args:
        values: Values by field name, for names that are no identifiers.
        **named: Values by field name; nested models are merged leaf by leaf.

    Raises:
        ConfigError: The block has ended, and no settings class that was loaded in it has such a field, or none was loaded
            at all: a test that overrides nothing proves nothing. Not raised where the block itself raised.

    Guarantees:
        The values are validated like all others, and secrets among them are registered. Blocks nest; the inner one wins.
        It holds for the current context: this thread or task, and what `controlroom.logs.spawn` starts in it.
        Not promised: an effect on settings that were loaded before, or that are given as an object.
    """
    block = _Block({**(values or {}), **named})
    token = _blocks.set((*_blocks.get(), block))
    try:
        yield
    finally:
        _blocks.reset(token)
    if problems := [_without_effect(name, block) for name in sorted(block.without_effect)]:
        raise ConfigError(" ".join(problems), problems=problems)


def layers_of_overrides(declared: Declared) -> Iterator[Layer]:
    """Yield the layer of each block that is open, highest first; names that another class may have are passed over."""
    for block in reversed(_blocks.get()):
        layer = of_data(declared, block.values, "override", lambda key: Place("override", ".".join(key)))
        foreign = [place.key for place in layer.unused]
        block.without_effect &= {path for path in _paths(block.values) if _is_in(path, foreign)}
        block.loads += 1
        block.offered.extend(leaves(declared.settings))
        yield Layer("override", layer.values, layer.locate, dotted=True)


def _paths(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _paths(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _is_in(path: str, keys: list[str]) -> bool:
    return any(path == key or path.startswith(f"{key}.") for key in keys)


def _without_effect(name: str, block: _Block) -> str:
    if not block.loads:
        return f"override({name}=…) had no effect: no settings were loaded inside the block."
    meant = closest_name(name, block.offered)
    hint = f" Did you mean {meant}?" if meant else ""
    return f"override({name}=…) had no effect: no settings that were loaded inside the block have it.{hint}"
