from __future__ import annotations

import csv
import hashlib
import json
from importlib import metadata
from pathlib import Path

import make_data
import pytest
from make_data import AIRPORTS, DATA, EDITS, FLIGHTS, MissingPackageError, write_all, write_extract

LANDING = DATA / "landing"
WEEK = [LANDING / f"flights-2013-01-0{day}.csv" for day in range(1, 8)]


def require(*packages: make_data.Source) -> None:
    for package in packages:
        try:
            found = metadata.version(package.name)
        except metadata.PackageNotFoundError:
            found = "none"
        if found != package.version:
            pytest.skip(f"needs {package.name} {package.version}; found {found}")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_every_committed_file_is_the_one_that_was_generated() -> None:
    lines = (DATA / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    expected = {path: digest for digest, path in (line.split("  ") for line in lines)}
    committed = [path for path in DATA.rglob("*") if path.is_file() and path.parent != DATA]
    found = {path.relative_to(DATA).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in committed}
    assert found == expected


def test_the_data_stays_under_one_megabyte() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 1_000_000


def test_the_week_holds_the_flights_that_its_source_has() -> None:
    assert [len(rows(path)) for path in WEEK] == [842, 943, 914, 915, 720, 832, 933]
    assert all(row["day"] == str(day) for day, path in enumerate(WEEK, 1) for row in rows(path))
    assert all("NA" not in row.values() for path in WEEK for row in rows(path))


def test_the_wrong_values_are_those_that_source_md_tells_of() -> None:
    told = (DATA / "SOURCE.md").read_text(encoding="utf-8")
    for edit in EDITS:
        row = rows(LANDING / f"flights-{edit.day}.csv")[edit.line - 2]
        assert row[edit.column] == edit.becomes
        shown = f"`{edit.becomes}`" if edit.becomes else "(empty)"
        assert f"| {edit.line} | `{edit.column}` | `{edit.was}` | {shown} |" in told


def test_the_resent_file_has_the_same_bytes_and_the_torn_one_lacks_its_head_and_its_end() -> None:
    assert (LANDING / "flights-2013-01-03-resent.csv").read_bytes() == WEEK[2].read_bytes()
    lines = (LANDING / "flights-2013-01-08.csv").read_text(encoding="utf-8").split("\n")
    assert lines[0].startswith("ime,sched_dep_time,")
    assert len(next(csv.reader(lines[1:]))) == 19
    assert len(lines[0].split(",")) == 16
    assert 0 < len(lines[-1].split(",")) < 19


def test_every_airport_and_airline_of_the_week_is_in_the_reference_data() -> None:
    airports = {one["iata"] for one in json.loads((DATA / "reference/airports.json").read_bytes())["data"]}
    airlines = {one["carrier"] for one in json.loads((DATA / "reference/airlines.json").read_bytes())["data"]}
    assert (len(airports), len(airlines)) == (107, 16)
    for path in WEEK:
        for row in rows(path):
            assert {row["origin"], row["dest"]} - {""} <= airports
            assert row["carrier"] in airlines


def test_making_the_data_again_gives_the_committed_bytes(tmp_path: Path) -> None:
    require(FLIGHTS, AIRPORTS)
    assert write_extract(tmp_path) == 13
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert path.read_bytes() == (DATA / path.relative_to(tmp_path)).read_bytes(), path


def test_the_whole_year_is_365_files_of_unedited_flights(tmp_path: Path) -> None:
    require(FLIGHTS)
    assert write_all(tmp_path) == 365
    files = sorted(tmp_path.iterdir())
    assert len(files) == 365
    assert sum(path.read_bytes().count(b"\n") - 1 for path in files) == 336_776
    clean = [path.name for path in WEEK if path.read_bytes() == (tmp_path / path.name).read_bytes()]
    assert clean == [path.name for path in WEEK if "01-05" not in path.name]


@pytest.mark.parametrize("arguments", [[], ["--all", "year"]])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(make_data, "FLIGHTS", make_data.Source("no-such-flights", "9.9"))
    assert make_data.main(arguments) == 1
    assert "no-such-flights is not installed." in (told := capsys.readouterr().err)
    assert "pip install no-such-flights==9.9" in told
    assert list(tmp_path.iterdir()) == []


def test_another_version_is_refused_not_mixed_in() -> None:
    with pytest.raises(MissingPackageError, match=r"pytest .* is installed, not 0\.1"):
        make_data.Source("pytest", "0.1").file("pytest/__init__.py")
