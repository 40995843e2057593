"""What a write waits for, by name. Pure.

Each level is a promise about a power cut after the call has returned:

* "none": nothing is waited for. The write may be taken back, or on some filesystems leave an empty file.
* "file": the data is synced before it takes its name. Whichever of the two contents is found, it is whole; but the new name
  may be taken back.
* "file_and_folder": the name is synced too. The new content is found.
* "batch": the same of many files, waited for together: what `atomic_batch` does.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from controlroom.errors import ConfigError

__all__ = ["Durability", "durability", "syncs_data", "syncs_names"]

Durability = Literal["none", "file", "file_and_folder", "batch"]
"""What a write waits for: the name of a level."""

_LEVELS: Final[tuple[Durability, ...]] = get_args(Durability)


def durability(durable: bool | Durability, *, of_many: bool = False) -> Durability:  # noqa: FBT001 - a value, not a switch
    """Return the level that *durable* names: True and False stand for the whole of it and for nothing.

    Args:
        durable: A level, or whether to wait.
        of_many: Whether many files are waited for together.

    Raises:
        ConfigError: It is no level, or "batch" for a single file.
    """
    if durable is False:
        return "none"
    whole: Durability = "batch" if of_many else "file_and_folder"
    if durable is True:
        return whole
    if durable not in _LEVELS:
        message = (
            f"durable={durable!r} is no level: give True, False or one of {', '.join(_LEVELS)}. Nothing was touched."
        )
        raise ConfigError(message)
    if durable == "batch" and not of_many:
        message = 'durable="batch" is for many files together: write them in atomic_batch(). Nothing was touched.'
        raise ConfigError(message)
    return whole if durable == "file_and_folder" else durable


def syncs_data(durable: bool | Durability) -> bool:  # noqa: FBT001 - as above
    """Tell whether the data is synced before it takes its name."""
    return durable not in {False, "none"}


def syncs_names(durable: bool | Durability) -> bool:  # noqa: FBT001 - as above
    """Tell whether names are synced too."""
    return durable not in {False, "none", "file"}
