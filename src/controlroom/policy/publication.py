"""How whole content takes a name: which step follows which, and what is undone. No I/O, no clock.

The new content is staged beside the target, out of every reader's sight, and takes the target's name in one step:

* Data before name: the file is synced before it is renamed, so that a crash never shows an empty file under the name.
* The name itself is durable only once its folder is synced (fsync(2): "Calling fsync() does not necessarily ensure that
  the entry in the directory containing the file has also reached disk").
* A sync that failed is not repeated: Linux has marked the pages clean, the next one would lie (fsyncgate, 2018).
* Create-exclusive is link(2), which fails where the name is taken; a look before a rename would be a race.

The steps name what is to be done, not how. The drivers on the floors above perform them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlroom.errors import PublicationInDoubtError
from controlroom.policy.durability import Durability, syncs_data, syncs_names
from controlroom.policy.flow import Flow, StepFailed

__all__ = [
    "CopyChunk",
    "FileStep",
    "LinkAs",
    "LinkSourceAs",
    "OfMember",
    "ReadChunk",
    "RemoveLocks",
    "RemoveSource",
    "RemoveStaged",
    "RenameSourceTo",
    "RenameTo",
    "Seal",
    "Stage",
    "Step",
    "SyncFile",
    "SyncFiles",
    "SyncFolder",
    "SyncFolders",
    "SyncSourceFolder",
    "add_to_batch",
    "discard",
    "discard_batch",
    "fill",
    "move",
    "publish",
    "publish_batch",
    "put",
    "stage",
]


@dataclass(frozen=True, slots=True)
class Stage:
    """Make room for the new content beside the target, out of every reader's sight."""


@dataclass(frozen=True, slots=True)
class CopyChunk:
    """Append the next chunk of the source to the staged file. Answers its length in bytes, 0 at the end."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Give the staged file its last buffered byte, its mode, owner and attributes: nothing changes it afterwards."""


@dataclass(frozen=True, slots=True)
class SyncFile:
    """Make the staged data durable."""


@dataclass(frozen=True, slots=True)
class SyncFiles:
    """Make the data of every staged file of a batch durable, in one go."""


@dataclass(frozen=True, slots=True)
class RenameTo:
    """Give the staged file the name *target*, replacing what has it. Answers the etag.

    With *if_match*, only while the present object still has that etag: comparing and renaming are one step, since
    nothing may come between them.
    """

    target: str
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class LinkAs:
    """Give the staged file the name *target* as well, failing where it is taken. Answers the etag."""

    target: str


@dataclass(frozen=True, slots=True)
class RemoveStaged:
    """Remove the staged name. Performing it again, or after it was renamed, does nothing."""


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """Make the names in the target's folder durable."""


@dataclass(frozen=True, slots=True)
class SyncFolders:
    """Make the names in every folder of a batch durable."""


@dataclass(frozen=True, slots=True)
class RemoveLocks:
    """Remove what told sweepers that the writer of a batch lives."""


@dataclass(frozen=True, slots=True)
class ReadChunk:
    """Read and hash the next chunk of what will be moved. Answers its length in bytes, 0 at the end."""


@dataclass(frozen=True, slots=True)
class RenameSourceTo:
    """Rename what was read to *target*, if it is unchanged. Answers the etag; None where it takes a copy to get there."""

    target: str


@dataclass(frozen=True, slots=True)
class LinkSourceAs:
    """As `RenameSourceTo`, but fails where the name is taken.

    By a second link, and then the removal of the first: one step, or two who move one object would both get it.
    """

    target: str


@dataclass(frozen=True, slots=True)
class RemoveSource:
    """Remove the old name of what was copied, if that is still what was read."""


@dataclass(frozen=True, slots=True)
class SyncSourceFolder:
    """Make the names in the folder of what was moved durable."""


FileStep = (
    Stage
    | CopyChunk
    | Seal
    | SyncFile
    | SyncFiles
    | RenameTo
    | LinkAs
    | RemoveStaged
    | SyncFolder
    | SyncFolders
    | RemoveLocks
    | ReadChunk
    | RenameSourceTo
    | LinkSourceAs
    | RemoveSource
    | SyncSourceFolder
)


@dataclass(frozen=True, slots=True)
class OfMember:
    """*step*, of the member number *index* of a batch."""

    index: int
    step: FileStep


Step = FileStep | OfMember


def stage() -> Flow[Step, None]:
    """Stage an empty file; if that fails, leave nothing."""
    try:
        yield Stage()
    except StepFailed as failed:
        yield from _undo(failed, RemoveStaged())
        raise


def discard() -> Flow[Step, None]:
    """Forget what was staged."""
    yield RemoveStaged()


def fill() -> Flow[Step, None]:
    """Stage the source, chunk by chunk."""
    yield from stage()
    try:
        while (yield CopyChunk()):
            pass
    except StepFailed as failed:
        yield from _undo(failed, RemoveStaged())
        raise


