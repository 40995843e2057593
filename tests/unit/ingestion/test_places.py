"""Where files go, and prefixes with which one would be found again."""

from __future__ import annotations

import pytest

from controlroom.errors import ConfigError
from controlroom.ingestion.places import Places

PLACES = Places("landing/", "archive/", "quarantine/")


def test_a_file_keeps_its_folders_below_landing():
    assert PLACES.archived("landing/2013/a.csv") == "archive/2013/a.csv"
    assert PLACES.quarantined("landing/a.csv") == "quarantine/a.csv"
    assert PLACES.reason("quarantine/a.csv") == "quarantine/a.csv.reason.json"
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
