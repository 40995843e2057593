from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlroom.settings.cloud.marks import is_reference
from controlroom.settings.cloud.references import Reference, Secret, member_of, parsed

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"
PARAMETER_ARN = "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/app/size"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aws-sm://a", Reference(Secret("secretsmanager", "a"))),
        ("aws-sm://a/b/c#k", Reference(Secret("secretsmanager", "a/b/c"), "k")),
        ("aws-sm://a#k#l?m", Reference(Secret("secretsmanager", "a"), "k#l?m")),
        ("aws-sm://a?stage=AWSPREVIOUS#k", Reference(Secret("secretsmanager", "a", stage="AWSPREVIOUS"), "k")),
        (
            "aws-sm://a?version=v1&region=us-gov-east-1",
            Reference(Secret("secretsmanager", "a", "us-gov-east-1", "", "v1")),
        ),
        (f"aws-sm://{ARN}#k", Reference(Secret("secretsmanager", ARN, "eu-west-1"), "k")),
        ("aws-ssm:///a/b:3", Reference(Secret("ssm", "/a/b:3"))),
        ("aws-ssm://a#k", Reference(Secret("ssm", "a"), "k")),
        (f"aws-ssm://{PARAMETER_ARN}", Reference(Secret("ssm", PARAMETER_ARN, "cn-north-1"))),
    ],
)
def test_what_a_reference_says(text: str, expected: Reference) -> None:
    assert is_reference(text)
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"aws-sm://{ARN}#k", "aws-sm://prod/db-AbCdEf?region=eu-west-1#k"),
        ("AWS-SM://a?stage=S#k", "aws-sm://a?stage=S#k"),
        (f"aws-ssm://{PARAMETER_ARN}", "aws-ssm:///app/size?region=cn-north-1"),
    ],
)
def test_a_reference_is_shown_as_one(text: str, shown: str) -> None:
    assert str(parsed(text)) == shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("aws-sm://", "names nothing"),
        ("aws-sm://#k", "names nothing"),
        ("aws-sm://a#", "after the #"),
        ("aws-sm://a b", "characters"),
        ("aws-sm://a?stage", "name=value"),
        ("aws-sm://a?stage=", "with a value"),
        ("aws-sm://a?colour=red", "only region, stage, version"),
        ("aws-sm://a?stage=x&stage=y", "each once"),
        ("aws-sm://a?region=moon", "region"),
        ("aws-ssm:///a?stage=x", "only region"),
        (f"aws-ssm://{ARN}", "ssm"),
        ("aws-sm://arn:aws:s3:::bucket", "secretsmanager"),
        (f"aws-sm://{ARN}?region=us-east-1", "ARN"),
        ("aws-ssm:///a:b:c", "characters"),
    ],
)
def test_what_only_begins_like_a_reference_is_told_why(text: str, why: str) -> None:
    assert is_reference(text)
    with pytest.raises(ValueError, match=why) as caught:
        parsed(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", " ", "a", "aws-s3://a", "aws-sm:/a", "see aws-sm://a", "https://aws-sm://a", "AWS"]
)
def test_other_texts_are_no_references(text: str) -> None:
    assert not is_reference(text)
    with pytest.raises(ValueError, match="begins neither"):
        parsed(text)


@given(st.text(min_size=9, max_size=40), st.sampled_from(["aws-sm://", "aws-ssm://"]))
def test_any_text_behind_the_scheme_is_read_or_refused_without_quoting_it(text: str, scheme: str) -> None:
    try:
        reference = parsed(scheme + text)
    except ValueError as refused:
        said = str(refused)
    else:
        said = ""
        assert parsed(str(reference)) == reference

    assert text not in said


@given(
    st.text(string.ascii_letters + string.digits + "/_+=.@-", min_size=1),
    st.one_of(st.none(), st.text(string.printable, min_size=1).filter(lambda key: key == key.strip())),
    st.sampled_from(["", "AWSPREVIOUS", "my-stage"]),
)
def test_a_reference_that_is_written_is_read_again(name: str, key: str | None, stage: str) -> None:
    reference = Reference(Secret("secretsmanager", name, stage=stage), key)

    assert parsed(str(reference)) == reference


@pytest.mark.parametrize(
    ("document", "key", "value"),
    [
        ('{"a": "x"}', "a", "x"),
        ('{"a": 1.10}', "a", "1.10"),
        ('{"a": 12345678901234567890123}', "a", "12345678901234567890123"),
        ('{"a": 1e400}', "a", "1e400"),
        ('{"a": false}', "a", "false"),
        ('{"a": {"b": "ü"}}', "a", '{"b": "ü"}'),
        ('{"a": {"b": "x"}, "a.b": "y"}', "a.b", "y"),
        ('{"a": {"b": {"c": "x"}}}', "a.b.c", "x"),
        ('{"a": ""}', "a", ""),
    ],
)
def test_a_member_is_read_as_it_is_written(document: str, key: str, value: str) -> None:
    assert member_of(document, key) == value


@pytest.mark.parametrize("document", ['{"a": null}', "{}", '{"a.b": 1}', '{"a": [1]}'])
def test_a_member_that_is_not_there(document: str) -> None:
    with pytest.raises(LookupError):
        member_of(document, "a.0" if "[" in document else "a")


@pytest.mark.parametrize("document", ["canary", '["canary"]', '"canary"', "[" * 100_000, '{"a": "canary'])
def test_what_is_no_json_object_is_refused_without_quoting_it(document: str) -> None:
    with pytest.raises(ValueError, match="not a JSON object") as caught:
        member_of(document, "a")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
