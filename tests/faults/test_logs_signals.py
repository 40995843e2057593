"""A signal handler that logs, wherever the line it interrupts happens to be."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from controlroom.logs.rotation import parts_of

CODE = """
    import itertools, json, signal, sys
    from controlroom.logs import get_logger, setup_logging
    report = setup_logging(file=sys.argv[1], **json.loads(sys.argv[2]))
    log, numbers, handled = get_logger("job"), itertools.count(), []

    def handler(*_):
        log.info("interrupted", number=next(numbers))
        handled.append(1)

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    number = 0
    while number < 1_500 or (len(handled) < 100 and number < 100_000):
        log.debug("looked", number=number)
        log.info("tried", number=number)
        number += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    report.undo()
    print(json.dumps([number, len(handled), report.dropped]))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"max_bytes": 5_000, "keep": 2_000, "compress": True},
        {"max_age_s": 0.05, "keep": 2_000, "debug_buffer": 50},
        {"summarise_after": 3, "sample": {"interrupted": 3}, "debug_buffer": 50},
    ],
    ids=["one file", "by size, packed", "by age, buffered", "sampled and summed up"],
)
def test_a_handler_that_logs_neither_hangs_nor_costs_the_file_a_line(tmp_path: Path, arguments: dict[str, Any]) -> None:
    file = tmp_path / "run.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE), str(file), json.dumps(arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=True,
    )
    tried, handled, dropped = json.loads(done.stdout)
    accounted: Counter[str] = Counter()
    numbers: Counter[tuple[str, int]] = Counter()
    for part in parts_of(file):
        content = gzip.decompress(part.read_bytes()) if part.suffix == ".gz" else part.read_bytes()
        for line in map(json.loads, content.splitlines()):
            if line["event"] == "events_suppressed":
                accounted[line["event_name"]] += line["count"]
            elif line["event"] != "log_lines_lost":
                accounted[line["event"]] += 1
                numbers[line["event"], line["number"]] += 1

    assert handled > 0
    assert {"tried": tried, "interrupted": handled} == accounted
    assert set(numbers.values()) == {1}
    assert dropped <= handled  # on stderr only: its buffer refuses a line in the middle of another
