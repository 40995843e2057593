from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx
import pydantic
import pytest
from typing_extensions import TypedDict

from controlroom.errors import APIContractError, ConfigError, IncompletePaginationError
from controlroom.http import ApiClient, CursorPagination, Endpoint


class Flight(pydantic.BaseModel):
    number: int
    day: date


@dataclass
class FlightData:
    number: int
    day: date


class FlightDict(TypedDict):
    number: int
    day: date


def serving(pages: list[list[Any]], total: int | None = None) -> ApiClient:
    def server(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("cursor", "0"))
        following = number + 1 if number + 1 < len(pages) else None
        return httpx.Response(200, json={"data": pages[number], "next": following, "total": total})

    return ApiClient("https://x", transport=httpx.MockTransport(server))


def endpoint(model: Any, **more: Any) -> Endpoint[Any]:
    return Endpoint("/flights", records="data", pagination=CursorPagination("cursor", "next"), model=model, **more)


GOOD = {"number": 7, "day": "2013-01-01"}


@pytest.mark.parametrize("model", [Flight, FlightData])
def test_records_become_objects_of_the_model(model: Any) -> None:
    with serving([[GOOD], [GOOD | {"number": 8}]]) as api:
        found = list(api.records(endpoint(model)))

    assert found == [model(number=7, day=date(2013, 1, 1)), model(number=8, day=date(2013, 1, 1))]


def test_a_typed_dict_will_do() -> None:
    with serving([[GOOD]]) as api:
        assert list(api.records(endpoint(FlightDict))) == [{"number": 7, "day": date(2013, 1, 1)}]


def test_a_record_of_another_shape_raises_with_its_place_and_without_its_value() -> None:
    bad = {"number": "p3rsonal", "day": None}

    with serving([[GOOD], [GOOD | {"number": 8}, bad]]) as api:
        walk = api.pages(endpoint(Flight))
        assert next(walk).number == 1
        with pytest.raises(APIContractError, match=r"record 1 at number: .* record 1 at day") as raised:
            next(walk)

    assert "p3rsonal" not in raised.value.message
    assert raised.value.checkpoint is not None
    assert raised.value.checkpoint["page"] == 1


def test_many_broken_records_are_counted_not_listed() -> None:
    with serving([[{}] * 100]) as api, pytest.raises(APIContractError, match="and 195 more"):
        list(api.records(endpoint(Flight)))


def test_the_total_counts_typed_records_too() -> None:
    with serving([[GOOD]], total=2) as api, pytest.raises(IncompletePaginationError):
        list(api.records(endpoint(Flight, total="total")))


def test_a_model_that_pydantic_does_not_know_is_refused_before_the_first_page() -> None:
    class Plain:
        pass

    with serving([[GOOD]]) as api, pytest.raises(ConfigError, match="Plain"):
        api.pages(endpoint(Plain))
