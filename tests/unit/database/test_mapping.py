"""Rows become what is wanted, or say which row and column does not, without its value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import pydantic
import pytest
import sqlalchemy as sa

from controlroom.database.mapping import Mapper
from controlroom.errors import DataError, NothingToDo, QueryError

SECRET = "hunter2-4711"


def rows(names: Sequence[str], *values: tuple[Any, ...]) -> Any:
    return sa.engine.IteratorResult(sa.engine.result.SimpleResultMetaData(names), iter(values))


def made(into: Any, names: Sequence[str], *values: tuple[Any, ...]) -> list[Any]:
    return list(Mapper(into, names)(rows(names, *values)))


class Aliased(pydantic.BaseModel):
    id: int = pydantic.Field(validation_alias=pydantic.AliasChoices("ID", "key"))
    tags: list[int] = pydantic.Field(default=[], validation_alias=pydantic.AliasPath("labels", "list"))


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    id: int


class Dropping(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="ignore")
    id: int


class Both(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    id: int = pydantic.Field(alias="key")


class Picky(pydantic.BaseModel):
    id: int
    by: dict[str, int] = {}
    text: Annotated[str, pydantic.AfterValidator(lambda value: 1 / 0 if value == SECRET else value)] = ""

    @pydantic.model_validator(mode="after")
    def check(self) -> Picky:
        if self.id == 13:
            message = f"{SECRET} is unlucky"
            raise ValueError(message)
        return self


@dataclass
class Checked:
    id: int
    rest: list[int] = field(default_factory=list)
    made_up: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.id == 13:
            message = f"{SECRET} is unlucky"
            raise ValueError(message)


def test_models_are_filled_by_their_names_and_aliases() -> None:
    assert made(Aliased, ["ID"], (1,))[0].id == 1
    assert made(Aliased, ["key", "labels"], (2, {"list": [3]}))[0].tags == [3]
    assert made(Both, ["id"], (3,)) == made(Both, ["key"], (3,)) == [Both(key=3)]
    assert made(Open, ["id", "more"], (4, 5))[0].model_extra == {"more": 5}
    assert made(Dropping, ["id", "more"], (4, 5)) == [Dropping(id=4)]


@pytest.mark.parametrize(
    ("into", "names", "says"),
    [
        (Aliased, ["id"], "lack id and have also id"),
        (Open, ["more"], "lack id"),
        (Both, ["id", "more"], "have also more"),
        (Checked, ["id", "made_up"], "have also made_up"),
        (Checked, ["rest"], "lack id"),
    ],
)
def test_columns_that_are_missing_or_left_over_are_named(into: Any, names: list[str], says: str) -> None:
    with pytest.raises(QueryError, match=says):
        Mapper(into, names)


@pytest.mark.parametrize(
    ("into", "names", "values", "says"),
    [
        (Picky, ["id", "by"], (1, {SECRET: "x"}), r"Row 1 .*column by\.\* \(int_parsing\)"),
        (Picky, ["id", "by"], (SECRET, SECRET), r"column id \(int_parsing\); column by \(dict_type\)"),
        (Picky, ["id"], (13,), r"as a whole \(value_error\)"),
        (Picky, ["id", "text"], (1, SECRET), "raised ZeroDivisionError"),
        (Checked, ["id"], (13,), "raised ValueError"),
    ],
)
def test_a_value_that_does_not_fit_is_never_shown(
    into: Any, names: list[str], values: tuple[Any, ...], says: str
) -> None:
    good = tuple(1 if name == "id" else {} if name == "by" else "" for name in names)
    with pytest.raises(DataError, match=says) as caught:
        made(into, names, good, values)

    assert SECRET not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_what_a_function_raises_is_its_own_and_says_for_which_row() -> None:
    def convert(row: Any) -> int:
        if row.id == 2:
            message = "mine"
            raise ValueError(message)
        return int(row.id)

    with pytest.raises(ValueError, match="mine") as caught:
        made(convert, ["id"], (1,), (2,))
    assert "for row 1 of the result" in caught.value.__notes__[0]

    def skip(_: Any) -> None:
        message = "enough"
        raise NothingToDo(message)

    with pytest.raises(NothingToDo):
        made(skip, ["id"], (1,))
