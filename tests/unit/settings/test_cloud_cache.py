"""How long a value is good, who fetches it, and what is used while AWS is down."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from controlroom import shutdown
from controlroom.clock import deadline
from controlroom.errors import APIStatusError, ConfigError, ShutdownRequested
from controlroom.settings import BaseSettings, load_settings
from controlroom.settings.cloud import cache as cache_module
from controlroom.settings.cloud.cache import Cache, Flight, Taking, process_cache
from controlroom.settings.cloud.calls import Value
from controlroom.settings.cloud.policy import CloudPolicy
from controlroom.settings.cloud.references import Secret
from controlroom.settings.cloud.rotation import forget_cached_secrets
from controlroom.settings.loading_async import aload_settings
from controlroom.testing import FaultPlan, ManualClock, SimulatedCrash
from controlroom.testing.faults import When
from tests.unit.settings.cloud_contract import load
from tests.unit.settings.cloud_doubles import Asked, FakeAws, Load, installed, refusal

__all__ = ["cloud", "load"]


class One(BaseSettings):
    value: str


FIXED = CloudPolicy(ttl_s=300, jitter=0, stale_s=3600, attempts=1)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    forget_cached_secrets()
    fake = installed(FakeAws(), monkeypatch)
    fake.put_secret("n", "first")
    yield fake
    forget_cached_secrets()


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock


def value(load: Load, policy: CloudPolicy = FIXED, reference: str = "aws-sm://n") -> str:
    loaded = load(One, value=reference, cloud=policy)
    assert isinstance(loaded, One)
    return loaded.value


def down(asked: Asked) -> None:
    raise refusal("InternalServiceError", asked.operation, 500)


def test_a_value_is_fetched_again_when_its_time_is_over_and_not_before(
    cloud: FakeAws, load: Load, clock: ManualClock
) -> None:
    assert value(load) == "first"
    cloud.put_secret("n", "second")
    clock.advance(299.9)
    assert value(load) == "first"
    clock.advance(0.1)
    assert value(load) == "second"
    assert len(cloud.asked) == 2


def test_jitter_shortens_each_time_by_a_draw_of_its_own(
    cloud: FakeAws, load: Load, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module.random, "random", lambda: 0.5)
    policy = CloudPolicy(ttl_s=100, jitter=0.2)
    value(load, policy)
    clock.advance(89.9)
    value(load, policy)
    assert len(cloud.asked) == 1
    clock.advance(0.2)
    value(load, policy)
    assert len(cloud.asked) == 2


def test_a_time_of_zero_always_fetches(cloud: FakeAws, load: Load, clock: ManualClock) -> None:
    for _ in range(3):
        value(load, CloudPolicy(ttl_s=0))
    assert len(cloud.asked) == 3


def test_another_profile_region_or_endpoint_is_somebody_elses_secret(
    cloud: FakeAws, load: Load, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    value(load)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "other")
        value(load)
    value(load, reference="aws-sm://n?region=eu-west-1")
    assert len(cloud.asked) == 5


def test_stages_and_members_share_what_they_can(cloud: FakeAws, load: Load, clock: ManualClock) -> None:
    cloud.put_secret("json", '{"a": "1", "b": "2"}')
    value(load, reference="aws-sm://json#a")
    assert value(load, reference="aws-sm://json#b") == "2"
    assert len(cloud.asked) == 1


def test_while_aws_is_down_a_stale_value_is_used_with_a_warning(
    cloud: FakeAws, load: Load, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    value(load)
    clock.advance(400)
    cloud.refuse = down

    assert value(load) == "first"

    (line,) = [record for record in caplog.records if "secret_served_stale" in record.getMessage()]
    assert line.levelname == "WARNING"
    assert "aws-sm://n" in line.getMessage()
    assert "first" not in caplog.text
    assert "gave_up" not in caplog.text


def test_while_aws_is_down_it_is_not_asked_by_every_load(cloud: FakeAws, load: Load, clock: ManualClock) -> None:
    value(load)
    clock.advance(400)
    cloud.refuse = down
    for _ in range(5):
        value(load)
    assert len(cloud.asked) == 2
    clock.advance(31)
    cloud.refuse = lambda _: None
    cloud.put_secret("n", "second")
    assert value(load) == "second"


def test_a_value_is_not_stale_for_ever(cloud: FakeAws, load: Load, clock: ManualClock) -> None:
    value(load)
    cloud.refuse = down
    clock.advance(3600)
    assert value(load) == "first"
    clock.advance(0.1)
    clock.advance(31)
    with pytest.raises(APIStatusError):
        value(load)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_what_aws_denies_is_not_served_from_memory(cloud: FakeAws, load: Load, clock: ManualClock, code: str) -> None:
    def denied(asked: Asked) -> None:
        raise refusal(code, asked.operation)

    value(load)
    clock.advance(400)
    cloud.refuse = denied
    with pytest.raises(ConfigError):
        value(load)


def test_what_failed_is_asked_again_by_the_next_load(cloud: FakeAws, load: Load, clock: ManualClock) -> None:
    cloud.refuse = down
    with pytest.raises(APIStatusError):
        value(load)
    cloud.refuse = lambda _: None
    assert value(load) == "first"


def test_many_threads_that_need_it_fetch_it_once(cloud: FakeAws) -> None:
    under_way, go = threading.Event(), threading.Event()

    def hold(asked: Asked) -> None:
        under_way.set()
        assert go.wait(10)

    cloud.refuse = hold
    told: list[str] = []
    threads = [threading.Thread(target=lambda: told.append(value(load_settings))) for _ in range(8)]
    threads[0].start()
    assert under_way.wait(10)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert told == ["first"] * 8
    assert len(cloud.asked) == 1


def test_many_tasks_that_need_it_fetch_it_once(cloud: FakeAws) -> None:
    async def several() -> list[One]:
        return await asyncio.gather(*(aload_settings(One, value="aws-sm://n") for _ in range(8)))

    assert asyncio.run(several()) == [One(value="first")] * 8
    assert len(cloud.asked) == 1


def test_who_waited_for_a_failure_gets_an_error_of_its_own(cloud: FakeAws) -> None:
    under_way, go = threading.Event(), threading.Event()

    def hold(asked: Asked) -> None:
        under_way.set()
        assert go.wait(10)
        down(asked)

    cloud.refuse = hold
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            value(load_settings)
        except APIStatusError as error:
            errors.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(3)]
    threads[0].start()
    assert under_way.wait(10)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert len({id(error) for error in errors}) == 3
    assert all(error.__cause__ is not None for error in errors)


def test_who_waits_for_somebody_who_is_cancelled_asks_for_itself(cloud: FakeAws) -> None:
    async def scenario() -> One:
        first = asyncio.create_task(aload_settings(One, value="aws-sm://n"))
        await asyncio.sleep(0)
        second = asyncio.create_task(aload_settings(One, value="aws-sm://n"))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(scenario()) == One(value="first")


def test_loading_in_the_thread_of_a_loop_that_fetches_does_not_wait_for_itself(cloud: FakeAws) -> None:
    in_between: list[str] = []

    def load_meanwhile(asked: Asked) -> None:
        if len(cloud.asked) == 1:
            with deadline(5):
                in_between.append(value(load_settings))

    cloud.refuse = load_meanwhile

    assert asyncio.run(aload_settings(One, value="aws-sm://n")) == One(value="first")
    assert in_between == ["first"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", range(1, 8))
def test_a_load_that_ends_at_any_step_leaves_nothing_behind_that_the_next_waits_for(
    cloud: FakeAws, load: Load, step: int, when: When
) -> None:
    def throttled_once(asked: Asked) -> None:
        if len(cloud.asked) == 1:
            raise refusal("ThrottlingException")

    cloud.refuse = throttled_once
    with ManualClock(), FaultPlan.crash(step, when=when) as plan, suppress(SimulatedCrash):
        value(load, CloudPolicy())
    assert plan.crashed is (step <= 5)  # fetch, together, call, pause, call

    cloud.refuse = lambda _: None
    with deadline(5):
        assert value(load) == "first"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ShutdownRequested, ZeroDivisionError])
def test_an_interruption_goes_up_as_it_is(cloud: FakeAws, load: Load, interruption: type[BaseException]) -> None:
    def interrupt(asked: Asked) -> None:
        raise interruption("stop")

    cloud.refuse = interrupt
    with pytest.raises(interruption):
        value(load)
    cloud.refuse = lambda _: None
    assert value(load) == "first"


def test_a_shutdown_ends_the_wait_for_the_next_try(cloud: FakeAws, load: Load) -> None:
    cloud.refuse = down
    shutdown.request(15)
    try:
        with ManualClock(), pytest.raises(ShutdownRequested):
            value(load, CloudPolicy())
    finally:
        shutdown.reset()
    assert len(cloud.asked) == 1


def test_what_was_forgotten_while_it_was_fetched_is_not_kept(clock: ManualClock) -> None:
    cache, secret = Cache(), Secret("secretsmanager", "n")
    with cache.taking([secret], FIXED, waits_here=False) as taking:
        cache.forget()
        cache.settle(taking, {secret: Value("old")}, FIXED)
    with cache.taking([secret], FIXED, waits_here=False) as again:
        assert list(again.mine) == [secret]


def test_an_abandoned_load_may_be_collected_wherever_another_one_is(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that is stopped leaves coroutines; their ends run in whatever thread collects the garbage, whatever it holds."""
    cache, left, wanted = Cache(), Secret("secretsmanager", "left"), Secret("secretsmanager", "wanted")

    def leave() -> Flight:
        abandoned = cache.taking([left], FIXED, waits_here=True)
        flight = abandoned.__enter__().mine[left]
        cycle: list[object] = [abandoned]
        cycle.append(cycle)
        return flight

    def collecting() -> Flight:
        gc.collect()
        return Flight()

    def take() -> None:
        with cache.taking([wanted], FIXED, waits_here=False) as taking:
            found.append(taking)

    found: list[Taking] = []
    gc.disable()
    try:
        flight = leave()
        monkeypatch.setattr(cache_module, "Flight", collecting)
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        thread.join(10)
    finally:
        gc.enable()

    assert [list(taking.mine) for taking in found] == [[wanted]]
    assert flight.future.result(timeout=0) is None  # whoever waits for it may ask now


def test_forgetting_one_keeps_the_others(cloud: FakeAws, load: Load, clock: ManualClock) -> None:
    cloud.put_secret("m", "other")
    loaded = load(One, value="aws-sm://n", cloud=FIXED)
    value(load, reference="aws-sm://m")
    forget_cached_secrets(loaded)
    value(load, reference="aws-sm://m")
    assert len(cloud.asked) == 2
    value(load)
    assert len(cloud.asked) == 3


def test_a_forked_child_begins_with_an_empty_cache() -> None:
    before = process_cache()
    cache_module._begin_anew()
    try:
        assert process_cache() is not before
    finally:
        cache_module._cache = before


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl_s": -1},
        {"jitter": 1.1},
        {"jitter": float("nan")},
        {"stale_s": float("inf")},
        {"connect_s": 0},
        {"read_s": 0},
        {"attempts": 0},
        {"attempts": 1.5},
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        CloudPolicy(**wrong)
