"""CI systems, by the variables that they document."""

from __future__ import annotations

import pytest

from controlroom.logs.ci import ci_facts, provider_of

GITHUB = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "ada/orders",
    "GITHUB_RUN_ID": "4711",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": "ffac537e6cbbf934b08745a378932722df287a53",
    "GITHUB_TOKEN": "ghs_secret",
}


def test_a_run_of_github_is_told_with_where_to_look_at_it_and_nothing_else() -> None:
    assert ci_facts(GITHUB) == {
        "provider": "github",
        "run_url": "https://github.com/ada/orders/actions/runs/4711",
        "ci_run_id": "4711",
        "ref": "refs/heads/main",
        "sha": "ffac537e6cbbf934b08745a378932722df287a53",
    }


@pytest.mark.parametrize(
    ("environ", "facts"),
    [
        (
            {"GITLAB_CI": "true", "CI_JOB_ID": "7", "CI_JOB_URL": "https://x/7", "CI_COMMIT_REF_NAME": "main"},
            {"provider": "gitlab", "run_url": "https://x/7", "ci_run_id": "7", "ref": "main"},
        ),
        (
            {
                "TF_BUILD": "True",
                "BUILD_BUILDID": "7",
                "SYSTEM_COLLECTIONURI": "https://dev.azure.com/ada/",
                "SYSTEM_TEAMPROJECT": "orders",
            },
            {
                "provider": "azure",
                "run_url": "https://dev.azure.com/ada/orders/_build/results?buildId=7",
                "ci_run_id": "7",
            },
        ),
        (
            {"JENKINS_URL": "https://ci/", "BUILD_ID": "7", "BUILD_URL": "https://ci/job/7/", "GIT_COMMIT": "abc"},
            {"provider": "jenkins", "run_url": "https://ci/job/7/", "ci_run_id": "7", "sha": "abc"},
        ),
        ({"CIRCLECI": "true", "CIRCLE_BUILD_NUM": "7"}, {"provider": "circleci", "ci_run_id": "7"}),
        ({"BITBUCKET_BUILD_NUMBER": "7"}, {"provider": "bitbucket", "ci_run_id": "7"}),
        ({"BUILDKITE": "true", "BUILDKITE_COMMIT": "abc"}, {"provider": "buildkite", "sha": "abc"}),
        ({"CODEBUILD_BUILD_ID": "orders:7"}, {"provider": "codebuild", "ci_run_id": "orders:7"}),
        ({"TEAMCITY_VERSION": "2026.1"}, {"provider": "teamcity"}),
        ({"TRAVIS": "true"}, {"provider": "travis"}),
        ({"GITHUB_ACTIONS": "true"}, {"provider": "github"}),
        ({"CI": "1"}, {"provider": "unnamed"}),
        ({"CI": "woodpecker"}, {"provider": "unnamed"}),
    ],
)
def test_each_provider_tells_what_it_knows(environ: dict[str, str], facts: dict[str, str]) -> None:
    assert ci_facts(environ) == facts


@pytest.mark.parametrize("value", ["", "0", "false", "FALSE", "no", "off"])
def test_a_sign_that_says_no_means_no(value: str) -> None:
    assert provider_of({"CI": value, "GITHUB_ACTIONS": value, "TRAVIS": value}) is None
    assert ci_facts({"CI": value}) == {}


def test_nothing_is_nothing() -> None:
    assert provider_of({"HOME": "/", "CI_COMMIT_SHA": "abc"}) is None
