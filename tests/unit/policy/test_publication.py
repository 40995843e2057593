from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from controlroom.errors import FileOperationError, PublicationInDoubtError
from controlroom.policy.flow import Flow, drive
from controlroom.policy.publication import (
    CopyChunk,
    LinkAs,
    LinkSourceAs,
    OfMember,
    ReadChunk,
    RemoveLocks,
    RemoveSource,
    RemoveStaged,
    RenameSourceTo,
    RenameTo,
    Seal,
    Stage,
    Step,
    SyncFile,
    SyncFiles,
    SyncFolder,
    SyncFolders,
    SyncSourceFolder,
    add_to_batch,
    discard,
    discard_batch,
    move,
    publish,
    publish_batch,
    put,
    stage,
)

EIO = FileOperationError("input/output error")
FULL = FileOperationError("no space left")
CHUNKS = (7, 3, 0)


class Recorder:
    """Performs steps on nothing; answers as a disk would, and fails where it is told to."""

    def __init__(self, failing: dict[Step, BaseException] | None = None, *, renames: bool = True) -> None:
        self.steps: list[Step] = []
        self._failing = failing or {}
        self._renames = renames
        self._copied, self._read = iter(CHUNKS), iter(CHUNKS)

    def perform(self, step: Step) -> Any:
        self.steps.append(step)
        if step in self._failing:
            raise self._failing[step]
        match step:
            case CopyChunk():
                return next(self._copied)
            case ReadChunk():
                return next(self._read)
            case RenameTo() | LinkAs():
                return "etag"
            case RenameSourceTo() | LinkSourceAs():
                return "etag" if self._renames else None
        return None


def run(flow: Flow[Step, Any], failing: dict[Step, BaseException] | None = None, *, renames: bool = True) -> list[Step]:
    """The steps of *flow*, up to its end or its error."""
    recorder = Recorder(failing, renames=renames)
    with suppress(FileOperationError):
        drive(flow, recorder.perform)
    return recorder.steps


def test_the_data_is_durable_before_the_name_and_the_name_before_the_end() -> None:
    steps = run(publish("t", if_absent=False, durable=True))

    assert steps == [Seal(), SyncFile(), RenameTo("t"), SyncFolder()]


def test_without_durable_nothing_is_synced() -> None:
    assert run(publish("t", if_absent=False, durable=False)) == [Seal(), RenameTo("t")]
    assert run(publish("t", if_absent=True, durable=False)) == [Seal(), LinkAs("t"), RemoveStaged()]


def test_create_exclusive_links_and_then_removes_the_staged_name() -> None:
    steps = run(publish("t", if_absent=True, durable=True))

    assert steps == [Seal(), SyncFile(), LinkAs("t"), RemoveStaged(), SyncFolder()]


def test_the_condition_travels_with_the_rename() -> None:
    assert RenameTo("t", "abc") in run(publish("t", if_absent=False, durable=True, if_match="abc"))


def test_publishing_answers_the_etag() -> None:
    assert drive(publish("t", if_absent=False, durable=True), Recorder().perform) == "etag"
    assert drive(put("t", if_absent=True, durable=True), Recorder().perform) == "etag"


def test_a_source_is_copied_chunk_by_chunk_to_its_end() -> None:
    copied: list[Step] = [Stage(), CopyChunk(), CopyChunk(), CopyChunk()]

    assert run(put("t", if_absent=False, durable=False)) == [*copied, Seal(), RenameTo("t")]
    assert run(add_to_batch()) == [*copied, Seal()]


@pytest.mark.parametrize("at", [Stage(), CopyChunk(), Seal(), SyncFile(), RenameTo("t")])
def test_whatever_fails_before_the_name_is_taken_removes_what_was_staged_and_nothing_else(at: Step) -> None:
    steps = run(put("t", if_absent=False, durable=True), {at: EIO})

    assert steps[-2:] == [at, RemoveStaged()]


@pytest.mark.parametrize("at", [Stage(), CopyChunk(), Seal()])
def test_a_member_of_a_batch_that_fails_removes_what_was_staged(at: Step) -> None:
    assert run(add_to_batch(), {at: EIO})[-2:] == [at, RemoveStaged()]


