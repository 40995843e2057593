from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.utils import parse_timestamp

from controlroom.storage.s3.options import S3Options
from controlroom.storage.s3.sessions import botocore_session
from controlroom.storage.s3.timestamps import stated_time

NOON = datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "stated",
    [
        "Sun, 22 Nov 2026 12:00:05 GMT",
        "2026-11-22T12:00:05Z",
        "2026-11-22T12:00:05.000Z",
        "2026-11-22T13:00:05+01:00",
        "1795348805",
        1795348805.0,
        "Sunday, 22-Nov-26 12:00:05 GMT",
        "Sun Nov 22 12:00:05 2026 GMT",
    ],
)
def test_a_time_is_what_botocore_takes_it_for(stated: Any) -> None:
    assert stated_time(stated) == parse_timestamp(stated) == NOON


@pytest.mark.parametrize("stated", ["2026-11-22T12:00:05", "2026-11-22"])
def test_a_time_without_a_zone_is_what_botocore_takes_it_for(stated: str) -> None:
    assert stated_time(stated) == parse_timestamp(stated)
    assert stated_time(stated).tzinfo == parse_timestamp(stated).tzinfo


@pytest.mark.parametrize("stated", ["", "soon", "32 Nov GMT", "2026-13-01T00:00:00Z"])
def test_what_states_no_time_is_refused_as_botocore_does(stated: str) -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        stated_time(stated)


def test_answers_are_read_with_it() -> None:
    session = botocore_session(S3Options(access_key_id="id", secret_access_key="a secret of the tests"))
    parser = session.get_component("response_parser_factory").create_parser("rest-xml")
    assert parser._timestamp_parser is stated_time
