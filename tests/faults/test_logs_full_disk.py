"""A disk that is full costs lines, never the job; they are counted, told, and the next ones come whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# RLIMIT_FSIZE: a write beyond it comes short, and the next one is refused (setrlimit(2); Python ignores SIGXFSZ).
LIMITED = """
    import json, resource, sys
    from controlroom.logs import get_logger, setup_logging
    report = setup_logging(file=sys.argv[1], **json.loads(sys.argv[2]))
    log = get_logger("job")
    log.info("tried", number=0)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, unlimited[1]))
    for number in range(1, 50):
        log.info("tried", number=number)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    for number in range(50, 60):
        log.info("tried", number=number)
    report.undo()
    print(report.dropped)
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def whole_and_torn(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    whole, torn = [], []
    for line in text.splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn.append(line)
    return whole, torn


@pytest.mark.parametrize("arguments", [{}, {"max_bytes": 100_000}, {"max_age_s": 3_600, "compress": True}])
def test_lines_go_on_whole_when_there_is_room_again(tmp_path: Path, arguments: dict[str, Any]) -> None:
    file = tmp_path / "run.jsonl"
    done = run(LIMITED, str(file), json.dumps(arguments))
    whole, torn = whole_and_torn(file.read_text())
    numbers = [line["number"] for line in whole if line["event"] == "tried"]
    kept, lost = numbers.index(50), int(done.stdout)

    assert numbers == [*range(kept), *range(50, 60)]
    assert lost == 50 - kept > 30
    assert len(torn) <= 1
    assert (whole[-1]["event"], whole[-1]["count"], whole[-1]["sinks"]) == ("log_lines_lost", lost, {"file": lost})
    on_stderr = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert on_stderr == ["tried"] * 60 + ["log_lines_lost"]


def test_a_process_that_ends_without_undo_tells_its_losses_too() -> None:
    done = run("""
        from controlroom.logs import get_logger, setup_logging
        setup_logging(file="/dev/full", summarise_after=1)
        for _ in range(5):
            get_logger("job").info("tried")
    """)
    events = [json.loads(line) for line in done.stderr.splitlines()]

    assert [line["event"] for line in events] == ["tried", "events_suppressed", "log_lines_lost"]
    assert (events[1]["count"], events[2]["count"]) == (4, 2)


def test_a_closed_stderr_and_a_full_disk_at_once_do_not_end_the_job() -> None:
    done = run("""
        import os
        from controlroom.logs import get_logger, setup_logging
        report = setup_logging(file="/dev/full", max_bytes=None, summarise_after=3, debug_buffer=10)
        os.close(2)
        for number in range(10):
            get_logger("job").debug("looked")
            get_logger("job").error("tried", number=number)
        report.undo()
        print(report.dropped >= 20)
    """)

    assert done.stdout == "True\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here; RLIMIT_FSIZE stands in for it in the tests above")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("arguments", [{}, {"max_bytes": 20_000, "compress": True}])
def test_on_a_full_file_system_processes_go_on_and_no_line_of_theirs_is_glued_to_anothers(
    small_disk: Path, arguments: dict[str, Any]
) -> None:
    code = """
        import json, sys
        from controlroom.logs import get_logger, setup_logging
        report = setup_logging(file=sys.argv[1], **json.loads(sys.argv[2]))
        for number in range(2_000):
            get_logger("job").info("tried", number=number, worker=sys.argv[3], filling="x" * (number % 97))
        print(report.dropped)
    """
    file = small_disk / "run.jsonl"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 30_000)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(file), json.dumps(arguments), worker],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for worker in "ab"
    ]
    dropped = [int(worker.communicate(timeout=120)[0]) for worker in workers]
    ballast.unlink()
    run(code.replace("2_000", "3"), str(file), json.dumps(arguments), "c")

    assert all(lost > 0 for lost in dropped)
    whole, torn = whole_and_torn(file.read_text())
    assert [line["number"] for line in whole if line.get("worker") == "c"] == [0, 1, 2]
    assert [line for line in torn if line.count('"timestamp"') > 1] == []
