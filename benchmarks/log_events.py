"""Our log against the standard library's and its peers: an event, a failure, a dropped DEBUG, somebody else's record.

Ours masks: a dozen secrets are registered, as in a job that has read its settings; the others mask nothing. Each bar is a
ratio of processor time to the standard library's text log, measured in the same run. Give ``--without-orjson`` to measure
an installation without the extra "speed".
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

if "--without-orjson" in sys.argv:
    sys.modules["orjson"] = None  # type: ignore[assignment]  # the documented way to make an import fail

from _log_peers import BOUND, ENDPOINT, TEXT, Peer, Row, failed, peers, rows, with_facts
from _side_by_side import compare

from controlroom import get_logger, register_secret, setup_logging
from controlroom.logs import bound

ROUNDS = 9
EVENTS = 4_000
FAILURES = 150
SECRETS = (
    *["hunter2-prod", "Tr0ub4dor&3", "correct horse battery staple", "p@ss/w0rd+1", "sk_live_51HxyzABCDEF0123456789"],
    *["AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "xoxb-123456789012-abcdefghijkl"],
    *["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N"],
    *["postgresql-9f86d081", "0c4bd3e2-7b1f-4f6c-9c8e-5a2f6d1e8b77"],
)


def ours(folder: Path) -> Peer:
    """Set our logging up with the file alone: only files are compared."""
    stderr = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    setup_logging(level="INFO", format="json", file=folder / "ours.jsonl")
    logging.getLogger().handlers[0].setLevel(logging.CRITICAL + 1)
    os.dup2(stderr, 2)
    for secret in SECRETS:
        register_secret(secret)
    log = get_logger("ours")
    peer = with_facts(log)
    return Peer(
        peer.kv, peer.dropped, lambda error: log.failure("ingest_failed", error), logging.getLogger("a.package")
    )


def repeated(work: Callable[[Row], object], count: int) -> Callable[[], None]:
    """Return what logs *count* events more: in no round do the values of an earlier one come again."""
    all_rows = rows(count * (ROUNDS + 1))
    begins = itertools.count(0, count)

    def run() -> None:
        begin = next(begins)
        for row in all_rows[begin : begin + count]:
            work(row)

    return run


def failures(work: Callable[[Exception], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(FAILURES):
            work(failed())

    return run


def foreign(logger: logging.Logger) -> Callable[[Row], None]:
    """The line that urllib3 logs for each request."""

    def log(row: Row) -> None:
        page, _, key = row
        logger.info(
            '%s://%s:%s "%s %s %s" %s %s', "https", "lake.example.com", 443, "GET", key[4:], "HTTP/1.1", 200, page
        )

    return log


def foreign_facts(logger: logging.Logger) -> Callable[[Row], None]:
    """The same eight facts as text."""
    run_id, file, walk = BOUND.values()

    def log(row: Row) -> None:
        page, elapsed_s, key = row
        logger.info(TEXT, run_id, file, walk, ENDPOINT, page, 200, elapsed_s, key)

    return log


def main() -> None:
    with TemporaryDirectory() as name, bound(**BOUND):
        folder = Path(name)
        all_peers = dict(peers(folder))
        all_peers["controlroom, with redaction"] = ours(folder)
        strangers = {name: peer.foreign for name, peer in all_peers.items() if peer.foreign is not None}
        compare(
            f"{EVENTS:,} events with 8 facts to a file (bar: 0.85)",
            {name: repeated(peer.kv, EVENTS) for name, peer in all_peers.items()},
            rounds=ROUNDS,
        )
        for what, line in (("urllib3's line", foreign), ("8 facts as text", foreign_facts)):
            compare(
                f"{EVENTS:,} records of another package, {what}, to a file (bar: 1.5)",
                {name: repeated(line(logger), EVENTS) for name, logger in strangers.items()},
                rounds=ROUNDS,
            )
        compare(
            f"{FAILURES} exceptions, chained, through 10 frames, to a file (bar: 0.45)",
            {name: failures(peer.failure) for name, peer in all_peers.items()},
        )
        compare(
            f"{EVENTS * 10:,} dropped DEBUG events (bar: 1.0)",
            {name: repeated(peer.dropped, EVENTS * 10) for name, peer in all_peers.items()},
            rounds=ROUNDS,
        )


if __name__ == "__main__":
    main()
