"""From the places where settings stand to one frozen object, or one error that reports every problem."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pydantic_settings
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controlroom.errors import ConfigError
from controlroom.settings.explanation import Explanation, explained
from controlroom.settings.layers import Layer, merged
from controlroom.settings.model import BaseSettings
from controlroom.settings.near_misses import near_misses
from controlroom.settings.provenance import Origin, Provenance, origins_of
from controlroom.settings.schema import Declared, leaves, settings_of
from controlroom.settings.secrets_found import register_given
from controlroom.settings.sources import Sources, how_to_set

__all__ = ["explain_settings", "load_settings"]

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load_settings(
    model: type[SettingsT],
    /,
    *,
    prefix: str = "APP_",
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = ("app.toml",),
    secrets_dir: str | os.PathLike[str] | None = None,
    profile: str | None = None,
    assignments: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    **values: Any,
) -> SettingsT:
    """Read the settings that *model* declares.

    Precedence, highest first: *assignments*, keyword overrides, environment, ``.env`` in the working directory, the
    secrets directory, ``app.<profile>.toml``, ``app.toml``, defaults. Nested models are merged leaf by leaf.

    Args:
        model: A subclass of `BaseSettings`.
        prefix: What the variables start with; names are compared without regard to case.
        files: TOML files, in UTF-8. One that is absent is passed over; of several, the last one wins.
        secrets_dir: A folder of files named like the variables, in any case, surrounding white space cut off. One that
            is absent is passed over.
        profile: Also read ``app.<profile>.toml`` beside each of *files*; at least one has to exist.
        assignments: Texts by dotted name (``{"db.url": "…"}``), each read as a variable would be: what ``--set`` gives.
        overrides: Values by field name, for names that are taken by the arguments above.
        **values: Values by field name.

    Raises:
        ConfigError: ``.problems`` has a line for everything that is missing, wrong, unreadable or probably misspelled.
            No input value is in it, secret or not.
        TypeError: *model* is no subclass of `BaseSettings`.

    Guarantees:
        Every secret found (``SecretStr``, ``SecretBytes``, ``Secret``, the password of a URL), also one that lost or was
        refused, is registered with the redaction before anything is said about it.
        Not promised: a second look at the environment; what was loaded stays as it is.
    """
    if not issubclass(model, BaseSettings):
        message = f"{model.__name__} is no subclass of controlroom.BaseSettings"
        raise TypeError(message)
    declared = Declared(model, prefix)
    settings = declared.settings
    given = {**(overrides or {}), **values}
    several = [files] if isinstance(files, str | os.PathLike) else files
    sources = Sources(declared, several, secrets_dir, profile, assignments or {}, given)
    layers = sources.layers()
    register_given(settings, layers)
    loaded, refused = _validated(model, merged([*layers, _defaults(model, layers)]))
    misses = tuple(near_misses(settings, layers, prefix))
    if loaded is None or sources.problems:
        how = how_to_set(sources)
        from controlroom.settings.refusals import refusals  # noqa: PLC0415 - loaded where something is refused

        problems = [*sources.problems, *refusals(refused, settings, layers, how), *misses]
        raise ConfigError(_report(model, problems, layers), problems=problems)
    loaded._provenance = Provenance(tuple(origins_of(settings, layers)), misses)  # noqa: SLF001 - set once, by the loader
    return loaded


def explain_settings(settings: BaseSettings) -> Explanation:
    """Return where each value of *settings* came from; ``str()`` of it is an aligned table, secrets masked."""
    known = settings._provenance  # noqa: SLF001 - it is there for this function
    if known is None:
        origins = [
            Origin(leaf.path, "code" if leaf.path[0] in settings.model_fields_set else "default", "", (), leaf.hidden)
            for leaf in leaves(settings_of(type(settings), ""))
        ]
        return explained(settings, origins, ())
    return explained(settings, known.origins, known.near_misses)


def _report(model: type[BaseSettings], problems: Sequence[str], layers: Sequence[Layer]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    looked = ", ".join(layer.title for layer in layers)
    lines = [f"{model.__name__} has {count}; nothing was loaded.", *(f"- {problem}" for problem in problems)]
    return "\n".join([*lines, f"Looked, in this order, in {looked}, defaults. Correct this and start again."])


def _validated(model: type[SettingsT], data: dict[str, Any]) -> tuple[SettingsT | None, list[ErrorDetails]]:
    """Return the settings, or what pydantic refused. Its exception, which holds the input, ends here."""
    loaded = model.__new__(model)
    try:
        BaseModel.__init__(loaded, **data)  # past pydantic_settings' own __init__, which would read the sources again
    except ValidationError as error:
        return None, error.errors(include_url=False, include_context=False)
    return loaded, []


def _defaults(model: type[BaseSettings], layers: Sequence[Layer]) -> Layer:
    """Return the defaults of nested models that some layer sets in part."""
    above = merged(layers)
    source = pydantic_settings.sources.DefaultSettingsSource(model)
    source._set_current_state(above)  # noqa: SLF001 - as pydantic-settings does: a union's default yields to its tag
    return Layer("defaults", {key: value for key, value in source().items() if key in above})
