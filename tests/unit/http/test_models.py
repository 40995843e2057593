from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx
import pydantic
import pytest
from typing_extensions import TypedDict

from controlroom.errors import APIContractError, ConfigError, IncompletePaginationError, QuarantineThresholdError
from controlroom.http import ApiClient, AsyncApiClient, CursorPagination, Endpoint


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


BAD = {"number": "seven", "day": "2013-01-01"}


def sorted_out(model: Any, **more: Any) -> Endpoint[Any]:
    return endpoint(model, on_invalid="quarantine", **more)


@pytest.mark.parametrize("model", [Flight, FlightData])
def test_in_quarantine_mode_a_wrong_record_is_set_aside_and_the_others_go_on(model: Any) -> None:
    with serving([[GOOD, BAD, GOOD | {"number": 8}], [{"number": 9}]]) as api:
        pages = list(api.pages(sorted_out(model, max_invalid_share=0.5)))

    assert [record.number for page in pages for record in page.records] == [7, 8]
    first, second = (page.rejected for page in pages)
    assert [(one.position, one.record) for one in (*first, *second)] == [(1, BAD), (0, {"number": 9})]
    assert first[0].reason.startswith("number: Input should be a valid integer")
    assert second[0].reason == "day: Field required"
    assert "seven" not in first[0].reason + repr(first[0])


def test_wrong_records_count_for_the_stated_total() -> None:
    with serving([[GOOD, BAD], [GOOD | {"number": 8}]], total=3) as api:
        assert len(list(api.records(sorted_out(Flight, total="total", max_invalid_share=0.5)))) == 2


@pytest.mark.parametrize("bad", [6, 100])
def test_too_many_wrong_records_stop_the_walk_in_its_middle(bad: int) -> None:
    page = [BAD] * bad + [GOOD] * (100 - bad)
    with serving([page, [GOOD]]) as api, pytest.raises(QuarantineThresholdError) as raised:
        list(api.pages(sorted_out(Flight)))

    assert (raised.value.rejected, raised.value.total, raised.value.limit) == (bad, 100, 0.05)


def test_few_records_are_judged_at_the_end_of_the_walk() -> None:
    taken: list[Any] = []
    with serving([[GOOD, BAD], [GOOD]]) as api, pytest.raises(QuarantineThresholdError, match="1 of 3 records"):
        taken.extend(api.pages(sorted_out(Flight)))

    with serving([[GOOD, BAD], [GOOD]]) as api:
        assert len(list(api.pages(sorted_out(Flight, max_invalid_share=0.34)))) == 2


@pytest.mark.parametrize("arguments", [{"on_invalid": "skip"}, {"on_invalid": "quarantine", "max_invalid_share": 2}])
def test_an_impossible_quarantine_is_refused(arguments: dict[str, Any]) -> None:
    with serving([[GOOD]]) as api, pytest.raises(ConfigError, match="not possible"):
        api.pages(endpoint(Flight, **arguments))


def test_what_a_validator_says_of_a_value_is_not_repeated() -> None:
    class Strict(pydantic.BaseModel):
        number: int

        @pydantic.field_validator("number")
        @classmethod
        def positive(cls, value: int) -> int:
            message = f"{value} is the secret number"
            raise ValueError(message)

    with serving([[{"number": 4711}]]) as api:
        (page,) = api.pages(endpoint(Strict, on_invalid="quarantine", max_invalid_share=1))
        with pytest.raises(APIContractError) as raised:
            list(api.pages(endpoint(Strict)))

    assert page.rejected[0].reason == "number: its validator refused it"
    assert "4711" not in str(raised.value)


def test_the_first_record_needs_one_page() -> None:
    class Airline(ApiClient):
        flights = endpoint(Flight)
        none = Endpoint("/none", records="data")

    asked: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"data": [] if request.url.path == "/none" else [GOOD], "next": "more"})

    with Airline("https://x", transport=httpx.MockTransport(server)) as airline:
        assert airline.flights.first() == Flight(number=7, day=date(2013, 1, 1))
        assert airline.none.first() is None

    assert asked == ["/flights", "/none"]


def test_the_first_record_of_an_asynchronous_client() -> None:
    class Airline(AsyncApiClient):
        flights = endpoint(Flight)
        none = Endpoint("/none", records="data")

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [] if request.url.path == "/none" else [GOOD], "next": "more"})

    async def main() -> tuple[Any, Any]:
        async with Airline("https://x", transport=httpx.MockTransport(server)) as airline:
            return await airline.flights.first(), await airline.none.first()

    assert asyncio.run(main()) == (Flight(number=7, day=date(2013, 1, 1)), None)


def test_a_quarantine_without_a_model_to_judge_by_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a model="):
        Endpoint("/flights", on_invalid="quarantine")
