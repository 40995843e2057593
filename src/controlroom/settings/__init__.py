"""Settings: what is read from where, which value won, and one error that reports every problem.

Rules of this package:

* A place where settings stand is a layer. The layers have one fixed order; merging, explaining and complaining read the
  same layers, so that they cannot disagree.
* pydantic-settings reads variables and pydantic validates; what they raise ends here.
* Nothing that was given is ever shown: an error names the setting, the place and what was expected.
* A secret is registered with the redaction before anything is said about it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from controlroom.settings.loading import Unknown, explain_settings, load_settings
from controlroom.settings.model import BaseSettings, keeping_secrets
from controlroom.settings.overriding import override

if TYPE_CHECKING:
    from controlroom.settings.cloud.policy import CloudPolicy
    from controlroom.settings.cloud.rotation import (
        aretry_on_rotation,
        forget_cached_secrets,
        retry_on_rotation,
        shows_rotation,
    )
    from controlroom.settings.explanation import Explanation, SettingExplained
    from controlroom.settings.loading_async import aload_settings
    from controlroom.settings.reference import SettingDescribed, SettingsReference, settings_reference

__all__ = [
    "BaseSettings",
    "CloudPolicy",
    "Explanation",
    "SettingDescribed",
    "SettingExplained",
    "SettingsReference",
    "Unknown",
    "aload_settings",
    "aretry_on_rotation",
    "explain_settings",
    "forget_cached_secrets",
    "keeping_secrets",
    "load_settings",
    "override",
    "retry_on_rotation",
    "settings_reference",
    "shows_rotation",
]


_LATER = {
    "cloud.policy": ("CloudPolicy",),
    "cloud.rotation": ("aretry_on_rotation", "forget_cached_secrets", "retry_on_rotation", "shows_rotation"),
    "loading_async": ("aload_settings",),
    "explanation": ("Explanation", "SettingExplained"),
    "reference": ("SettingDescribed", "SettingsReference", "settings_reference"),
}


def __getattr__(name: str) -> object:
    """Load what few need when it is asked for."""
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
