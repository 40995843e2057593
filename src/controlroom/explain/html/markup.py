"""HTML that a text cannot become part of by accident.

Only `element` makes `Html`, and whatever is not `Html` is escaped. Joining, formatting or slicing `Html` gives a plain
``str`` again, so a mistake shows as markup on the page, never as an element in it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

__all__ = ["Attribute", "Html", "cleaned", "element", "joined"]

_VOID: Final = frozenset({"circle", "col", "input", "line", "link", "meta", "rect"})
_LONGEST: Final = 4_000

Attribute = str | float | bool | None


class Html(str):
    """Markup that was made here."""

    __slots__ = ()


def element(name: str, /, *parts: str | None, **attributes: Attribute) -> Html:
    """Return the element *name* around *parts*, of which only `Html` is not escaped.

    Attributes are named as in HTML, with "_" for "-" and one behind Python's own words (``class_``); one that is None or
    False is left out. No attribute's value comes from a log: links, classes and sizes are decided here.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>" if name in {"col", "input", "link", "meta"} else f"<{name}{written}/>")
    return Html(f"<{name}{written}>{joined(parts)}</{name}>")


def joined(parts: Iterable[str | None]) -> Html:
    """Return *parts* one behind the other, of which only `Html` is not escaped."""
    return Html("".join(part if isinstance(part, Html) else _escaped(part) for part in parts if part is not None))


def cleaned(text: str, longest: int = _LONGEST) -> str:
    """Return *text* as it can be shown: cut, and with everything spelled out that has no shape of its own.

    Controls, lone surrogates, NUL, and the marks that turn the direction of what follows are told by their numbers.
    """
    shown = text[:longest]
    if not shown.isprintable():
        shown = "".join(one if one.isprintable() or one in "\n\t" else _spelled(one) for one in shown)
    return shown if len(text) <= longest else f"{shown} … (cut: {len(text):,} characters)"


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


def _escaped(text: str) -> str:
    return html.escape(cleaned(text))


@lru_cache(maxsize=4_096)
def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
