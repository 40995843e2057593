"""An OpenAPI document as it is asked: what a reference points to, and what stands where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from controlroom.errors import DataError

__all__ = ["Document", "keys_of", "listed", "mapping", "texts"]


def mapping(value: object) -> Mapping[str, Any]:
    """Return *value* if it is an object, and an empty one else: what a document writes amiss says nothing."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> list[Any]:
    """Return *value* if it is a list, and an empty one else."""
    return value if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """Return the texts in *value*, if it is a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def keys_of(reference: str) -> list[str]:
    """Return the keys that a reference follows (RFC 6901, in a fragment)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in unquote(reference[1:]).split("/")[1:]]


class Document:
    """A document.

    Args:
        tree: As `controlroom.generate.parsed` returns it.
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self.tree: Mapping[str, Any] = tree
        self.info: Mapping[str, Any] = mapping(tree.get("info"))

    def followed(self, node: object) -> tuple[Mapping[str, Any], str | None]:
        """Return what *node* is behind its references, and the last one of those.

        Raises:
            DataError: A reference points outside of the document, to nothing, or in a circle.
        """
        found, pointer, seen = mapping(node), None, set[str]()
        while isinstance(reference := found.get("$ref"), str):
            if reference in seen:
                message = f"The reference {reference[:200]!r} leads back to itself. Correct the document."
                raise DataError(message)
            seen.add(reference)
            found, pointer = mapping(self._at(reference)), reference
        return found, pointer

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#"):
            message = (
                f"The reference {reference[:200]!r} points outside of the document, and nothing else is fetched. Bundle it "
                f"into one document first, for example with redocly bundle."
            )
            raise DataError(message)
        found: Any = self.tree
        if reference != "#" and not reference.startswith("#/"):
            message = f"The reference {reference[:200]!r} is an anchor; only paths (#/components/…) are understood."
            raise DataError(message)
        for key in keys_of(reference):
            if isinstance(found, list) and key.isascii() and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                message = f"The reference {reference[:200]!r} points to nothing. Correct the document."
                raise DataError(message)
        return found
