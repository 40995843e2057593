"""From a job as a process to what an operator reads, through nothing but its log."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controlroom.explain import read
from controlroom.storage import LocalStore
from tests.integration.http_server import Answer, Asked, Server, serving

JOB = Path(__file__).with_name("explained_job.py")
EXPLAIN = [sys.executable, "-c", "import sys; from controlroom.cli import main; sys.exit(main())", "explain"]
PATIENCE_S = 120
FILES = {
    "a.csv": "one\ntwo\n",
    "b-bad.csv": "!\n",
    "c-rejects.csv": "three\n?\n?\n",
    "priced.csv": "four\n",
    "z-last.csv": "five\n",
}

pytestmark = pytest.mark.slow


def flaky(asked: Asked) -> Answer:
    """Two pages; the second one comes at the third attempt."""
    if asked.query.get("cursor") is None:
        return Answer({"data": [1, 2], "next": "b"})
    return Answer(status=503) if asked.number < 4 else Answer({"data": [3], "next": None})


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(flaky) as server:
        yield server


def ran(folder: Path, server: Server, ending: str, *options: str) -> Path:
    for name, content in FILES.items():
        LocalStore(folder / "store").publish(f"landing/{name}", content.encode())
    subprocess.run(
        [sys.executable, str(JOB), str(folder), server.url, ending, *options],
        timeout=PATIENCE_S,
        capture_output=True,
        check=False,
    )
    return folder / "run.jsonl"


def explain(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8"} | more.pop("environ", {})
    return subprocess.run(
        [*EXPLAIN, *map(str, arguments)],
        env=environ, text=True, encoding="utf-8", capture_output=True, timeout=PATIENCE_S, check=False, **more,
    )  # fmt: skip


def tree(run: Mapping[str, Any]) -> list[str]:
    """Return the tree, a line for each node, indented by depth, without what differs between two runs."""
    depth: dict[Any, int] = {None: -1}
    lines = []
    for node in run["nodes"]:
        depth[node["id"]] = depth[node["parent"]] + 1
        if node["kind"] not in {"unit", "publication", "other"}:
            lines.append(f"{'  ' * depth[node['id']]}{node['kind']} {node['title']} {node['outcome']}")
    return lines


def test_a_real_night_is_told_file_by_file_page_by_page_attempt_by_attempt(tmp_path: Path, server: Server) -> None:
    log = ran(tmp_path, server, "bug")
    told = read(log)
    (run,) = told.to_dict()["runs"]

    assert tree(run) == [
        "run ingest failed",
        "  file landing/a.csv ok",
        "  file landing/b-bad.csv quarantined",
        "    failure file_failed failed",
        "  file landing/c-rejects.csv ok",
        "    rejects 2 records rejected quarantined",
        "  file landing/priced.csv ok",
        "    walk /prices ok",
        "      page page 1 ok",
        "      page page 2 retried",
        "        retry attempt 1 of 3 failed retried",
        "        retry attempt 2 of 3 failed retried",
        "  file landing/z-last.csv released",
        "    failure run_failed failed",
    ]
    assert [run["nodes"][id_ - 1]["title"] for id_ in run["failing_path"]] == [
        "ingest",
        "landing/z-last.csv",
        "run_failed",
    ]
    assert run["who_acts"] == "a developer: nobody foresaw this error"
    assert {node["outcome"] for node in run["nodes"] if node["kind"] == "unit"} >= {"ok", "rolled_back"}
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert told.is_whole
    assert sorted(json.dumps(facts, sort_keys=True) for facts in told.events()) == sorted(
        json.dumps(facts, sort_keys=True) for facts in lines
    )


def test_the_command_says_who_must_act_before_anything_else(tmp_path: Path, server: Server) -> None:
    done = explain(ran(tmp_path, server, "bug"))
    sections = [line for line in done.stdout.splitlines() if line.startswith("  ") and line[2:3].isupper()]

    assert (done.returncode, done.stderr) == (0, "")
    assert [section.strip().split(".")[0] for section in sections if not section.startswith("  Began")][:3] == [
        "Who must act",
        "Left behind",
        "What happened",
    ]
    assert "explained_job.py:" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_a_job_that_was_killed_is_shown_where_it_stood(tmp_path: Path, server: Server) -> None:
    shown = explain(ran(tmp_path, server, "kill")).stdout

    assert "No end was logged" in " ".join(shown.split())
    assert "✗ landing/z-last.csv: left unfinished" in shown
    assert "1 file left unfinished: claimed until the lease runs out:" in " ".join(shown.split())


def test_the_files_of_a_log_that_was_rotated_and_compressed_are_one_story(tmp_path: Path, server: Server) -> None:
    ran(tmp_path, server, "clean", "max_bytes=3000", "keep=50", "compress=yes")
    files = sorted(path for path in tmp_path.iterdir() if path.name.startswith("run.jsonl") and path.stat().st_size)
    files = [path for path in files if not path.name.endswith("lock")]
    told = json.loads(explain("--json", *files).stdout)

    assert len(files) > 3
    assert any(path.read_bytes()[:2] == b"\x1f\x8b" for path in files)
    assert told["log"]["foreign_lines"] == told["log"]["truncated_lines"] == 0
    assert (told["runs"][0]["outcome"], len(told["runs"])) == ("succeeded", 1)
    assert told["runs"][0]["effects"]["files"] == {"ok": 4, "quarantined": 1}


def test_a_log_can_be_piped_in_and_its_page_written_beside_the_text(tmp_path: Path, server: Server) -> None:
    log = ran(tmp_path, server, "clean")
    page = tmp_path / "story.html"
    done = explain("-", "--html", page, input=log.read_text("utf-8"))

    assert done.returncode == 0
    assert done.stdout == explain(log).stdout
    assert "landing/b-bad.csv" in page.read_text("utf-8")


def test_a_terminal_gets_colours_and_a_pipe_does_not(tmp_path: Path, server: Server) -> None:
    log = ran(tmp_path, server, "bug")
    environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*EXPLAIN, str(log)], env=environ, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)

    assert process.wait(PATIENCE_S) == 0
    assert b"\x1b[1;31m" in shown
    assert "\x1b" not in explain(log).stdout


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is gone, as Linux says it
        return b""


def test_a_terminal_without_our_signs_is_drawn_on_with_ascii(tmp_path: Path, server: Server) -> None:
    done = explain(ran(tmp_path, server, "bug"), environ={"PYTHONIOENCODING": "ascii"})

    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "`- !! landing/z-last.csv" in done.stdout


def test_a_reader_that_leaves_early_costs_no_traceback(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl.gz"
    lines = (
        json.dumps({"event": "run_failed", "level": "ERROR", "run_id": f"r{number // 90}", "code": "x", "error": "e" * 300})
        for number in range(20_000)
    )  # fmt: skip
    log.write_bytes(gzip.compress("\n".join(lines).encode()))
    process = subprocess.Popen([*EXPLAIN, str(log), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()

    assert process.stderr.read() == b""
    assert process.wait(PATIENCE_S) == 74
    process.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["none.jsonl"], 78, "cannot be read"),
        (["-"], 65, "holds no line of a controlroom log"),
        (["run.jsonl", "--run", "nope"], 78, "Runs it tells of: r1"),
        (["run.jsonl", "--html", "nowhere/story.html"], 74, "nowhere"),
        ([], 64, "usage: controlroom"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line_with_its_exit_code(
    tmp_path: Path, arguments: list[str], exit_code: int, said: str
) -> None:
    (tmp_path / "run.jsonl").write_text('{"event": "run_started", "level": "INFO", "run_id": "r1"}\n')
    done = explain(*arguments, cwd=tmp_path, input="")

    assert done.returncode == exit_code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
