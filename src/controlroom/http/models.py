"""Records as typed objects: a whole page is validated in one call."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from controlroom.errors import APIContractError, ConfigError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["converter"]

_SHOWN = 5


def converter(model: Any) -> Callable[[list[Any]], list[Any]]:
    """Return a function that makes objects of *model* of a page's records.

    It raises `APIContractError` where a record does not fit, with its position and field, never with its value.

    Args:
        model: A pydantic model, a dataclass, a TypedDict, or any type that pydantic knows.

    Raises:
        ConfigError: pydantic knows no such type.
    """
    return partial(_converted, adapter=_adapter(model), name=getattr(model, "__name__", str(model)))


@lru_cache(maxsize=256)
def _adapter(model: Any) -> TypeAdapter[list[Any]]:
    from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415 - costs 50 ms, and only some endpoints need it

    try:
        return TypeAdapter(list[model])
    except PydanticUserError as error:
        message = f"{model} cannot be the model of a record: {error.message}"
        raise ConfigError(message) from error


def _converted(records: list[Any], *, adapter: TypeAdapter[list[Any]], name: str) -> list[Any]:
    from pydantic import ValidationError  # noqa: PLC0415 - loaded already, with the adapter

    try:
        return adapter.validate_python(records)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        found = "; ".join(f"record {_place(detail['loc'])}: {detail['msg']}" for detail in details[:_SHOWN])
        more = f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
        message = f"The page's records are not of {name}: {found}{more}. The page was not handed out."
        raise APIContractError(message) from error


def _place(location: tuple[int | str, ...]) -> str:
    index, *fields = location
    return f"{index} at {'.'.join(map(str, fields))}" if fields else f"{index}"
