"""YAML with positions. Importing this needs PyYAML, the extra ``yaml``.

Nothing but plain data is built (the safe loader). Keys are texts as they are written, as in JSON and TOML: ``on:`` is no
boolean, ``1:`` no number; pydantic makes of them what a field asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from controlroom.settings.positions import Broken, Document, first_lines, unquoted

__all__ = ["read"]

_MOST_NODES = 50_000  # once aliases are expanded; a few lines can stand for billions ("billion laughs")
_MERGE = "tag:yaml.org,2002:merge"


def read(text: str) -> Document:
    """Return what *text* says.

    Raises:
        Broken: It is not one document of YAML that maps names to values, contains itself, or is too large once its
            aliases are expanded.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Document({}, dict)
        if not isinstance(node, yaml.MappingNode):
            raise Broken(*_position(node.start_mark), "It holds no mapping of names to values")
        lines, repeated = first_lines(_Walk().keys(node, ()))
        return Document(loader.construct_document(node), lambda: lines, repeated)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        where = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise Broken(*where, "There is a character that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        raise Broken(*_position(error.problem_mark or error.context_mark), _said(error)) from None


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: ARG002, FBT001, FBT002 - PyYAML's signature
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's signature
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, OverflowError, AttributeError):  # 2026-99-99, !!bool maybe, !!timestamp x
            raise yaml.constructor.ConstructorError(None, None, "not what its tag says", node.start_mark) from None


class _Walk:
    """One pass over a document as it will be once its aliases are expanded."""

    def __init__(self) -> None:
        self._nodes = 0

    def keys(
        self, node: yaml.Node, path: tuple[str, ...], inside: tuple[int, ...] = ()
    ) -> Iterator[tuple[tuple[str, ...], int]]:
        self._nodes += 1
        if id(node) in inside:
            raise Broken(*_position(node.start_mark), "It contains itself")
        if self._nodes > _MOST_NODES:
            raise Broken(*_position(node.start_mark), "It is too large once its aliases are expanded")
        inside = (*inside, id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield from self.keys(item, (*path, str(index)), inside)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise Broken(*_position(key.start_mark), "A key has to be a text")
                below = (*path, key.value)
                if key.tag != _MERGE:
                    yield below, key.start_mark.line + 1
                yield from self.keys(value, below, inside)


def _position(mark: yaml.Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _said(error: yaml.MarkedYAMLError) -> str:
    said = unquoted(error.problem or error.context or "it cannot be read")
    return said[:1].upper() + said[1:]
