"""From the places where settings stand to one frozen object, or one error that reports every problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import pydantic_settings
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controlroom.errors import ConfigError, ControlRoomError
from controlroom.settings.airflow_source import followed
from controlroom.settings.cloud.layer import in_cloud, plain_layers
from controlroom.settings.layers import Layer, merged
from controlroom.settings.model import BaseSettings
from controlroom.settings.near_misses import strays
from controlroom.settings.overriding import layers_of_overrides
from controlroom.settings.provenance import Origin, Provenance, origins_of
from controlroom.settings.schema import Declared, leaves, settings_of
from controlroom.settings.secrets_found import register_given
from controlroom.settings.sources import Paths, Sources, as_several, how_to_set

if TYPE_CHECKING:
    from controlroom.policy.flow import Flow
    from controlroom.settings.cloud.calls import Outcome
    from controlroom.settings.cloud.policy import CloudPolicy
    from controlroom.settings.cloud.references import Secret
    from controlroom.settings.cloud.resolving import Wanted
    from controlroom.settings.explanation import Explanation

__all__ = ["Unknown", "explain_settings", "load_settings", "reading"]

SettingsT = TypeVar("SettingsT", bound=BaseSettings)
Unknown = Literal["warn", "error", "ignore"]


def load_settings(
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
    """Read the settings that *model* declares.

    Precedence, highest first: `override` (in tests), *assignments*, keyword overrides, environment, ``.env`` in the working
    directory, secrets directories, ``app.<profile>.toml``, ``app.toml``, defaults. Nested models are merged leaf by leaf.

    Args:
        model: A subclass of `BaseSettings`.
        prefix: What the variables start with; names are compared without regard to case.
        files: Files in UTF-8: ``.json``, ``.yaml`` and ``.yml`` (with the extra ``yaml``), all others TOML. One that is
            absent is passed over; of several, the last one wins.
        secrets_dir: Folders of files named like the variables, as Docker and Kubernetes mount them, surrounding white
            space cut off; see the guide. One that is absent is passed over; of several, the last one wins.
        profile: Also read ``app.<profile>.toml`` beside each of *files*; at least one has to exist. None: what
            ``<PREFIX>PROFILE`` says, in the environment or ``.env``; else the detected host (``lambda``, ``airflow``,
            ``ci``, ``local``), if it has a file. Empty: none.
        unknown: What to do about a name with our prefix, or in a file, that sets nothing: it is reported by
            `explain_settings` ("warn"), or a problem ("error"), or neither.
        cloud: How the cloud references are fetched (``aws-sm://name#json-key``, ``aws-ssm:///path``), which may stand in
            each of these places and in defaults, and how long what they stand for is kept; see `CloudPolicy`.
        assignments: Texts by dotted name (``{"db.url": "…"}``), each read as a variable would be: what ``--set`` gives.
        overrides: Values by field name, for names that are taken by the arguments above.
        **values: Values by field name.

    Raises:
        ConfigError: ``.problems`` has a line for everything that is missing, wrong, unreadable or probably misspelled.
            No input value is in it, secret or not.
        ExternalAPIError, DeadlineExceededError: Nothing is wrong but that AWS could not be reached; says RETRY.
        TypeError: *model* is no subclass of `BaseSettings`.

    Guarantees:
        Every secret found (``SecretStr``, ``SecretBytes``, ``Secret``, the password of a URL), also one that lost or was
        refused, is registered with the redaction before anything is said about it.
        Not promised: a second look at the environment; what was loaded stays as it is.
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
    from controlroom.policy.flow import drive  # noqa: PLC0415 - to import settings costs little; most of it is pydantic's

    return drive(steps, partial(_fetched, policy=cloud))


def _fetched(step: Wanted, policy: CloudPolicy | None) -> Mapping[Secret, Outcome]:
    from controlroom.settings.cloud.fetch import fetch  # noqa: PLC0415 - botocore, which only a reference needs
    from controlroom.settings.cloud.policy import CloudPolicy  # noqa: PLC0415 - as above

    return fetch(step.secrets, policy or CloudPolicy())


def reading(
    model: type[SettingsT],
    *,
    prefix: str,
    files: Paths,
    secrets_dir: Paths | None,
    profile: str | None,
    unknown: Unknown,
    assignments: Mapping[str, str] | None,
    given: Mapping[str, Any],
) -> Flow[Wanted, SettingsT]:
    """Read everything, ask for what the references in it stand for, and validate: what both colours of loading drive."""
    _check_model(model)
    if wrong := list(_misused(prefix, profile, unknown)):
        raise ConfigError("; ".join(wrong), problems=wrong)
    declared = Declared(model, prefix)
    settings = declared.settings
    sources = Sources(declared, as_several(files), as_several(secrets_dir), profile, assignments or {}, given)
    layers = [*layers_of_overrides(declared), *sources.layers()]
    register_given(settings, plain_layers(layers))
    # The cloud layer: a reference is a value of the layer in which it stands.
    cloud = yield from in_cloud(declared, layers)
    layers = list(cloud.layers)
    register_given(settings, plain_layers(layers))
    data = followed(merged([*layers, _defaults(model, layers)]), settings, layers, sources.problems)
    register_given(settings, plain_layers([Layer("", data)]))
    loaded, refused = _validated(model, data, sources.problems)
    refused = [error for error in refused if not cloud.explains(error["loc"])]
    sources.problems.extend(cloud.problems)
    found = list(strays(settings, layers, prefix))
    if unknown == "error":
        sources.problems.extend(stray.text for stray in found if stray.ours)
        found = [stray for stray in found if not stray.ours]
    if cloud.outage is not None and not (refused or sources.problems):
        raise cloud.outage_told()
    sources.problems.extend(cloud.outages)
    if loaded is None or sources.problems:
        how = how_to_set(sources)
        from controlroom.settings.refusals import refusals  # noqa: PLC0415 - loaded where something is refused

        hints = [stray.text for stray in found if stray.alike]
        problems = [*sources.problems, *refusals(refused, settings, layers, how), *hints]
        raise ConfigError(_report(model, problems, layers), problems=problems) from None
    told = () if unknown == "ignore" else tuple(stray.text for stray in found)
    loaded._provenance = Provenance(tuple(origins_of(settings, layers)), told, cloud.secrets)  # noqa: SLF001 - set once, by the loader
    return loaded


def _check_model(model: object) -> None:
    if not (isinstance(model, type) and issubclass(model, BaseSettings)):
        named = model.__name__ if isinstance(model, type) else f"an object of {type(model).__name__}"
        message = f"{named} is no subclass of controlroom.BaseSettings"
        raise TypeError(message)


def _misused(prefix: object, profile: object, unknown: object) -> Iterator[str]:
    """Yield what is wrong with how settings are to be loaded; a caller without a type checker may give anything."""
    if not isinstance(prefix, str):
        yield f'prefix is text, not {type(prefix).__name__}; "" stands for none'
    if not (profile is None or isinstance(profile, str)):
        yield f"profile is text or None, not {type(profile).__name__}"
    if unknown not in get_args(Unknown):
        yield f"unknown is one of {', '.join(get_args(Unknown))}"


def explain_settings(settings: BaseSettings) -> Explanation:
    """Return where each value of *settings* came from; ``str()`` of it is an aligned table, secrets masked."""
    from controlroom.settings.explanation import explained  # noqa: PLC0415 - only where somebody asks

    if not isinstance(settings, BaseSettings):
        message = f"an object of {type(settings).__name__} holds no settings: give what load_settings() returned"
        raise TypeError(message)
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
    looked = f"Looked, in this order, in {looked}, defaults; paths are relative to {_here()}."
    return "\n".join([*lines, f"{looked} Correct this and start again."])


def _here() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "a folder that was removed"


def _validated(
    model: type[SettingsT], data: dict[str, Any], problems: list[str]
) -> tuple[SettingsT | None, list[ErrorDetails]]:
    """Return the settings, or what pydantic refused. Exceptions, which hold the input, end here; bugs go to *problems*."""
    loaded = model.__new__(model)
    try:
        BaseModel.__init__(loaded, **data)  # past pydantic_settings' own __init__, which would read the sources again
    except ValidationError as error:
        return None, error.errors(include_url=False)
    except ControlRoomError:
        raise
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        from controlroom.settings.refusals import raised_by_validator  # noqa: PLC0415 - loaded where something is refused

        problems.append(raised_by_validator(error))
        return None, []
    return loaded, []


def _defaults(model: type[BaseSettings], layers: Sequence[Layer]) -> Layer:
    """Return the defaults of nested models that some layer sets in part."""
    above = merged(layers)
    source = pydantic_settings.sources.DefaultSettingsSource(model)
    source._set_current_state(above)  # noqa: SLF001 - as pydantic-settings does: a union's default yields to its tag
    return Layer("defaults", {key: value for key, value in source().items() if key in above})
