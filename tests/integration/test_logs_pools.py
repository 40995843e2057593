"""Workers of a pool log into one file, and what they left out is told before they end."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

CODE = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    from controlroom.logs import get_logger, setup_logging

    log = get_logger("job")

    def set_up():
        return setup_logging(file=sys.argv[1], max_bytes=2_000, keep=100, compress=True, summarise_after=5)

    def work(number):
        for _ in range(10):
            log.info("tried", number=number)

    if __name__ == "__main__":
        method = sys.argv[2]
        report = set_up()
        log.info("began")
        arguments = {} if method == "fork" else {"initializer": set_up}
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method), **arguments) as pool:
            list(pool.map(work, range(12)))
        report.undo()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_counts_of_workers_are_told_before_they_end(tmp_path: Path, method: str) -> None:
    (tmp_path / "pool.py").write_text(textwrap.dedent(CODE))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "pool.py"), str(tmp_path / "run.jsonl"), method],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    on_stderr = [json.loads(line) for line in done.stderr.splitlines()]
    accounted: Counter[str] = Counter()
    for line in on_stderr:
        told = line["event"] == "events_suppressed"
        accounted[line["event_name"] if told else line["event"]] += line["count"] if told else 1

    assert accounted == {"began": 1, "tried": 120}
