"""A refused credential that was rotated is fetched anew, once; every other refusal goes up as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from pydantic import SecretStr

from controlroom.errors import (
    APIAuthError,
    APIStatusError,
    ConfigError,
    ControlRoomError,
    DatabaseUnavailableError,
    QueryError,
)
from controlroom.settings import BaseSettings, load_settings
from controlroom.settings.cloud.rotation import (
    aretry_on_rotation,
    forget_cached_secrets,
    retry_on_rotation,
    shows_rotation,
)
from controlroom.settings.loading_async import aload_settings
from tests.unit.settings.cloud_doubles import FakeAws, installed, refusal

pytestmark = pytest.mark.usefixtures("cloud")


class Settings(BaseSettings):
    token: SecretStr
    other: str = ""


Use = Callable[[Settings], str]
Retry = Callable[[Use], str]


def _sync(use: Use) -> str:
    return retry_on_rotation(lambda: load_settings(Settings, token="aws-sm://n"), use)


def _async(use: Use) -> str:
    async def ause(settings: Settings) -> str:
        await asyncio.sleep(0)
        return use(settings)

    def aload() -> Awaitable[Settings]:
        return aload_settings(Settings, token="aws-sm://n")

    async def main() -> str:
        return await aretry_on_rotation(aload, ause)

    return asyncio.run(main())


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def retry(request: pytest.FixtureRequest) -> Retry:
    chosen: Retry = request.param
    return chosen


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    forget_cached_secrets()
    fake = installed(FakeAws(), monkeypatch)
    fake.put_secret("n", "old-token")
    yield fake
    forget_cached_secrets()


def only(accepted: str, error: ControlRoomError, used: list[str]) -> Use:
    def use(settings: Settings) -> str:
        used.append(settings.token.get_secret_value())
        if used[-1] != accepted:
            raise error
        return "done"

    return use


@pytest.mark.parametrize(
    "error",
    [
        APIAuthError("401", status_code=401),
        APIAuthError("403", status_code=403),
        DatabaseUnavailableError("refused", sqlstate="28P01"),
        QueryError("refused", sqlstate="28000"),
        DatabaseUnavailableError('connection failed: FATAL:  password authentication failed for user "app"'),
    ],
    ids=["401", "403", "28P01", "28000", "libpq"],
)
def test_a_rotated_secret_is_fetched_and_used_once(cloud: FakeAws, retry: Retry, error: ControlRoomError) -> None:
    used: list[str] = []
    load_settings(Settings, token="aws-sm://n")  # the cache holds the old one
    cloud.put_secret("n", "new-token")

    assert retry(only("new-token", error, used)) == "done"
    assert used == ["old-token", "new-token"]
    assert len(cloud.asked) == 2


def test_a_secret_that_has_not_changed_is_not_used_again(cloud: FakeAws, retry: Retry) -> None:
    used: list[str] = []
    error = APIAuthError("403", status_code=403)

    with pytest.raises(APIAuthError) as caught:
        retry(only("never", error, used))

    assert caught.value is error
    assert used == ["old-token"]
    assert len(cloud.asked) == 2


def test_a_second_refusal_goes_up(cloud: FakeAws, retry: Retry) -> None:
    used: list[str] = []
    load_settings(Settings, token="aws-sm://n")
    cloud.put_secret("n", "new-token")

    with pytest.raises(APIAuthError):
        retry(only("never", APIAuthError("401", status_code=401), used))

    assert used == ["old-token", "new-token"]


@pytest.mark.parametrize(
    "error",
    [
        APIStatusError("500", status_code=500),
        DatabaseUnavailableError("gone", sqlstate="08006"),
        DatabaseUnavailableError("gone"),
        DatabaseUnavailableError("password authentication failed, it says", sqlstate="08006"),
        ConfigError("wrong"),
    ],
)
def test_what_is_no_refusal_goes_up_and_nothing_is_fetched(
    cloud: FakeAws, retry: Retry, error: ControlRoomError
) -> None:
    with pytest.raises(type(error)) as caught:
        retry(only("never", error, []))

    assert caught.value is error
    assert len(cloud.asked) == 1


def test_what_another_thread_fetched_already_is_used_first(cloud: FakeAws, retry: Retry) -> None:
    used: list[str] = []

    def use(settings: Settings) -> str:
        used.append(settings.token.get_secret_value())
        if len(used) == 1:
            cloud.put_secret("n", "new-token")
            forget_cached_secrets()
            load_settings(Settings, token="aws-sm://n")  # as another worker would, meanwhile
            message = "401"
            raise APIAuthError(message, status_code=401)
        return "done"

    assert retry(use) == "done"
    assert used == ["old-token", "new-token"]
    assert len(cloud.asked) == 2


def test_only_the_secrets_of_these_settings_are_dropped(cloud: FakeAws, retry: Retry) -> None:
    cloud.put_secret("m", "v")
    load_settings(Settings, token="aws-sm://m")
    with pytest.raises(APIAuthError):
        retry(only("never", APIAuthError("401", status_code=401), []))
    asked = len(cloud.asked)
    load_settings(Settings, token="aws-sm://m")
    assert len(cloud.asked) == asked


def test_settings_without_references_have_nothing_to_fetch(cloud: FakeAws) -> None:
    loads: list[int] = []

    def load() -> Settings:
        loads.append(1)
        return load_settings(Settings, token="plain-token")

    with pytest.raises(APIAuthError):
        retry_on_rotation(load, only("never", APIAuthError("401", status_code=401), []))

    assert len(loads) == 1
    assert cloud.asked == []


def test_an_outage_while_fetching_anew_says_retry_and_keeps_the_refusal_in_its_chain(
    cloud: FakeAws, retry: Retry
) -> None:
    refused = APIAuthError("401", status_code=401)

    def use(settings: Settings) -> str:
        def down(asked: object) -> None:
            raise refusal("AccessDeniedException")

        cloud.refuse = down
        raise refused

    with pytest.raises(ConfigError) as caught:
        retry(use)

    assert caught.value.__context__ is refused


def test_a_refusal_is_seen_through_what_wraps_it() -> None:
    inner = APIAuthError("401", status_code=401)
    outer = QueryError("failed")
    outer.__cause__ = inner
    assert shows_rotation(outer)
    outer.__cause__ = outer
    assert not shows_rotation(outer)


def test_a_copy_remembers_what_it_was_loaded_from(cloud: FakeAws) -> None:
    loaded = load_settings(Settings, token="aws-sm://n").model_copy(update={"other": "x"})
    forget_cached_secrets(loaded)
    load_settings(Settings, token="aws-sm://n")
    assert len(cloud.asked) == 2
