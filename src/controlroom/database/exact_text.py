"""Texts that are compared as they are, in every database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

__all__ = ["ExactText"]

_LONG = 2**32 - 1


class ExactText(TypeDecorator[str]):
    """``TEXT``; on MySQL and MariaDB, what comes closest.

    There, a text without a length cannot be a key, holds 64 KB, and equals others: ``'a' = 'A '`` by most collations, and
    ``'a' = 'a '`` by most binary ones, too. A ledger would take one key for another.

    Args:
        key_length: The most characters it may have on MySQL, for a column that is a key; longer ones are refused there.
    """

    impl: type[TypeEngine[Any]] = Text
    cache_ok: bool | None = True

    def __init__(self, key_length: int | None = None) -> None:
        super().__init__()
        self.key_length = key_length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type for *dialect*."""
        if dialect.name not in ("mysql", "mariadb"):
            return dialect.type_descriptor(Text())
        collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", True) else "utf8mb4_0900_bin"
        if self.key_length is None:
            return dialect.type_descriptor(Text(_LONG, collation=collation))
        return dialect.type_descriptor(String(self.key_length, collation=collation))
