"""Python names for a document's names: ASCII identifiers that collide with nothing."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

__all__ = ["IMPORTED", "OF_A_MODEL", "Names", "attribute", "class_name", "field_name", "is_identifier", "words"]

_LONGEST: Final = 40  # what keeps every line that holds two of them within its length
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

BUILT_IN: Final = frozenset({"bool", "bytes", "dict", "dt", "float", "int", "list", "str"})
"""Types that annotations name: a field or an endpoint of that name would hide them (dt: datetime)."""

IMPORTED: Final = frozenset(
    {
        *("Any", "Literal", "Union", "UUID", "BaseModel", "ConfigDict", "Field", "RootModel", "BASE_URL"),
        *("ApiClient", "AsyncApiClient", "Endpoint", "CursorPagination", "HeaderCursorPagination", "KeysetPagination"),
        *("LinkHeaderPagination", "NextUrlPagination", "OffsetPagination", "PageNumberPagination"),
    }
)
"""What a generated module gets from elsewhere, or may."""

OF_A_MODEL: Final = frozenset(
    {
        *("construct", "copy", "dict", "from_orm", "json", "parse_file", "parse_obj", "parse_raw", "schema"),
        *("schema_json", "update_forward_refs", "validate", "model_computed_fields", "model_config"),
        *("model_construct", "model_copy", "model_dump", "model_dump_json", "model_extra", "model_fields"),
        *("model_fields_set", "model_json_schema", "model_parametrized_name", "model_post_init", "model_rebuild"),
        *("model_validate", "model_validate_json", "model_validate_strings"),
    }
)
"""Attributes of a pydantic model, which a field must not hide."""


def words(text: str) -> list[str]:
    """Return the words of *text* in lower case: "nextPageToken", "next_page_token" and "Next-Page-Token" are equal."""
    plain = unicodedata.normalize("NFKD", text[:400]).encode("ascii", "ignore").decode()
    return [word.lower() for word in _WORD.findall(plain)]


def attribute(text: str, fallback: str) -> str:
    """Return a name in snake_case that is no keyword."""
    return _valid("_".join(words(text)), fallback)


def class_name(text: str, fallback: str) -> str:
    """Return a name in PascalCase; one that is so already stays as it is."""
    if _IDENTIFIER.fullmatch(text) and text[0].isupper() and "_" not in text:
        return _valid(text, fallback)
    return _valid("".join(word.capitalize() for word in words(text)), fallback)


def field_name(text: str) -> str:
    """Return the JSON name itself where it is a name in Python, and one in snake_case else."""
    return text if is_identifier(text) and len(text) <= _LONGEST else attribute(text, "field")


def is_identifier(text: str) -> bool:
    """Tell whether *text* can stand in a program as it is."""
    return bool(_IDENTIFIER.fullmatch(text)) and not keyword.iskeyword(text)


def _valid(name: str, fallback: str) -> str:
    name = name[:_LONGEST].rstrip("_")
    if not name:
        return fallback
    if name[0].isdigit():
        name = f"{fallback}_{name}" if fallback.islower() else f"{fallback}{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


class Names:
    """The names of one scope; each is given once.

    Args:
        taken: Names that are not to be given.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def claim(self, wanted: str) -> str:
        """Return *wanted*, or the first of its like that is free: with an underscore, or a number."""
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted.rstrip('_')}_" if number == 2 and wanted.islower() else f"{wanted.rstrip('_')}{number}"  # noqa: PLR2004 - the second of its name
        self._taken.add(name)
        return name
