"""`load_settings` for those who are in an event loop already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from controlroom.policy.flow import drive_async
from controlroom.settings.cloud.calls import Outcome
from controlroom.settings.cloud.policy import CloudPolicy
from controlroom.settings.cloud.references import Secret
from controlroom.settings.cloud.resolving import Wanted
from controlroom.settings.loading import Unknown, reading
from controlroom.settings.model import BaseSettings
from controlroom.settings.sources import Paths

__all__ = ["aload_settings"]

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


async def aload_settings(
    model: type[SettingsT],
    /,
    *,
    prefix: str = "APP_",
    files: Paths = ("app.toml",),
    secrets_dir: Paths | None = None,
    profile: str | None = None,
    unknown: Unknown = "warn",
    cloud: CloudPolicy | None = None,
    assignments: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    **values: Any,
) -> SettingsT:
    """Read the settings that *model* declares; see `load_settings`. Cloud references are fetched by aiobotocore.

    Guarantees:
        As of `load_settings`; while AWS is asked, other tasks run. Cancellation ends the asking.
        Not promised: that the loop is free while files are read and while botocore reads its own.
    """
    steps = reading(
        model,
        prefix=prefix,
        files=files,
        secrets_dir=secrets_dir,
        profile=profile,
        unknown=unknown,
        assignments=assignments,
        given={**(overrides or {}), **values},
    )
    policy = cloud or CloudPolicy()

    async def fetched(step: Wanted) -> Mapping[Secret, Outcome]:
        from controlroom.settings.cloud.fetch import afetch  # noqa: PLC0415 - aiobotocore, which only a reference needs

        return await afetch(step.secrets, policy)

    return await drive_async(steps, fetched)
