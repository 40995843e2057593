"""The order of definitions: a name stands behind what it needs, and what cannot wait is built anew at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from controlroom.generate.kinds import Alias, Definition, Model, names_in

__all__ = ["incomplete", "ordered"]


def ordered(definitions: Mapping[str, Definition], wanted: Sequence[str]) -> list[Definition]:
    """Return those of *definitions* that *wanted* need, in an order in which they can be executed.

    Annotations of fields are read later, so models may need each other in a circle; aliases and wrapped kinds are
    expressions, and stand behind every name in them. No circle is made of those alone.
    """
    reached = _reached(definitions, wanted)
    done: dict[str, Definition] = {}
    waiting = list(reached)
    while waiting:
        ready = [name for name in waiting if _must_follow(definitions[name]) <= done.keys()]
        done |= {name: definitions[name] for name in ready}
        waiting = [name for name in waiting if name not in done]
    return list(done.values())


def incomplete(definitions: Sequence[Definition]) -> list[str]:
    """Return the models among *definitions*, in their order, that name something which stands behind them."""
    place = {definition.name: number for number, definition in enumerate(definitions)}
    unready: set[str] = set()
    for number, definition in enumerate(definitions):
        needs = _needs(definition)
        if any(place[name] > number for name in needs) or needs & unready:
            unready.add(definition.name)
    return [one.name for one in definitions if isinstance(one, Model) and one.name in unready]


def _reached(definitions: Mapping[str, Definition], wanted: Sequence[str]) -> list[str]:
    """Return the names that *wanted* lead to; what is needed first, as far as that goes."""
    found: dict[str, None] = {}
    entered: set[str] = set()
    stack: list[tuple[str, Iterator[str]]] = [("", iter(wanted))]
    while stack:
        name, needs = stack[-1]
        following = next((one for one in needs if one not in entered), None)
        if following is not None:
            entered.add(following)
            stack.append((following, iter(sorted(_needs(definitions[following])))))
            continue
        stack.pop()
        if name:
            found[name] = None
    return list(found)


def _needs(definition: Definition) -> set[str]:
    kinds = (definition.kind,) if isinstance(definition, Alias) else definition.kinds
    return set[str]().union(*map(names_in, kinds))


def _must_follow(definition: Definition) -> set[str]:
    is_expression = isinstance(definition, Alias) or definition.root is not None
    return _needs(definition) if is_expression else set()
