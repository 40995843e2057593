from __future__ import annotations

from typing import Any

import pytest

from controlroom.errors import ConfigError
from controlroom.policy.durability import durability, syncs_data, syncs_names


@pytest.mark.parametrize(
    ("durable", "level"),
    [
        (True, "file_and_folder"),
        (False, "none"),
        ("none", "none"),
        ("file", "file"),
        ("file_and_folder", "file_and_folder"),
    ],
)
def test_a_level_has_a_name_and_the_two_ends_have_a_second_one(durable: Any, level: str) -> None:
    assert durability(durable) == level


@pytest.mark.parametrize(("durable", "level"), [(True, "batch"), ("batch", "batch"), ("file", "file"), (False, "none")])
def test_many_files_are_waited_for_together(durable: Any, level: str) -> None:
    assert durability(durable, of_many=True) == level


def test_the_names_of_a_batch_are_synced_as_those_of_a_file() -> None:
    assert durability("file_and_folder", of_many=True) == "batch"


@pytest.mark.parametrize("durable", ["full", "", 1, None, "all"])
def test_what_is_no_level_is_refused_with_all_that_are(durable: Any) -> None:
    with pytest.raises(ConfigError, match="none, file, file_and_folder, batch"):
        durability(durable)


def test_one_file_is_no_batch() -> None:
    with pytest.raises(ConfigError, match="atomic_batch"):
        durability("batch")


@pytest.mark.parametrize(
    ("durable", "data", "names"),
    [
        ("none", False, False),
        (False, False, False),
        ("file", True, False),
        ("file_and_folder", True, True),
        ("batch", True, True),
        (True, True, True),
    ],
)
def test_each_level_waits_for_what_the_one_before_it_does_and_more(durable: Any, data: bool, names: bool) -> None:
    assert (syncs_data(durable), syncs_names(durable)) == (data, names)
