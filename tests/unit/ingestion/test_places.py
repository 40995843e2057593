"""Where files go, and prefixes with which one would be found again."""

from __future__ import annotations

import pytest

from controlroom.errors import ConfigError
from controlroom.ingestion.places import Places

PLACES = Places("landing/", "archive/", "quarantine/")


def test_a_file_keeps_its_folders_below_landing():
    assert PLACES.archived("landing/2013/a.csv") == "archive/2013/a.csv"
    assert PLACES.quarantined("landing/a.csv") == "quarantine/a.csv"
    assert PLACES.reason("landing/a.csv") == "quarantine/a.csv.reason.json"
    assert PLACES.rejects("landing/a.csv") == "quarantine/a.csv.rejects.jsonl"


def test_a_second_file_of_that_name_is_told_apart_by_its_content_and_keeps_its_ending():
    assert PLACES.archived("landing/x/a.tar.gz", "0123456789abcdef") == "archive/x/a.tar~0123456789ab.gz"


@pytest.mark.parametrize(
    "prefixes",
    [
        ("landing", "archive/", "quarantine/"),
        ("/landing/", "archive/", "quarantine/"),
        ("", "archive/", "quarantine/"),
        ("in/", "in/", "out/"),
        ("in/", "in/archive/", "out/"),
        ("a/", "b/", "b/bad/"),
    ],
    ids=str,
)
def test_prefixes_that_hold_each_other_are_refused(prefixes):
    with pytest.raises(ConfigError):
        Places(*prefixes)


LONGEST = "landing/" + "ä" * 125 + ".csv"  # 254 bytes


@pytest.mark.parametrize("place", [PLACES.reason, PLACES.rejects, lambda key: PLACES.archived(key, "0123456789abcdef")])
def test_what_stands_beside_a_long_name_fits_beside_it_and_stays_its_own(place):
    other = LONGEST.replace("ä.csv", "ö.csv")
    names = {place(key).split("/")[-1] for key in (LONGEST, other)}
    assert len(names) == 2
    assert all(len(name.encode()) <= 255 for name in names)


def test_a_name_that_is_all_suffix_is_cut_too():
    assert len(PLACES.reason("landing/." + "x" * 254).split("/")[-1].encode()) <= 255