def add_to_batch() -> Flow[Step, None]:
    """Stage the source as one member of a batch, with its last byte and attributes; nothing changes it afterwards."""
    yield from fill()
    try:
        yield Seal()
    except StepFailed as failed:
        yield from _undo(failed, RemoveStaged())
        raise


def publish(
    target: str, *, if_absent: bool, durable: bool | Durability, if_match: str | None = None
) -> Flow[Step, str]:
    """Make what was staged visible as *target*, whole, and return its etag.

    Raises:
        PublicationInDoubtError: It is visible, but its name may not survive a power cut. Whatever fails earlier leaves
            the target as it was, and nothing else.
    """
    try:
        yield Seal()
        if syncs_data(durable):
            yield SyncFile()
        etag: str = yield LinkAs(target) if if_absent else RenameTo(target, if_match)
    except StepFailed as failed:
        yield from _undo(failed, RemoveStaged())
        raise
    if if_absent:
        yield from _tidy(RemoveStaged())
    if syncs_names(durable):
        yield from _sync_name(SyncFolder(), target)
    return etag


def put(target: str, *, if_absent: bool, durable: bool | Durability, if_match: str | None = None) -> Flow[Step, str]:
    """Copy the source, chunk by chunk, and publish it as *target*; see `publish`."""
    yield from fill()
    return (yield from publish(target, if_absent=if_absent, durable=durable, if_match=if_match))


def move(target: str, *, if_absent: bool, durable: bool | Durability) -> Flow[Step, str]:
    """Make what was read visible as *target* and gone from its old name, and return its etag.

    The old name goes last. A crash in between leaves both names, each with the whole content; moving again ends it.

    Raises:
        PublicationInDoubtError: It is visible under *target*, but that may not survive a power cut.
    """
    while (yield ReadChunk()):
        pass
    etag: str | None = yield LinkSourceAs(target) if if_absent else RenameSourceTo(target)
    if etag is None:
        etag = yield from put(target, if_absent=if_absent, durable=durable)
        yield RemoveSource()
    elif syncs_names(durable):
        yield from _sync_name(SyncFolder(), target)
    if syncs_names(durable):
        yield from _sync_name(SyncSourceFolder(), target)
    return etag


def publish_batch(targets: Sequence[tuple[str, bool]], *, durable: bool | Durability) -> Flow[Step, None]:
    """Make every staged file of a batch visible, in order; *targets* are pairs of name and if_absent.

    All data is durable before the first name appears, and every name before the flow ends.

    Raises:
        PublicationInDoubtError: All are visible, but their names may not survive a power cut. Where anything fails
            earlier, a note of the error says which names are visible already.
    """
    published = 0
    try:
        if syncs_data(durable):
            yield SyncFiles()
        for index, (target, if_absent) in enumerate(targets):
            yield OfMember(index, LinkAs(target) if if_absent else RenameTo(target))
            published += 1
    except StepFailed as failed:
        if published:
            names = ", ".join(target for target, _ in targets[:published])
            failed.error.add_note(f"{published} of {len(targets)} files of the batch are visible already: {names}")
        yield from _undo_batch(failed, len(targets))
        raise
    for index, (_, if_absent) in enumerate(targets):
        if if_absent:
            yield from _tidy(OfMember(index, RemoveStaged()))
    yield from _tidy(RemoveLocks())
    if syncs_names(durable):
        yield from _sync_name(SyncFolders(), f"a batch of {len(targets)}")


def discard_batch(count: int) -> Flow[Step, None]:
    """Forget the *count* members of a batch."""
    for index in range(count):
        yield OfMember(index, RemoveStaged())
    yield RemoveLocks()


def _undo_batch(failed: StepFailed, count: int) -> Flow[Step, None]:
    for index in range(count):
        yield from _undo(failed, OfMember(index, RemoveStaged()))
    yield from _undo(failed, RemoveLocks())


def _undo(failed: StepFailed, step: Step) -> Flow[Step, None]:
    """Undo as far as possible: what made it necessary is what goes up, unless the undoing was interrupted."""
    try:
        yield step
    except StepFailed as undo:
        if not isinstance(undo.error, Exception):
            raise
        failed.error.add_note(f"The staged file could not be removed ({undo.error}); the next writer there sweeps it.")


def _tidy(step: Step) -> Flow[Step, None]:
    """Remove the second name of what is published already: the next writer sweeps what this leaves."""
    try:
        yield step
    except StepFailed as failed:
        if not isinstance(failed.error, Exception):
            raise


def _sync_name(step: Step, target: str) -> Flow[Step, None]:
    try:
        yield step
    except StepFailed as failed:
        if not isinstance(failed.error, Exception):
            raise
        message = (
            f"{target}: the new content is visible and whole, but its folder could not be synced: a power cut may bring"
            " the old state back. Nothing is left to clean up. Check the disk; then read the target before writing again."
        )
        raise PublicationInDoubtError(message, ref=target) from failed.error
