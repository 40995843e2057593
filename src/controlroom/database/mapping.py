"""Rows as what the caller works with: dataclasses, named tuples, pydantic models, dictionaries, or whatever a function makes.

Pydantic is recognized by its methods and never imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import isclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Row

from controlroom.errors import ControlRoomError, DataError, QueryError

__all__ = ["Mapper", "require_makes"]

T = TypeVar("T")


class Mapper(Generic[T]):
    """Makes the rows of one result into what is wanted.

    Raises:
        QueryError: The columns are not those that *into* needs. No row was made.
    """

    def __init__(self, into: Callable[..., T], names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._into: Any = into
        self._title: str = getattr(into, "__qualname__", type(into).__qualname__)
        self._done = 0
        self._is_model = isclass(into) and hasattr(into, "model_validate") and hasattr(into, "model_fields")
        self._by_name = into is dict or self._is_model or _fields(into) is not None
        if self._by_name:
            self._require_distinct()
        if self._is_model:
            self._compare(*_model_fields(self._into))
        elif (fields := _fields(into)) is not None:
            self._compare({name: {name} for name, needed in fields.items() if needed}, set(fields))

    def _require_distinct(self) -> None:
        twice = sorted({name for name in self._names if self._names.count(name) > 1})
        if twice:
            message = f"The rows have several columns named {', '.join(twice)}. None was made. Name them apart: AS …"
            raise QueryError(message)

    def _compare(self, needed: dict[str, set[str]], known: set[str] | None) -> None:
        given = set(self._names)
        missing = sorted(name for name, ways in needed.items() if not ways & given)
        surplus = [] if known is None else sorted(given - known)
        if not missing and not surplus:
            return
        facts = [f"{fact} {', '.join(names)}" for fact, names in (("lack", missing), ("have also", surplus)) if names]
        message = (
            f"The rows do not fit {self._title}: they {' and '.join(facts)}. None was made. Select the columns it has, "
            "under their names."
        )
        raise QueryError(message)

    def __call__(self, rows: Iterable[Row[Any]]) -> Iterator[T]:
        """Yield what *rows* become.

        Raises:
            DataError: A value does not fit. The text names row and column, and shows no value.
        """
        for row in rows:
            yield self._made(row)
            self._done += 1

    def _made(self, row: Row[Any]) -> T:
        try:
            return self._construct(row)
        except ControlRoomError:
            raise
        except Exception as error:
            if not self._by_name:
                error.add_note(f"controlroom: raised by {self._title} for row {self._done} of the result")
                raise  # the caller's own function
            wrong = self._what_is_wrong(error)
        message = f"Row {self._done} does not fit {self._title}: {wrong}. It was read, and nothing was changed. Correct it, or the type."
        raise DataError(message)  # outside of `except`: the other one may show the value

    def _construct(self, row: Row[Any]) -> T:
        made: T
        if not self._by_name:
            made = self._into(row)
        elif self._is_model:
            made = self._into.model_validate(dict(zip(self._names, row, strict=True)))
        else:
            made = self._into(**dict(zip(self._names, row, strict=True)))
        return made

    def _what_is_wrong(self, error: Exception) -> str:
        try:
            found = error.errors(include_url=False, include_input=False, include_context=False)  # type: ignore[attr-defined]  # pydantic's
        except Exception:  # noqa: BLE001 - it is another's, or cannot even say
            return f"its construction raised {type(error).__name__}"
        places = [(".".join(self._shown(part) for part in each["loc"]), each["type"]) for each in found]
        return "; ".join(f"column {place} ({kind})" if place else f"as a whole ({kind})" for place, kind in places[:10])

    def _shown(self, part: object) -> str:
        """Return a part of a place; a key of a mapping that a column held is content, and not shown."""
        return str(part) if isinstance(part, int) or part in self._names or part in self._into.model_fields else "*"


def require_makes(into: object) -> None:
    """Refuse what makes nothing of a row.

    Raises:
        QueryError: It cannot be called. Nothing was run.
    """
    if into is not None and not callable(into):
        message = f"into= is a class or a function that makes something of a row, not a {type(into).__name__}. Nothing was run."
        raise QueryError(message)


def _fields(into: Any) -> dict[str, bool] | None:
    """Return the names that a dataclass or named tuple is constructed with, and whether each is needed."""
    if isclass(into) and dataclasses.is_dataclass(into):
        nothing = dataclasses.MISSING
        return {
            each.name: each.default is nothing and each.default_factory is nothing
            for each in dataclasses.fields(into)
            if each.init
        }
    names = getattr(into, "_fields", None)
    if isclass(into) and issubclass(into, tuple) and names is not None:
        return {name: name not in getattr(into, "_field_defaults", {}) for name in names}
    return None


def _model_fields(model: Any) -> tuple[dict[str, set[str]], set[str] | None]:
    """Return, for a pydantic model, the names under which each needed field may be given, and all names; None for any.

    Pydantic drops what it does not know without a word, unless told otherwise; here it has to be told to drop it.
    """
    config = model.model_config
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    needed: dict[str, set[str]] = {}
    known: set[str] = set()
    for name, field in model.model_fields.items():
        ways = _aliases(field.validation_alias) or {name}
        ways |= {name} if by_name else set()
        known |= ways
        if field.is_required():
            needed[name] = ways
    return needed, None if config.get("extra") in ("allow", "ignore") else known


def _aliases(alias: Any) -> set[str]:
    """Return the columns that an alias of pydantic's looks into: a text, a path, or a choice of them."""
    if alias is None or isinstance(alias, str):
        return {alias} if alias else set()
    if hasattr(alias, "choices"):
        return {name for each in alias.choices for name in _aliases(each)}
    return {str(alias.path[0])}
