"""The class that settings derive from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeVar

import pydantic_settings
from pydantic import BaseModel, PrivateAttr, ValidationError, model_validator

from controlroom.errors import ConfigError, ControlRoomError
from controlroom.redaction import redact_text
from controlroom.settings.provenance import Provenance
from controlroom.settings.secrets_found import register_held
from controlroom.settings.withholding import refuse, without_secrets

__all__ = ["BaseSettings", "keeping_secrets"]

_OURS = frozenset({"_provenance", "_withheld", "_keeps_secrets"})


class BaseSettings(pydantic_settings.BaseSettings):
    """Settings of a job: fields with types, read by `load_settings`.

    This is `pydantic_settings.BaseSettings`, frozen, with unknown keys ignored, nested fields written ``DB__URL``, a nested
    default that can be overridden leaf by leaf, and input values kept out of pydantic's own messages. An object made in
    code registers its secrets with the redaction as a loaded one does.

    Raises:
        ConfigError: An object made in code was refused; as from `load_settings`, without any input value.
        AttributeError: Something was assigned to a field, or deleted: settings are frozen.

    Guarantees:
        Two objects of a class are equal when their values are, wherever these came from; where all values can be hashed, so
        can the object. ``copy`` and ``deepcopy`` are whole. A pickle holds no secret: reading one from what was unpickled
        raises ConfigError; see `keeping_secrets`.

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
    _withheld: frozenset[str] = PrivateAttr(default=frozenset())
    _keeps_secrets: bool = PrivateAttr(default=False)

    @model_validator(mode="after")
    def _register_secrets(self) -> Self:
        register_held(self)
        return self

    if not TYPE_CHECKING:  # a checker knows the fields, and that they are frozen, from the class itself

        def __init__(self, /, **values: Any) -> None:
            if problems := _made(self, super().__init__, values):
                count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
                lines = [f"{type(self).__name__} has {count}; nothing was made.", *(f"- {each}" for each in problems)]
                raise ConfigError("\n".join(lines), problems=problems) from None

        def __setattr__(self, name: str, value: Any) -> None:
            if not name.startswith("_"):
                _refuse_change(self, name)
            super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            if not name.startswith("_"):
                _refuse_change(self, name)
            super().__delattr__(name)

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("_") and name in self._withheld:
                refuse(name)
            return super().__getattr__(name)

    def __repr__(self) -> str:
        """As pydantic shows it, with the password of a URL and whatever else is a secret masked."""
        return redact_text(super().__repr__())

    def __str__(self) -> str:
        return redact_text(super().__str__())

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        private = state["__pydantic_private__"]
        if self._keeps_secrets:
            return {**state, "__pydantic_private__": {**private, "_keeps_secrets": False}}  # for one hop
        values, withheld = without_secrets(state["__dict__"])
        extra, withheld_extra = without_secrets(state["__pydantic_extra__"] or {})
        own, _ = without_secrets({name: value for name, value in private.items() if name not in _OURS})
        all_withheld = self._withheld | (withheld & type(self).model_fields.keys()) | withheld_extra
        return {
            **state,
            "__dict__": values,
            "__pydantic_extra__": None if state["__pydantic_extra__"] is None else extra,
            "__pydantic_private__": {**{name: private[name] for name in _OURS}, **own, "_withheld": all_withheld},
        }

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        register_held(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; `explain_settings` says of what *update* replaced that it did.

        Not promised: that *update* is validated. What `load_settings` is given by keyword is.
        """
        copy = super().model_copy(update=update, deep=deep)
        register_held(copy)
        copy._withheld = self._withheld - (update or {}).keys()  # noqa: SLF001 - its own class
        if self._provenance is not None and update:
            copy._provenance = self._provenance.replaced(update)  # noqa: SLF001 - its own class
        return copy


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def keeping_secrets(settings: SettingsT) -> SettingsT:
    """Return a copy of *settings* whose pickle holds the secrets, in the clear.

    For a worker process of your own: ``pool.submit(work, keeping_secrets(settings))``. Never for a file, a queue or a cache.

    Guarantees:
        It holds for one hop: what is unpickled registers its secrets with the redaction there, and is pickled without them
        again.
    """
    copy = settings.model_copy()
    copy._keeps_secrets = True  # noqa: SLF001 - it is there for this function
    return copy


def _made(settings: BaseSettings, make: Any, values: dict[str, Any]) -> list[str]:
    """Make *settings* of *values*, or return the problems. The exceptions that hold the input end here."""
    try:
        make(**values)
    except ValidationError as error:
        found = error.errors(include_url=False)
    except pydantic_settings.SettingsError:
        return ["A variable in the environment holds no JSON, which its field needs."]
    except ControlRoomError:
        raise
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        from controlroom.settings.refusals import raised_by_validator  # noqa: PLC0415 - loaded where something is refused

        return [raised_by_validator(error)]
    else:
        return []
    from controlroom.settings.refusals import refused_in_code  # noqa: PLC0415 - loaded where something is refused

    return refused_in_code(type(settings), found, values)


def _refuse_change(settings: BaseModel, name: str) -> NoReturn:
    message = (
        f"{type(settings).__name__} is frozen: {name} keeps its value. For another one load them with it, which validates"
        f" it: load_settings({type(settings).__name__}, {name}=…), or, in a test, within override({name}=…)."
    )
    raise AttributeError(message)
