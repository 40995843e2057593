"""Records as typed objects: a whole page is validated in one call."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from controlroom.errors import APIContractError, ConfigError
from controlroom.policy.pagination import RejectedRecord
from controlroom.policy.pagination.walk import Convert

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["converter"]

_SHOWN = 5
# Messages into which a validator's own words, or the input, can get.
_NOT_PYDANTICS_WORDS = frozenset({"value_error", "assertion_error", "union_tag_invalid", "uuid_parsing"})


def converter(model: Any, *, quarantine: bool = False) -> Convert:
    """Return a function that makes objects of *model* of a page's records.

    Where a record does not fit, it raises `APIContractError` with the record's position and field, never with its value;
    with *quarantine* it sets that record aside and goes on.

    Args:
        model: A pydantic model, a dataclass, a TypedDict, or any type that pydantic knows.
        quarantine: What to do with a record that does not fit.

    Raises:
        ConfigError: pydantic knows no such type.
    """
    name = getattr(model, "__name__", str(model))
    if quarantine:
        return partial(_sorted_out, whole=_adapter(model), single=_single(model))
    return partial(_converted, adapter=_adapter(model), name=name)


@lru_cache(maxsize=256)
def _adapter(model: Any) -> TypeAdapter[list[Any]]:
    return _known_to_pydantic(list[model], model)


@lru_cache(maxsize=256)
def _single(model: Any) -> TypeAdapter[Any]:
    return _known_to_pydantic(model, model)


def _known_to_pydantic(kind: Any, model: Any) -> TypeAdapter[Any]:
    from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415 - costs 50 ms, and only some endpoints need it

    try:
        return TypeAdapter(kind)
    except PydanticUserError as error:
        message = f"{model} cannot be the model of a record: {error.message}"
        raise ConfigError(message) from error


def _converted(
    records: list[Any], *, adapter: TypeAdapter[list[Any]], name: str
) -> tuple[list[Any], tuple[RejectedRecord, ...]]:
    from pydantic import ValidationError  # noqa: PLC0415 - loaded already, with the adapter

    try:
        return adapter.validate_python(records), ()
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        found = "; ".join(f"record {_place(detail['loc'])}: {_said(detail)}" for detail in details[:_SHOWN])
        more = f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
        message = f"The page's records are not of {name}: {found}{more}. The page was not handed out."
        raise APIContractError(message) from error


def _sorted_out(
    records: list[Any], *, whole: TypeAdapter[list[Any]], single: TypeAdapter[Any]
) -> tuple[list[Any], tuple[RejectedRecord, ...]]:
    """Validate the page in one call; only one that fails is gone through record by record."""
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    try:
        return whole.validate_python(records), ()
    except ValidationError:
        pass
    good: list[Any] = []
    rejected: list[RejectedRecord] = []
    for position, record in enumerate(records):
        try:
            good.append(single.validate_python(record))
        except ValidationError as error:
            rejected.append(RejectedRecord(record, position, _reason(error)))
    return good, tuple(rejected)


def _reason(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, detail['loc'])) or 'the record'}: {_said(detail)}" for detail in details[:_SHOWN]]
    more = [f"and {len(details) - _SHOWN} more"] if len(details) > _SHOWN else []
    return "; ".join([*told, *more])


def _said(detail: ErrorDetails) -> str:
    return "its validator refused it" if detail["type"] in _NOT_PYDANTICS_WORDS else detail["msg"]


def _place(location: tuple[int | str, ...]) -> str:
    index, *fields = location
    return f"{index} at {'.'.join(map(str, fields))}" if fields else f"{index}"
