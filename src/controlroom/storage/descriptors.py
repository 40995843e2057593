"""Letting go of descriptors, once nothing hangs on them any more."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["flush", "let_go"]


def let_go(fd: int) -> None:
    """Close *fd*, through which nothing was written that has not been synced or flushed.

    A close that fails has closed it all the same (close(2)), and what it complains of has been asked for before: after a
    publication there is nobody to tell that nothing came of it.
    """
    with suppress(OSError):
        os.close(fd)


def flush(fd: int) -> None:
    """Ask what close(2) of *fd* would complain of: on NFS, and under quotas, a write may fail only then.

    Raises:
        OSError: What was written is not there.
    """
    os.close(os.dup(fd))  # every close flushes, not only the last one of what is open
