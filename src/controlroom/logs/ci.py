"""What a CI system tells the processes that it starts: who it is, and which run of which commit this is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Provider", "ci_facts", "provider_of"]

Environ = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Provider:
    """A CI system.

    Attributes:
        name: What it is called.
        sign: The variable that it sets for every process.
        run_id: The variable with the id of the run.
        ref: The variable with the branch or tag.
        sha: The variable with the commit.
        url: Where the run can be looked at.
    """

    name: str
    sign: str
    run_id: str
    ref: str
    sha: str
    url: Callable[[Environ], str | None]


def _variable(name: str) -> Callable[[Environ], str | None]:
    return lambda environ: environ.get(name)


def _composed(form: str) -> Callable[[Environ], str | None]:
    def compose(environ: Environ) -> str | None:
        try:
            return form.format_map(environ)
        except KeyError:
            return None

    return compose


# Each from its vendor's page of predefined variables. Forgejo and Gitea call themselves GitHub, and mean its variables.
_PROVIDERS: Final = (
    Provider(
        "github",
        "GITHUB_ACTIONS",
        "GITHUB_RUN_ID",
        "GITHUB_REF",
        "GITHUB_SHA",
        _composed("{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"),
    ),
    Provider("gitlab", "GITLAB_CI", "CI_JOB_ID", "CI_COMMIT_REF_NAME", "CI_COMMIT_SHA", _variable("CI_JOB_URL")),
    Provider(
        "azure",
        "TF_BUILD",
        "BUILD_BUILDID",
        "BUILD_SOURCEBRANCH",
        "BUILD_SOURCEVERSION",
        _composed("{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}"),
    ),
    Provider(
        "bitbucket",
        "BITBUCKET_BUILD_NUMBER",
        "BITBUCKET_BUILD_NUMBER",
        "BITBUCKET_BRANCH",
        "BITBUCKET_COMMIT",
        _composed("{BITBUCKET_GIT_HTTP_ORIGIN}/pipelines/results/{BITBUCKET_BUILD_NUMBER}"),
    ),
    Provider(
        "buildkite",
        "BUILDKITE",
        "BUILDKITE_BUILD_ID",
        "BUILDKITE_BRANCH",
        "BUILDKITE_COMMIT",
        _variable("BUILDKITE_BUILD_URL"),
    ),
    Provider("circleci", "CIRCLECI", "CIRCLE_BUILD_NUM", "CIRCLE_BRANCH", "CIRCLE_SHA1", _variable("CIRCLE_BUILD_URL")),
    Provider(
        "codebuild",
        "CODEBUILD_BUILD_ID",
        "CODEBUILD_BUILD_ID",
        "CODEBUILD_SOURCE_VERSION",
        "CODEBUILD_RESOLVED_SOURCE_VERSION",
        _variable("CODEBUILD_PUBLIC_BUILD_URL"),
    ),
    Provider("jenkins", "JENKINS_URL", "BUILD_ID", "GIT_BRANCH", "GIT_COMMIT", _variable("BUILD_URL")),
    Provider(
        "teamcity", "TEAMCITY_VERSION", "BUILD_NUMBER", "BUILD_VCS_BRANCH", "BUILD_VCS_NUMBER", _variable("BUILD_URL")
    ),
    Provider(
        "travis", "TRAVIS", "TRAVIS_BUILD_ID", "TRAVIS_BRANCH", "TRAVIS_COMMIT", _variable("TRAVIS_BUILD_WEB_URL")
    ),
)
_UNNAMED: Final = Provider("unnamed", "CI", "", "", "", lambda _environ: None)
_NO: Final = frozenset({"", "0", "false", "no", "off"})


def provider_of(environ: Environ) -> Provider | None:
    """Return the CI system that set *environ*, an unnamed one where only ``CI`` says that there is one, or None."""
    signs = (provider for provider in (*_PROVIDERS, _UNNAMED) if environ.get(provider.sign, "").lower() not in _NO)
    return next(signs, None)


def ci_facts(environ: Environ) -> dict[str, str]:
    """Return which run this is: ``provider``, ``run_url``, ``ci_run_id``, ``ref``, ``sha``, each where it is known."""
    provider = provider_of(environ)
    if provider is None:
        return {}
    known = {
        "provider": provider.name,
        "run_url": provider.url(environ),
        "ci_run_id": environ.get(provider.run_id),
        "ref": environ.get(provider.ref),
        "sha": environ.get(provider.sha),
    }
    return {name: value for name, value in known.items() if value}
