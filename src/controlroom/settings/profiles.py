"""Which profile holds: the one asked for, the one that a variable names, or that of the detected host."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Profile", "chosen", "detected_host"]

# What a host sets in the environment of what it runs. Sources: the manuals of AWS Lambda, Airflow, Azure Pipelines,
# Jenkins; all other CI services set CI.
_SIGNS = {
    "lambda": ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_RUNTIME_API"),
    "airflow": ("AIRFLOW_CTX_DAG_ID",),
    "ci": ("CI", "TF_BUILD", "JENKINS_URL"),
    "": ("KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI", "ECS_CONTAINER_METADATA_URI_V4", "AWS_BATCH_JOB_ID"),
}
_NO = frozenset({"", "0", "false", "no"})


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile, and who asked for it: empty where it is only the detected host."""

    name: str
    asked_for_by: str = ""


def chosen(
    asked: str | None, variable: str, texts_by_place: Mapping[str, Mapping[str, str]], environ: Mapping[str, str]
) -> Profile | None:
    """Return the profile that holds; an empty name, wherever it stands, means none.

    Args:
        asked: What the caller said.
        variable: The variable that may name it, if any.
        texts_by_place: The variables of each place in which it may stand, highest first.
        environ: The environment of the process, which tells the host.
    """
    if asked is not None:
        return Profile(asked, "profile") if asked else None
    for place, texts in texts_by_place.items():
        for name, text in texts.items():
            if variable and name.lower() == variable.lower():
                return Profile(text.strip(), f"{name} ({place})") if text.strip() else None
    host = detected_host(environ)
    return Profile(host) if host else None


def detected_host(environ: Mapping[str, str]) -> str:
    """Return "lambda", "airflow", "ci" or "local"; empty in a container that somebody orchestrates."""
    for host, signs in _SIGNS.items():
        if any(environ.get(sign, "").lower() not in _NO for sign in signs):
            return host
        if host == "airflow" and "airflow.sdk" in sys.modules:
            return host
    return "local"
