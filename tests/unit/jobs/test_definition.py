from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controlroom import clock, shutdown
from controlroom.errors import ConfigError, ControlRoomError, DataError, NothingToDo, ShutdownRequested
from controlroom.jobs import Job, Run, job
from controlroom.logs import get_logger, setup_logging
from controlroom.redaction import forget_secrets
from controlroom.settings import BaseSettings
from controlroom.testing import ManualClock

CANARY = "c4n4ry-Value-0x7f"


class Settings(BaseSettings):
    token: SecretStr = SecretStr("")
    count: int = 3


class Told:
    """What was logged, as the JSON lines of a file tell it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]


@pytest.fixture(autouse=True)
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    monkeypatch.chdir(tmp_path)
    for name in ("APP_TOKEN", "APP_COUNT"):
        monkeypatch.delenv(name, raising=False)
    report = setup_logging(level="INFO", format="json", file=tmp_path / "log.jsonl")
    yield Told(tmp_path / "log.jsonl")
    report.undo()
    shutdown.reset()
    forget_secrets()


def test_one_run_is_one_story(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_COUNT", "5")

    @job(settings=Settings)
    def ingest(run: Run[Settings]) -> int:
        clock.sleep(1.5)
        run.log.info("counted", count=run.settings.count)
        logging.getLogger("another.package").warning("theirs")
        return run.settings.count

    with ManualClock():
        assert ingest.run() == 5

    assert told.names == ["run_started", "settings_loaded", "counted", "theirs", "run_finished"]
    assert len({event["run_id"] for event in told.events}) == 1
    started, loaded, *_, finished = told.events
    assert (started["job"], started["host"]) == ("ingest", "python")
    assert [row["source"] for row in loaded["settings"]] == ["default", "environment"]
    assert (finished["outcome"], finished["exit_code"], finished["elapsed_s"]) == ("succeeded", 0, 1.5)


def test_nothing_of_a_run_stays_bound_after_it(told: Told) -> None:
    @job
    def ingest(run: Run[None]) -> None:
        pass

    ingest.run(deadline_s=5)
    get_logger("test").info("later")

    assert "run_id" not in told.events[-1]
    assert clock.current_deadline() is None


def test_settings_of_a_test_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_COUNT", "not a number")

    @job(settings=Settings)
    def ingest(run: Run[Settings]) -> int:
        return run.settings.count

    assert ingest.run(settings=Settings(count=8)) == 8


class Others(BaseSettings):
    count: int = 1


@pytest.mark.parametrize("given", [Settings, Others(), {"count": 3}])
def test_settings_that_are_none_of_the_jobs_are_refused_before_it_begins(given: Any) -> None:
    @job(settings=Settings)
    def ingest(run: Run[Settings]) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match=r"Nothing was run\. Give an object of Settings\."):
        ingest.run(settings=given)


def test_settings_for_a_job_without_any_are_not_dropped_in_silence() -> None:
    @job
    def ingest(run: Run[None]) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match=r"with a Settings as its settings.*Give nothing: it has no settings"):
        ingest.run(settings=Settings())  # type: ignore[arg-type]  # what is being tested


def test_a_bare_job_has_no_settings() -> None:
    @job
    def ingest(run: Run[None]) -> object:
        return run.settings

    assert ingest.run() is None


def test_an_async_job_runs_like_any_other(told: Told) -> None:
    @job(settings=Settings, name="the-ingest")
    async def ingest(run: Run[Settings]) -> int:
        await clock.asleep(2.0)
        return run.settings.count

    with ManualClock():
        assert ingest.run() == 3
        assert asyncio.run(ingest.arun()) == 3
    assert told.names == ["run_started", "settings_loaded", "run_finished"] * 2
    assert {event["job"] for event in told.events if event["event"] == "run_started"} == {"the-ingest"}


def test_an_async_job_inside_a_running_loop_says_what_to_await() -> None:
    @job
    async def ingest(run: Run[None]) -> None:
        pass

    async def use() -> None:
        with pytest.raises(RuntimeError, match=r"await ingest\.arun\(\) instead"):
            ingest.run()
        with pytest.raises(RuntimeError, match=r"await ingest\.arun\(\) instead"):
            ingest.main([])
        await ingest.arun()

    asyncio.run(use())


@pytest.mark.parametrize("kind", [DataError, ValueError, KeyError, MemoryError])
def test_a_failure_is_logged_once_and_handed_on(told: Told, kind: type[Exception]) -> None:
    error = kind("went wrong")

    @job
    def ingest(run: Run[None]) -> None:
        run.log.failure("page_failed", error)
        raise error

    with pytest.raises(kind) as caught:
        ingest.run()

    assert caught.value is error
    assert told.names == ["run_started", "page_failed", "run_finished"]
    assert told.events[-1]["outcome"] == "failed"


def test_a_failure_that_nobody_logged_is_logged_at_the_boundary(told: Told) -> None:
    @job
    def ingest(run: Run[None]) -> None:
        raise ValueError(CANARY)

    with pytest.raises(ValueError, match=CANARY):
        ingest.run()

    assert told.names == ["run_started", "run_failed", "run_finished"]
    assert [event["level"] for event in told.events] == ["INFO", "ERROR", "INFO"]


@pytest.mark.parametrize(
    ("error", "outcome"), [(NothingToDo("no files"), "skipped"), (ShutdownRequested("asked", signal=15), "stopped")]
)
def test_an_end_that_is_no_failure_logs_no_error(told: Told, error: ControlRoomError, outcome: str) -> None:
    @job
    def ingest(run: Run[None]) -> None:
        raise error

    with pytest.raises(type(error)):
        ingest.run()

    assert told.names == ["run_started", "run_finished"]
    assert (told.events[-1]["outcome"], told.events[-1]["exit_code"]) == (outcome, error.exit_code)
    assert error.message in told.events[-1]["reason"]


def test_a_cancelled_run_is_stopped_not_failed(told: Told) -> None:
    @job
    async def ingest(run: Run[None]) -> None:
        await asyncio.Event().wait()

    async def use() -> None:
        task = asyncio.create_task(ingest.arun())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(use())

    assert told.names == ["run_started", "run_finished"]
    assert told.events[-1]["outcome"] == "stopped"


def test_refused_settings_end_the_run_before_the_job_begins(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_COUNT", CANARY)
    called = []

    @job(settings=Settings)
    def ingest(run: Run[Settings]) -> None:
        called.append(run)

    with pytest.raises(ConfigError):
        ingest.run()

    assert called == []
    assert told.names == ["run_started", "run_failed", "run_finished"]
    assert CANARY not in told.text


def test_a_request_to_stop_that_came_first_stops_before_the_job_begins(told: Told) -> None:
    called = []

    @job
    def ingest(run: Run[None]) -> None:
        called.append(run)

    shutdown.request()
    with pytest.raises(ShutdownRequested):
        ingest.run()

    assert called == []


def test_a_misspelled_variable_is_a_warning(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_CONUT", "5")

    @job(settings=Settings)
    def ingest(run: Run[Settings]) -> None:
        pass

    ingest.run()

    (warning,) = [event for event in told.events if event["level"] == "WARNING"]
    assert "APP_CONUT is set; did you mean APP_COUNT?" in warning["reason"]


def test_the_secrets_of_a_run_are_in_no_line(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", CANARY)

    @job(settings=Settings)
    def ingest(run: Run[Settings]) -> None:
        run.log.info("seen", token=run.settings.token, value=run.settings.token.get_secret_value(), all=run.settings)
        raise ValueError(run.settings.token.get_secret_value())

    with pytest.raises(ValueError, match=CANARY):
        ingest.run()

    assert CANARY not in told.text


def test_settings_made_in_code_have_their_secrets_masked_too(told: Told) -> None:
    @job(settings=Settings)
    def ingest(run: Run[Settings]) -> None:
        run.log.info("seen", value=run.settings.token.get_secret_value())

    ingest.run(settings=Settings(token=SecretStr(CANARY)))

    assert CANARY not in told.text


def test_the_deadline_of_a_run_is_ambient_and_logged(told: Told) -> None:
    @job
    def ingest(run: Run[None]) -> float | None:
        return run.deadline and run.deadline.remaining_s()

    with ManualClock():
        assert ingest.run(deadline_s=30) == 30.0

    assert told.events[0]["deadline_s"] == 30


@pytest.mark.parametrize("deadline_s", [-1.0, float("nan")])
def test_an_impossible_deadline_is_refused(deadline_s: float) -> None:
    @job
    def ingest(run: Run[None]) -> None:
        pass

    with pytest.raises(ConfigError):
        ingest.run(deadline_s=deadline_s)


def test_a_generator_is_no_job() -> None:
    """Calling one runs none of it: the run would succeed without having done anything."""

    def ingest(run: Run[None]) -> Iterator[int]:
        yield 1

    async def export(run: Run[None]) -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="ingest yields"):
        job(ingest)
    with pytest.raises(TypeError, match="export yields"):
        job(export)


def test_an_async_function_in_disguise_is_no_success(told: Told) -> None:
    async def hidden(run: Run[None]) -> None:
        pass

    @job
    def ingest(run: Run[None]) -> object:
        return hidden(run)

    with pytest.raises(TypeError, match="declare it with async def"):
        ingest.run()
    assert told.events[-1]["outcome"] == "failed"


def test_a_job_can_be_a_step_of_another() -> None:
    @job
    def inner(run: Run[None]) -> str:
        return run.id

    @job
    def outer(run: Run[None]) -> bool:
        return inner(run) == run.id

    assert outer.run()


def test_a_job_keeps_the_name_and_words_of_its_function() -> None:
    @job
    def ingest(run: Run[None]) -> None:
        """Take in what came."""

    assert isinstance(ingest, Job)
    assert (ingest.name, ingest.__name__, ingest.__doc__) == ("ingest", "ingest", "Take in what came.")