@pytest.mark.parametrize("at", [Seal(), SyncFile(), LinkAs("t")])
def test_a_name_that_is_taken_removes_what_was_staged(at: Step) -> None:
    assert run(publish("t", if_absent=True, durable=True), {at: EIO})[-2:] == [at, RemoveStaged()]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(1), FULL])
def test_an_interrupted_step_is_undone_and_the_interrupt_goes_up(interrupt: BaseException) -> None:
    recorder = Recorder({RenameTo("t"): interrupt})

    with pytest.raises(type(interrupt)):
        drive(publish("t", if_absent=False, durable=True), recorder.perform)
    assert recorder.steps[-1] == RemoveStaged()


def test_a_failed_sync_is_not_repeated() -> None:
    """Linux marks the pages clean after a failed fsync: a second one would succeed and lie."""
    steps = run(publish("t", if_absent=False, durable=True), {SyncFile(): EIO})

    assert steps == [Seal(), SyncFile(), RemoveStaged()]


def test_an_undo_that_fails_does_not_hide_why_it_was_needed() -> None:
    with pytest.raises(FileOperationError) as failed:
        drive(put("t", if_absent=False, durable=True), Recorder({CopyChunk(): FULL, RemoveStaged(): EIO}).perform)

    assert failed.value is FULL
    assert "could not be removed" in " ".join(failed.value.__notes__)


@pytest.mark.parametrize("at", [Stage(), CopyChunk(), Seal()])
def test_an_interrupt_while_undoing_goes_up_at_once(at: Step) -> None:
    with pytest.raises(KeyboardInterrupt):
        drive(add_to_batch(), Recorder({at: EIO, RemoveStaged(): KeyboardInterrupt()}).perform)


def test_a_second_name_that_stays_does_not_fail_a_publication_that_happened() -> None:
    steps = run(publish("t", if_absent=True, durable=True), {RemoveStaged(): EIO})

    assert steps[-1] == SyncFolder()


def test_an_interrupt_while_tidying_goes_up() -> None:
    with pytest.raises(KeyboardInterrupt):
        drive(
            publish("t", if_absent=True, durable=True),
            Recorder({RemoveStaged(): KeyboardInterrupt()}).perform,
        )


def test_a_name_whose_folder_could_not_be_synced_is_in_doubt_not_failed() -> None:
    recorder = Recorder({SyncFolder(): EIO})

    with pytest.raises(PublicationInDoubtError, match="t: the new content is visible and whole") as doubt:
        drive(publish("t", if_absent=False, durable=True), recorder.perform)

    assert doubt.value.__cause__ is EIO
    assert doubt.value.ref == "t"
    assert recorder.steps[-1] == SyncFolder(), "what is visible is not undone"


def test_an_interrupt_while_the_folder_is_synced_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        drive(publish("t", if_absent=False, durable=True), Recorder({SyncFolder(): KeyboardInterrupt()}).perform)


def test_discarding_removes_what_was_staged() -> None:
    assert run(discard()) == [RemoveStaged()]


def test_staging_that_fails_leaves_nothing() -> None:
    assert run(stage()) == [Stage()]
    assert run(stage(), {Stage(): EIO}) == [Stage(), RemoveStaged()]


READ: list[Step] = [ReadChunk(), ReadChunk(), ReadChunk()]


def test_a_move_reads_everything_then_renames_and_syncs_the_new_name_first() -> None:
    assert run(move("t", if_absent=False, durable=True)) == [
        *READ,
        RenameSourceTo("t"),
        SyncFolder(),
        SyncSourceFolder(),
    ]


def test_an_exclusive_move_changes_both_names_in_one_step() -> None:
    assert run(move("t", if_absent=True, durable=True)) == [
        *READ,
        LinkSourceAs("t"),
        SyncFolder(),
        SyncSourceFolder(),
    ]


