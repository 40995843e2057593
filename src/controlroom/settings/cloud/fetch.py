"""From secrets to values, in either colour: out of the cache, from whoever is fetching them already, or from AWS."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Mapping

from controlroom.errors import ControlRoomError, Disposition
from controlroom.logs import get_logger
from controlroom.policy.deadlines import Deadline
from controlroom.policy.flow import drive, drive_async
from controlroom.settings.cloud.aws import Aws, limit_of, unheard
from controlroom.settings.cloud.cache import Flight, Taking, process_cache
from controlroom.settings.cloud.calls import Outcome, fetching
from controlroom.settings.cloud.policy import CloudPolicy
from controlroom.settings.cloud.references import Secret

__all__ = ["afetch", "fetch"]

_log = get_logger(__name__)


def fetch(secrets: Iterable[Secret], policy: CloudPolicy) -> dict[Secret, Outcome]:
    """Return for each of *secrets* its value, or the error that says why there is none."""
    wanted, found, cache, limit = set(secrets), dict[Secret, Outcome](), process_cache(), limit_of(policy)
    while wanted:
        with cache.taking(wanted, policy, waits_here=False) as taking:
            if taking.mine:
                outcomes = drive(fetching(taking.mine), Aws(policy).perform)
                found |= cache.settle(taking, outcomes, policy)
        theirs = {secret: _waited_for(flight, limit) for secret, flight in taking.theirs.items()}
        found |= _told(taking, theirs, limit)
        wanted -= found.keys()
    _log_the_end(found, policy)
    return found


async def afetch(secrets: Iterable[Secret], policy: CloudPolicy) -> dict[Secret, Outcome]:
    """Return for each of *secrets* its value, or the error that says why there is none; see `fetch`."""
    from controlroom.settings.cloud.aws_async import AsyncAws  # noqa: PLC0415 - twice as much as botocore alone

    wanted, found, cache, limit = set(secrets), dict[Secret, Outcome](), process_cache(), limit_of(policy)
    while wanted:
        with cache.taking(wanted, policy, waits_here=True) as taking:
            if taking.mine:
                async with AsyncAws(policy) as aws:
                    outcomes = await drive_async(fetching(taking.mine), aws.perform)
                found |= cache.settle(taking, outcomes, policy)
        theirs = {secret: await _awaited(flight, limit) for secret, flight in taking.theirs.items()}
        found |= _told(taking, theirs, limit)
        wanted -= found.keys()
    _log_the_end(found, policy)
    return found


def _waited_for(flight: Flight, limit: Deadline) -> Outcome | None:
    try:
        return flight.future.result(limit.remaining_s())
    except TimeoutError:
        return None


async def _awaited(flight: Flight, limit: Deadline) -> Outcome | None:
    try:
        async with asyncio.timeout(limit.remaining_s()):
            return await asyncio.wrap_future(flight.future)
    except TimeoutError:
        return None


def _told(taking: Taking, theirs: Mapping[Secret, Outcome | None], limit: Deadline) -> dict[Secret, Outcome]:
    """Return what was known and what others fetched. What they abandoned is left out, while there is time to ask."""
    told = dict(taking.known)
    for secret, outcome in theirs.items():
        if outcome is not None:
            told[secret] = _own(outcome)
        elif limit.is_over:
            told[secret] = unheard(str(secret))
    return told


def _own(outcome: Outcome) -> Outcome:
    """Return a copy of an error: raised in two threads, one object would tell the story of both."""
    if not isinstance(outcome, ControlRoomError):
        return outcome
    own = copy.copy(outcome)
    own.__cause__ = outcome.__cause__
    return own


def _log_the_end(found: Mapping[Secret, Outcome], policy: CloudPolicy) -> None:
    """Say which limit ended a series of tries; what was never to be repeated is a line in the report."""
    for error in found.values():
        if isinstance(error, ControlRoomError) and error.disposition is Disposition.RETRY and error.attempts:
            last = error.attempts[-1]
            rule = "attempts" if last.number >= policy.attempts else "deadline"
            _log.failure(
                "gave_up",
                error,
                what="cloud references",
                attempt=last.number,
                attempts=policy.attempts,
                reason=last.reason,
                rule=rule,
            )
