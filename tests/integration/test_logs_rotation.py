"""Many processes, one file: every line arrives, whole, once."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from controlroom.logs.rotation import parts_of

PROCESSES = 4

WRITER = """
    import json, os, sys
    from controlroom.logs import get_logger, setup_logging
    file, worker, lines, arguments = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
    report = setup_logging(file=file, keep=1000, **arguments)
    log = get_logger("job")
    progress = os.open(f"{file}-progress-{worker}", os.O_WRONLY | os.O_CREAT, 0o600)
    for number in range(lines):
        log.info("tried", worker=worker, number=number, filling="x" * (number % 97))
        if len(sys.argv) > 5:
            os.pwrite(progress, b"%10d" % (number + 1), 0)
    report.undo()
    sys.exit(report.dropped)
"""


def started(file: Path, lines: list[int], arguments: dict[str, Any], *more: str) -> list[subprocess.Popen[bytes]]:
    """Start a writer for each of *lines*, which says how many it writes."""
    code = textwrap.dedent(WRITER)
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, str(file), str(worker), str(count), json.dumps(arguments), *more],
            stderr=subprocess.DEVNULL,
        )
        for worker, count in enumerate(lines)
    ]


def everything(file: Path) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for part in parts_of(file):
        content = gzip.decompress(part.read_bytes()) if part.suffix == ".gz" else part.read_bytes()
        lines = (json.loads(line) for line in content.splitlines())
        found.update((line["worker"], line["number"]) for line in lines)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "arguments"),
    [
        (20_000, {}),
        (5_000, {"max_bytes": 100_000}),
        (20_000, {"max_bytes": 400_000, "compress": True}),
        (5_000, {"max_age_s": 0.2, "compress": True}),
    ],
    ids=["one file", "by size", "by size, packed", "by age, packed"],
)
def test_no_line_is_lost_torn_or_doubled(tmp_path: Path, lines: int, arguments: dict[str, Any]) -> None:
    file = tmp_path / "run.jsonl"
    workers = started(file, [lines] * PROCESSES, arguments)

    assert [worker.wait(timeout=300) for worker in workers] == [0] * PROCESSES
    assert everything(file) == {(worker, number): 1 for worker in range(PROCESSES) for number in range(lines)}
    parts = parts_of(file)
    assert (len(parts) > 1) == bool(arguments)
    assert all(part.stat().st_size <= arguments.get("max_bytes", 10**9) for part in parts)
    if arguments.get("compress"):
        assert {part.suffix for part in parts[:-1]} == {".gz"}


@pytest.mark.slow
def test_a_writer_that_is_killed_in_the_middle_costs_no_line_that_was_written(tmp_path: Path) -> None:
    """Killed wherever it happens to be: in a line, in a rotation, while it packs."""
    file, without_end = tmp_path / "run.jsonl", 10**9  # whoever is to be killed must not be done before
    lines = [without_end, without_end, 1_500, 1_500]
    workers = started(file, lines, {"max_bytes": 20_000, "compress": True}, "with progress")
    progress = [Path(f"{file}-progress-{worker}") for worker in range(PROCESSES)]
    for victim in (0, 1):
        while not progress[victim].exists() or int(progress[victim].read_bytes() or 0) < 300 * (victim + 1):
            assert workers[victim].poll() is None
        workers[victim].send_signal(signal.SIGKILL)
    codes = [worker.wait(timeout=300) for worker in workers]

    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0, 0]
    found = everything(file)
    assert set(found.values()) == {1}
    for worker in range(PROCESSES):
        numbers = sorted(number for owner, number in found if owner == worker)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) - int(progress[worker].read_bytes()) in (0, 1)


def test_only_as_many_files_stay_as_were_asked_for(tmp_path: Path) -> None:
    code = """
        import sys
        from controlroom.logs import get_logger, setup_logging
        setup_logging(file=sys.argv[1], max_bytes=1_000, keep=3, compress=len(sys.argv) > 2)
        for number in range(100):
            get_logger("job").info("tried", number=number)
    """
    for more, ending in (((), ""), (("packed",), ".gz")):
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "run.jsonl"), *more],
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )

        names = sorted(part.name for part in tmp_path.iterdir())
        rotated = [f"run.jsonl.{number}{ending}" for number in (1, 2, 3)]
        assert names == ["run.jsonl", *rotated, "run.jsonl.lock"]
        assert json.loads((tmp_path / "run.jsonl").read_text().splitlines()[-1])["number"] == 99


def test_a_process_that_is_stopped_outside_of_a_line_holds_nobody_up(tmp_path: Path) -> None:
    """Stopped inside of one (SIGSTOP between two system calls) it would: that is not promised."""
    code = """
        import os, signal, sys
        from controlroom.logs import get_logger, setup_logging
        setup_logging(file=sys.argv[1], max_bytes=5_000, keep=1_000)
        get_logger("job").info("tried", worker=0, number=0)
        os.kill(os.getpid(), signal.SIGSTOP)
        get_logger("job").info("tried", worker=0, number=1)
    """
    file = tmp_path / "run.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(file)], stderr=subprocess.DEVNULL
    ) as stopped:
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
        workers = started(file, [100] * PROCESSES, {"max_bytes": 5_000})
        codes = [worker.wait(timeout=300) for worker in workers]
        stopped.send_signal(signal.SIGCONT)
        assert stopped.wait(timeout=60) == 0

    assert codes == [0] * PROCESSES
    assert everything(file) == Counter([*((w, n) for w in range(PROCESSES) for n in range(100)), (0, 0), (0, 1)])
