"""Who holds a claim, and whether anybody is still behind it.

A lease tells a dead worker from a live one by waiting. Where the worker ran on this machine, the machine can tell at
once: a process is known by its number and the moment it started, inside its PID namespace, since the kernel booted
(proc(5): ``/proc/pid/stat`` field 22, ``/proc/self/ns/pid``, ``/proc/sys/kernel/random/boot_id``). Elsewhere, and
without ``/proc``, the lease alone decides.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["Holder", "is_gone"]

_PROC = Path("/proc")
_START_TIME = 19  # field 22 of stat, counted from the third: the second, the name, may itself hold spaces and brackets

# Claims of this very process that nobody will settle any more: their delivery broke off, or was never entered.
_abandoned: set[str] = set()


class Holder:
    """Whoever holds one claim in this process. While it lives, so does the claim.

    Attributes:
        owner: A name, different for each claim: ``place/pid/start/token``.
    """

    __slots__ = ("__weakref__", "_is_settled", "owner")

    def __init__(self) -> None:
        pid = os.getpid()
        self.owner: str = "/".join((_place(), str(pid), _started(pid) or "?", secrets.token_hex(8)))
        self._is_settled = False

    def settle(self) -> None:
        """Note that the claim has ended as it should."""
        self._is_settled = True

    def abandon(self) -> None:
        """Note that nobody will settle the claim any more: the next one who finds it need not wait for its lease."""
        if not self._is_settled:
            _abandoned.add(self.owner)

    def __del__(self) -> None:
        """Take a delivery that was never entered, or whose work broke off without a trace, for abandoned."""
        self.abandon()


def is_gone(owner: str | None) -> bool:
    """Tell whether the holder of a claim is known to be gone; False where it cannot be known here."""
    place, _, process = (owner or "").partition("/")
    pid, _, rest = process.partition("/")
    started, _, _ = rest.partition("/")
    if not place or place != _place() or not pid.isdecimal():
        return False
    if owner in _abandoned:
        return True
    return started != "?" and _started(int(pid)) != started


def _place() -> str:
    """Return what all processes that see each other's numbers share; empty where there is no such thing."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return f"process-{os.getpid()}"
    return f"{boot}:{namespace}"


def _started(pid: int) -> str | None:
    """Return when process *pid* started, in clock ticks since boot; None where there is no such process."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[_START_TIME]  # a zombie has ended; only its parent has not heard
