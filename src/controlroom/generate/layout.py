"""Expressions as `ruff format` lays them out: on one line where they fit, else one part a line.

A comma behind the last part keeps them apart (the "magic trailing comma"), so that the layout is stable however wide a
formatter thinks a sign is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from controlroom.generate.literals import LINE_LENGTH, width_at_most

__all__ = ["Bracketed", "Expression", "call", "laid_out"]


@dataclass(frozen=True, slots=True)
class Bracketed:
    """A call, a list or a subscript.

    Attributes:
        opening: "Endpoint(".
        parts: Name and value of each argument; the name "" is a position.
        closing: The bracket.
    """

    opening: str
    parts: tuple[tuple[str, Expression], ...]
    closing: str


Expression: TypeAlias = str | Bracketed


def call(function: str, *positional: Expression, **named: Expression) -> Bracketed:
    """Return a call."""
    return Bracketed(f"{function}(", (*(("", value) for value in positional), *named.items()), ")")


def laid_out(head: str, expression: Expression, *, indent: int, after: int = 0) -> str:
    """Return *head* and *expression* as lines; *after* signs follow on the last one."""
    flat = head + _flat(expression)
    if isinstance(expression, str) or width_at_most(flat) + after <= LINE_LENGTH:
        return flat
    inner = " " * (indent + 4)
    is_value = expression.opening == "Literal[" and len(expression.parts) == 1  # a comma would make it a tuple
    comma = "" if is_value else ","
    parts = [
        laid_out(f"{inner}{f'{name}=' if name else ''}", part, indent=indent + 4, after=1) + comma
        for name, part in expression.parts
    ]
    return "\n".join([head + expression.opening, *parts, " " * indent + expression.closing])


def _flat(expression: Expression) -> str:
    if isinstance(expression, str):
        return expression
    parts = [f"{name}={_flat(part)}" if name else _flat(part) for name, part in expression.parts]
    return expression.opening + ", ".join(parts) + expression.closing
