"""Whether somebody is still writing a file: the kernel is asked, where it knows; elsewhere a time of quiet must do.

A read lease is refused "if the file is open for writing" by anybody (fcntl(2), *Leases*), so that taking one, and giving it
back at once, is the question. Watching the size instead would take a slow writer's pause for its end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Final

from controlroom import clock
from controlroom.errors import ConfigError
from controlroom.policy.quantities import is_finite
from controlroom.storage.descriptors import let_go
from controlroom.storage.publisher import etag_of

__all__ = ["check_quiet", "is_settled", "published"]

_REMEMBERED: Final = 4096
_published: OrderedDict[str, None] = (
    OrderedDict()
)  # etags of what stores of this process made last: whole from the first
_BREAKS_UNHEARD: Final = getattr(signal, "SIGURG", 0)  # ignored by default (signal(7))


def check_quiet(quiet_s: float) -> float:
    """Return *quiet_s* if it is a time.

    Raises:
        ConfigError: It is negative, or no number.
    """
    if not is_finite(quiet_s) or quiet_s < 0:
        message = f"quiet_s={quiet_s!r} is not possible: give seconds, zero or more."
        raise ConfigError(message)
    return quiet_s


def published(etag: str) -> None:
    """Remember that what has *etag* was published whole: nobody needs to wait for it to become quiet."""
    _published[etag] = None
    if len(_published) > _REMEMBERED:
        with suppress(KeyError):  # another thread was faster
            _published.popitem(last=False)


def is_settled(path: Path, quiet_s: float) -> bool:
    """Tell whether nobody has *path* open for writing.

    Args:
        path: A file, its symbolic links followed.
        quiet_s: Where the kernel has no answer: for how long it must have stayed unchanged.

    Raises:
        OSError: It cannot be opened.
    """
    # O_NONBLOCK: a FIFO would be waited for, and a file under somebody else's write lease too.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return True  # whoever opens it is told what it is
        asked = _has_no_writer(fd)
        if asked is None:
            return etag_of(found) in _published or _is_quiet(found, quiet_s)
        return asked
    finally:
        let_go(fd)


def _has_no_writer(fd: int) -> bool | None:
    """Ask the kernel; None where it has no leases, on this filesystem or for this user."""
    set_lease = getattr(fcntl, "F_SETLEASE", None)
    if set_lease is None:
        return None
    try:
        # Who opens the file for writing before the lease is given back breaks it: by SIGIO, which would end this process.
        fcntl.fcntl(fd, fcntl.F_SETSIG, _BREAKS_UNHEARD)
        fcntl.fcntl(fd, set_lease, fcntl.F_RDLCK)
    except OSError as error:
        # EACCES is also what a user gets who neither owns the file nor may lease (CAP_LEASE).
        return False if error.errno == errno.EAGAIN else None
    fcntl.fcntl(fd, set_lease, fcntl.F_UNLCK)
    return True


def _is_quiet(found: os.stat_result, quiet_s: float) -> bool:
    """Tell whether the last change was long enough ago. One that lies far ahead is of another clock and tells nothing."""
    changed_s = max(found.st_mtime, found.st_ctime)
    return abs(clock.utcnow().timestamp() - changed_s) >= quiet_s
