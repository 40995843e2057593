"""The class that settings derive from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import pydantic_settings
from pydantic import PrivateAttr, model_validator

from controlroom.redaction import redact_text
from controlroom.settings.provenance import Provenance
from controlroom.settings.secrets_found import register_held

__all__ = ["BaseSettings"]


class BaseSettings(pydantic_settings.BaseSettings):
    """Settings of a job: fields with types, read by `load_settings`.

    This is `pydantic_settings.BaseSettings`, frozen, with unknown keys ignored, nested fields written ``DB__URL``, a nested
    default that can be overridden leaf by leaf, and input values kept out of pydantic's own messages. An object made in
    code registers its secrets with the redaction as a loaded one does.

    Not promised: that a nested model of your own is frozen too (give it ``frozen=True``), and that `load_settings` asks
    ``settings_customise_sources`` or ``env_parse_none_str``: its sources and their order are fixed.
    """

    model_config: ClassVar[pydantic_settings.SettingsConfigDict] = pydantic_settings.SettingsConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    _provenance: Provenance | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _register_secrets(self) -> Self:
        register_held(self)
        return self

    def __repr__(self) -> str:
        """As pydantic shows it, with the password of a URL and whatever else is a secret masked."""
        return redact_text(super().__repr__())

    def __str__(self) -> str:
        return redact_text(super().__str__())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; `explain_settings` says of what *update* replaced that it did."""
        copy = super().model_copy(update=update, deep=deep)
        register_held(copy)
        if self._provenance is not None and update:
            copy._provenance = self._provenance.replaced(update)  # noqa: SLF001 - its own class
        return copy
