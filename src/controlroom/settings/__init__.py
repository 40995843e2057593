"""Settings: what is read from where, which value won, and one error that reports every problem.

Rules of this package:

* A place where settings stand is a layer. The layers have one fixed order; merging, explaining and complaining read the
  same layers, so that they cannot disagree.
* pydantic-settings reads variables and pydantic validates; what they raise ends here.
* Nothing that was given is ever shown: an error names the setting, the place and what was expected.
* A secret is registered with the redaction before anything is said about it.
"""

from __future__ import annotations

from controlroom.settings.explanation import Explanation, SettingExplained
from controlroom.settings.loading import explain_settings, load_settings
from controlroom.settings.model import BaseSettings

__all__ = ["BaseSettings", "Explanation", "SettingExplained", "explain_settings", "load_settings"]
