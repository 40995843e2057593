from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count

import pytest

from controlroom.policy.flow import Flow, StepFailed, drive, drive_async
from controlroom.testing import SimulatedCrash, crash_everywhere


@dataclass
class Disk:
    """A folder in memory whose pipeline copies a to b and then deletes a."""

    files: dict[str, str] = field(default_factory=lambda: {"a": "data"})
    log: list[str] = field(default_factory=list)

    def perform(self, step: str) -> None:
        self.log.append(step)
        match step.split():
            case ["copy", source, target]:
                self.files[target] = self.files[source]
            case ["delete", name]:
                self.files.pop(name, None)

    async def aperform(self, step: str) -> None:
        await asyncio.sleep(0)
        self.perform(step)

    def is_whole(self) -> bool:
        return self.files == {"b": "data"}


def move() -> Flow[str, None]:
    yield "copy a b"
    yield "delete a"


def move_carelessly() -> Flow[str, None]:
    yield "delete b"
    yield "delete a"
    yield "copy a b"


def good(disk: Disk) -> None:
    if "a" in disk.files:
        drive(move(), disk.perform)


def bad(disk: Disk) -> None:
    if "a" in disk.files:
        kept = disk.files["a"]
        drive(move_carelessly(), lambda step: disk.perform(step) if "copy" not in step else disk.files.update(b=kept))


async def agood(disk: Disk) -> None:
    if "a" in disk.files:
        await drive_async(move(), disk.aperform)


async def anew() -> Disk:
    return Disk()


async def ais_whole(disk: Disk) -> bool:
    return disk.is_whole()


def test_a_pipeline_that_survives_is_crashed_before_and_after_each_of_its_steps() -> None:
    assert crash_everywhere(good, setup=Disk, check=Disk.is_whole) == 4


def test_an_asynchronous_pipeline_is_crashed_at_the_same_points() -> None:
    assert crash_everywhere(agood, setup=anew, check=ais_whole) == 4


def test_the_colours_can_be_mixed() -> None:
    assert crash_everywhere(agood, recover=good, setup=Disk, check=ais_whole) == 4


def test_a_pipeline_that_loses_data_is_found_out_and_the_point_is_named() -> None:
    with pytest.raises(AssertionError) as found:
        crash_everywhere(bad, setup=Disk, check=Disk.is_whole)

    assert str(found.value) == (
        "after a crash after step 2 of 3 ('delete a'): the invariant is broken: check() returned False"
    )


def test_an_invariant_that_raises_is_told_with_its_own_words() -> None:
    def check(disk: Disk) -> None:
        assert "b" in disk.files, "b is lost"

    with pytest.raises(AssertionError) as found:
        crash_everywhere(bad, setup=Disk, check=check)

    assert str(found.value).startswith(
        "after a crash after step 2 of 3 ('delete a'): the invariant is broken: AssertionError: b is lost"
    )
    assert isinstance(found.value.__cause__, AssertionError)


def test_a_recovery_that_fails_is_told_with_the_point() -> None:
    def recover(disk: Disk) -> None:
        disk.files["a"]

    with pytest.raises(AssertionError) as found:
        crash_everywhere(good, setup=Disk, recover=recover)

    assert str(found.value) == "after a crash after step 2 of 2 ('delete a'): recovery failed: KeyError: 'a'"


def test_without_an_invariant_it_is_enough_that_the_pipeline_runs_again() -> None:
    assert crash_everywhere(good, setup=Disk) == 4


def test_without_a_world_the_functions_take_no_argument() -> None:
    disk = Disk()

    def run() -> None:
        disk.files = {"a": "data"}
        good(disk)

    assert crash_everywhere(run, check=disk.is_whole) == 4


def test_each_trial_has_a_world_of_its_own_and_all_functions_get_the_same_one() -> None:
    numbers = count()
    seen: list[tuple[str, int]] = []

    def run(number: int) -> None:
        seen.append(("run", number))
        drive(move(), lambda _: None)

    crash_everywhere(
        run,
        setup=lambda: next(numbers),
        recover=lambda number: seen.append(("recover", number)),
        check=lambda number: seen.append(("check", number)),
    )

    trials = [[(act, number) for act in ("run", "recover", "check")] for number in range(1, 5)]
    assert seen == [("run", 0), ("check", 0), *(event for trial in trials for event in trial)]


def test_a_pipeline_without_steps_is_no_success() -> None:
    with pytest.raises(AssertionError, match=r"^the pipeline performed no step of controlroom: there was nothing to"):
        crash_everywhere(lambda: None)


def test_a_pipeline_that_is_already_done_the_second_time_is_no_success() -> None:
    disk = Disk()

    with pytest.raises(AssertionError, match="this time the run did not get there") as found:
        crash_everywhere(lambda: good(disk))

    assert "give setup=" in str(found.value)


def test_an_invariant_that_never_held_is_not_blamed_on_a_crash() -> None:
    with pytest.raises(AssertionError, match=r"^without any crash: the invariant is broken: check\(\) returned False$"):
        crash_everywhere(good, setup=Disk, check=lambda _: False)


def test_an_error_of_the_pipeline_itself_comes_out_as_it_is() -> None:
    def broken(_: Disk) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        crash_everywhere(broken, setup=Disk)


def test_an_error_of_the_pipeline_that_comes_in_a_later_trial_comes_out_as_it_is() -> None:
    runs = count()

    def broken(disk: Disk) -> None:
        if next(runs) == 2:
            raise LookupError
        good(disk)

    with pytest.raises(LookupError):
        crash_everywhere(broken, setup=Disk, recover=good)


def test_a_pipeline_that_turns_the_crash_into_another_error_has_crashed_all_the_same() -> None:
    def wraps(disk: Disk) -> None:
        try:
            good(disk)
        except BaseException as crash:
            raise LookupError from crash

    assert crash_everywhere(wraps, recover=good, setup=Disk, check=Disk.is_whole) == 4


def test_a_pipeline_that_swallows_the_crash_performs_nothing_more() -> None:
    disks: list[Disk] = []

    def swallows(disk: Disk) -> None:
        disks.append(disk)
        for _ in range(3):
            try:
                good(disk)
            except BaseException:
                disk.log.append("swallowed")

    crash_everywhere(swallows, recover=good, setup=Disk, check=Disk.is_whole)

    first_crash = disks[1]
    assert first_crash.log[:3] == ["swallowed"] * 3


def test_a_crash_in_one_of_several_tasks_kills_them_all() -> None:
    worlds: list[list[str]] = []

    def steps(name: str) -> Flow[str, None]:
        try:
            for number in range(2):
                yield f"{name}{number}"
        except StepFailed:
            yield f"undo {name}"
            raise

    async def run(done: list[str]) -> None:
        worlds.append(done)

        async def perform(step: str) -> None:
            await asyncio.sleep(0)
            done.append(step)

        async with asyncio.TaskGroup() as group:
            for name in ("x", "y"):
                group.create_task(drive_async(steps(name), perform))

    def new() -> list[str]:
        return []

    assert crash_everywhere(run, recover=lambda _: None, setup=new) == 8
    assert not any("undo" in step for done in worlds for step in done)


def test_interrupting_the_test_run_interrupts_it() -> None:
    def interrupted(disk: Disk) -> None:
        try:
            good(disk)
        except SimulatedCrash:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        crash_everywhere(interrupted, setup=Disk)


def test_in_an_event_loop_it_says_that_it_cannot_run_there() -> None:
    async def main() -> None:
        crash_everywhere(agood, setup=Disk)

    with pytest.raises(RuntimeError, match="running event loop"):
        asyncio.run(main())
