from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.errors import ConfigError, QuarantineThresholdError
from controlroom.policy.flow import drive
from controlroom.policy.pagination import PageRequest, PageResponse, RejectedRecord, SinglePage, Walk
from controlroom.policy.pagination.rejection import Rejections


def test_a_few_records_are_not_judged_before_the_end() -> None:
    rejections = Rejections(0.1)
    rejections.count(99, 99)

    with pytest.raises(QuarantineThresholdError, match="99 of 99 records"):
        rejections.judge()


def test_the_error_says_what_is_wrong_with_a_record_of_a_page_that_is_never_handed_out() -> None:
    rejections = Rejections(0.005)
    rejections.count(99, 1, "amount: not a number")
    rejections.count(0, 0)

    with pytest.raises(QuarantineThresholdError, match=r"0\.5% may\. The last one: amount: not a number\. The walk"):
        rejections.count(1, 0)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=10), st.floats(0, 1))
def test_no_walk_ends_well_with_more_than_its_share(pages: list[tuple[int, int]], share: float) -> None:
    rejections, received, rejected = Rejections(share), 0, 0
    raised: QuarantineThresholdError | None = None
    try:
        for good, bad in pages:
            received, rejected = received + good + bad, rejected + bad
            rejections.count(good + bad, bad)
        rejections.judge()
    except QuarantineThresholdError as error:
        raised = error

    assert (raised is not None) == (rejected > received * share)
    assert raised is None or (raised.rejected, raised.total) == (rejected, received)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), "0.1", True])
def test_what_is_no_share_is_refused(share: Any) -> None:
    with pytest.raises(ConfigError, match="from 0 to 1"):
        Rejections(share)


def test_a_walk_reports_what_it_set_aside() -> None:
    def convert(records: list[Any]) -> tuple[list[Any], tuple[RejectedRecord, ...]]:
        return records[1:], (RejectedRecord(records[0], 0, "wrong"),)

    walk = Walk(PageRequest("GET", "https://x"), SinglePage(), convert=convert, max_rejected_share=0.5)
    page = drive(walk.next_page(), lambda _: PageResponse("https://x", {}, [1, 2], digest=b"1"))

    assert page is not None
    assert (page.records, page.rejected[0].reason) == ([2], "wrong")
    assert drive(walk.next_page(), lambda _: None) is None
    assert walk.report.rejected == 1
