"""Many processes, one file: every line arrives, whole, once."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

LINES = 5_000
PROCESSES = 4

WRITER = """
    import sys
    from controlroom.logs import get_logger, setup_logging
    file, worker, lines, max_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) or None
    report = setup_logging(file=file, max_bytes=max_bytes, keep=200)
    log = get_logger("job")
    for number in range(lines):
        log.info("tried", worker=worker, number=number, filling="x" * (number % 97))
    report.undo()
    sys.exit(report.dropped)
"""


def write_at_once(file: Path, max_bytes: int) -> None:
    arguments = [str(file), *("{worker}", str(LINES), str(max_bytes))]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), *(part.format(worker=worker) for part in arguments)],
            stderr=subprocess.DEVNULL,
        )
        for worker in range(PROCESSES)
    ]
    assert [worker.wait(timeout=300) for worker in workers] == [0] * PROCESSES


def everything(file: Path) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for part in file.parent.glob(f"{file.name}*"):
        if not part.name.endswith(".lock"):
            lines = (json.loads(line) for line in part.read_text().splitlines())
            found.update((line["worker"], line["number"]) for line in lines)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("max_bytes", [0, 100_000])
def test_no_line_is_lost_torn_or_doubled(tmp_path: Path, max_bytes: int) -> None:
    file = tmp_path / "run.jsonl"
    write_at_once(file, max_bytes)

    assert everything(file) == {(worker, number): 1 for worker in range(PROCESSES) for number in range(LINES)}
    parts = [part for part in tmp_path.iterdir() if not part.name.endswith(".lock")]
    assert (len(parts) > 10) == bool(max_bytes)
    assert all(part.stat().st_size <= (max_bytes or 10**9) for part in parts)


def test_only_as_many_files_stay_as_were_asked_for(tmp_path: Path) -> None:
    code = """
        import sys
        from controlroom.logs import get_logger, setup_logging
        setup_logging(file=sys.argv[1], max_bytes=1_000, keep=3)
        for number in range(100):
            get_logger("job").info("tried", number=number)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "run.jsonl")],
        stderr=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )

    names = sorted(part.name for part in tmp_path.iterdir())
    assert names == ["run.jsonl", "run.jsonl.1", "run.jsonl.2", "run.jsonl.3", "run.jsonl.lock"]
    assert json.loads((tmp_path / "run.jsonl").read_text().splitlines()[-1])["number"] == 99