def test_a_move_to_another_filesystem_copies_publishes_and_only_then_removes() -> None:
    steps = run(move("t", if_absent=False, durable=True), renames=False)

    assert steps.index(RenameTo("t")) < steps.index(SyncFolder()) < steps.index(RemoveSource())
    assert steps[-1] == SyncSourceFolder()


def test_a_move_without_durable_syncs_nothing() -> None:
    assert run(move("t", if_absent=False, durable=False)) == [*READ, RenameSourceTo("t")]


@pytest.mark.parametrize("at", [Stage(), CopyChunk(), SyncFile(), RenameTo("t"), SyncFolder()])
def test_a_copying_move_that_fails_never_removes_the_old_name(at: Step) -> None:
    assert RemoveSource() not in run(move("t", if_absent=False, durable=True), {at: EIO}, renames=False)


@pytest.mark.parametrize("at", [SyncFolder(), SyncSourceFolder()])
def test_a_move_whose_names_could_not_be_synced_is_in_doubt(at: Step) -> None:
    with pytest.raises(PublicationInDoubtError):
        drive(move("t", if_absent=False, durable=True), Recorder({at: EIO}).perform)


BATCH = [("a", False), ("b", True), ("c", False)]
RENAMES: list[Step] = [OfMember(0, RenameTo("a")), OfMember(1, LinkAs("b")), OfMember(2, RenameTo("c"))]
REMOVALS: list[Step] = [OfMember(index, RemoveStaged()) for index in range(3)]


def test_no_name_of_a_batch_appears_before_all_its_data_is_durable() -> None:
    steps = run(publish_batch(BATCH, durable=True))

    assert steps == [SyncFiles(), *RENAMES, OfMember(1, RemoveStaged()), RemoveLocks(), SyncFolders()]


def test_a_batch_without_durable_syncs_nothing() -> None:
    assert run(publish_batch(BATCH, durable=False)) == [*RENAMES, OfMember(1, RemoveStaged()), RemoveLocks()]


@pytest.mark.parametrize("at", [SyncFiles(), *RENAMES])
def test_a_batch_that_fails_removes_everything_staged(at: Step) -> None:
    steps = run(publish_batch(BATCH, durable=True), {at: EIO})

    assert steps[steps.index(at) + 1 :] == [*REMOVALS, RemoveLocks()]


def failing_batch(at: Step) -> FileOperationError:
    with pytest.raises(FileOperationError) as failed:
        drive(publish_batch(BATCH, durable=True), Recorder({at: FileOperationError("eio")}).perform)
    return failed.value


def test_a_batch_that_fails_midway_says_what_is_visible() -> None:
    assert failing_batch(RENAMES[2]).__notes__ == ["2 of 3 files of the batch are visible already: a, b"]


def test_a_batch_that_fails_before_the_first_name_has_nothing_to_say() -> None:
    assert not hasattr(failing_batch(RENAMES[0]), "__notes__")


def test_names_of_a_batch_that_could_not_be_synced_are_in_doubt() -> None:
    with pytest.raises(PublicationInDoubtError, match="a batch of 3"):
        drive(publish_batch(BATCH, durable=True), Recorder({SyncFolders(): EIO}).perform)


def test_a_batch_is_forgotten_member_by_member_and_the_lock_goes_last() -> None:
    assert run(discard_batch(3)) == [*REMOVALS, RemoveLocks()]


FLOWS: dict[str, Callable[[], Flow[Step, Any]]] = {
    "put": lambda: put("t", if_absent=False, durable=True),
    "put if absent": lambda: put("t", if_absent=True, durable=True),
    "move": lambda: move("t", if_absent=False, durable=True),
    "move if absent": lambda: move("t", if_absent=True, durable=True),
    "batch": lambda: publish_batch(BATCH, durable=True),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_name_is_never_taken_before_the_data_is_synced(name: str) -> None:
    steps = run(FLOWS[name](), renames=False)
    named = [i for i, step in enumerate(steps) if isinstance(getattr(step, "step", step), RenameTo | LinkAs)]
    synced = [i for i, step in enumerate(steps) if isinstance(step, SyncFile | SyncFiles)]

    assert named
    assert max(synced) < min(named)
