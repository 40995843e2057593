from __future__ import annotations

import pytest

from controlroom.policy.flow import drive
from controlroom.policy.s3_tagging import stated, tagged
from tests.unit.policy.s3_model import S3Model
from tests.unit.policy.test_s3_copying import work


@pytest.mark.parametrize(
    ("tags", "params"),
    [
        ([], {}),
        ([{"Key": "a b", "Value": "c=d&e+ü"}], {"Tagging": "a+b=c%3Dd%26e%2B%C3%BC"}),
    ],
)
def test_tags_travel_as_a_form(tags: list[dict[str, str]], params: dict[str, str]) -> None:
    assert stated(tags) == params


def test_tags_that_are_there_are_not_given_again() -> None:
    model = S3Model()
    model.put("b", b"", {"t": "1"})
    drive(tagged(work(), [{"Key": "t", "Value": "1"}]), model.perform)
    assert model.operations == ["GetObjectTagging"]
    drive(tagged(work(), [{"Key": "t", "Value": "1"}, {"Key": "u", "Value": "2"}]), model.perform)
    assert model.things["b"].tags == {"t": "1", "u": "2"}
    drive(tagged(work(target="gone"), [{"Key": "t", "Value": "1"}]), model.perform)
