"""What can be set: every field of a settings class, nested ones included, and the names it goes by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import pydantic_settings
from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, Secret, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from controlroom.redaction import is_sensitive_name

__all__ = ["Declared", "Setting", "deepest", "every", "leaves", "nested_model", "settings_of"]

_DELIMITER = "__"


@dataclass(frozen=True, slots=True)
class Setting:
    """One field.

    Attributes:
        path: Attribute names, from the settings object down.
        keys: The same in the words of input data: aliases where there are any.
        aliases: The other words that may stand in the place of the last key.
        variables: Environment variables that set it, the first one preferred.
        required: It has no default.
        secret: Its type says that its value is a secret, or that one is somewhere in it.
        plain: Names, in small letters, under which no secret stands in the models that its type holds; None where all
            that stands in its value may be secret, names too.
        inner: Names of the fields of the models that its type holds: in a path into its value, they are ours to tell.
        nested: The fields of a nested model.
        takes_more: It is a nested model that keeps what it has no field for.
    """

    path: tuple[str, ...]
    keys: tuple[str, ...]
    aliases: tuple[str, ...]
    variables: tuple[str, ...]
    required: bool
    secret: bool
    nested: tuple[Setting, ...] = field(repr=False)
    takes_more: bool = False
    plain: frozenset[str] | None = field(default=None, repr=False)
    inner: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def name(self) -> str:
        """The dotted name, as ``--set`` and TOML files write it."""
        return ".".join(self.path)

    @property
    def telling(self) -> bool:
        """Tell whether its own name says that it is a secret."""
        return is_sensitive_name(self.path[-1])

    @property
    def hidden(self) -> bool:
        """Tell whether its value is never shown: its type says so, its name, or what it stands in (``api.key``)."""
        return self.secret or self.telling or is_sensitive_name(self.name)


@dataclass(frozen=True, slots=True)
class Declared:
    """A settings class as the sources see it: its fields, and what its variables start with."""

    model: type[pydantic_settings.BaseSettings]
    prefix: str
    settings: tuple[Setting, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Read the fields off the class once."""
        object.__setattr__(self, "settings", settings_of(self.model, self.prefix))

    @property
    def takes_more(self) -> bool:
        """Tell whether the class keeps what it has no field for."""
        return self.model.model_config.get("extra") == "allow"

    @property
    def profile_variable(self) -> str:
        """The variable that names the profile: none without a prefix, or where a field has that variable for itself."""
        variable = f"{self.prefix}PROFILE".upper()
        taken = {name.upper() for setting in every(self.settings) for name in setting.variables}
        return variable if self.prefix and variable not in taken else ""


def settings_of(model: type[BaseModel], prefix: str) -> tuple[Setting, ...]:
    """Return the fields of *model*, whose environment variables start with *prefix*."""
    return tuple(_fields(model, parent=None, prefix=prefix, inside=(model,)))


def every(settings: Iterable[Setting]) -> Iterator[Setting]:
    """Yield *settings* and everything nested in them."""
    for setting in settings:
        yield setting
        yield from every(setting.nested)


def leaves(settings: Iterable[Setting]) -> Iterator[Setting]:
    """Yield those of *settings*, and of what is nested in them, that hold a value of their own."""
    return (setting for setting in every(settings) if not setting.nested)


def deepest(settings: Iterable[Setting], keys: tuple[str, ...]) -> Setting | None:
    """Return the setting that *keys* lead to or into, or None where not even the first one is known."""
    found = None
    for setting in every(settings):
        if keys[: len(setting.keys)] == setting.keys:
            found = setting  # parents come before what is nested in them
    return found


def _fields(model: type[BaseModel], parent: Setting | None, prefix: str, inside: tuple[type, ...]) -> Iterator[Setting]:
    for name, info in model.model_fields.items():
        words = _input_names(name, info, model.model_config)
        bare = Setting(
            path=(*(parent.path if parent else ()), name),
            keys=(*(parent.keys if parent else ()), words[0]),
            aliases=words[1:],
            variables=tuple(_variables(words, name, parent, prefix)),
            required=info.is_required(),
            secret=_holds_secret(info.annotation, inside),
            nested=(),
            plain=_plain_names(info.annotation) if _has_plain_names(info.annotation) else None,
            inner=frozenset(_inner_names(info.annotation)),
        )
        below = nested_model(info.annotation)
        if below is None or below in inside:  # a model inside itself has no end; pydantic reads it as JSON
            yield bare
        else:
            nested = tuple(_fields(below, bare, prefix, (*inside, below)))
            yield replace(bare, nested=nested, takes_more=below.model_config.get("extra") == "allow")


def _input_names(name: str, info: FieldInfo, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys under which pydantic accepts the field, the one it prefers first."""
    alias = None if config.get("validate_by_alias") is False else info.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    names = [str(choice.path[0]) if isinstance(choice, AliasPath) else choice for choice in choices if choice]
    if not names or config.get("validate_by_name") or config.get("populate_by_name"):
        names.append(name)
    return tuple(dict.fromkeys(names))


def _variables(words: tuple[str, ...], name: str, parent: Setting | None, prefix: str) -> Iterator[str]:
    """Yield the variables of a field: the prefix belongs to field names; an alias is a variable's whole name."""
    for word in words:
        if parent is not None:
            yield from (f"{variable}{_DELIMITER}{word.upper()}" for variable in parent.variables)
        else:
            yield f"{prefix}{word}".upper() if word == name else word.upper()


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field of this type holds, also where it may be None."""
    if get_origin(annotation) in (Union, UnionType):
        others = [argument for argument in get_args(annotation) if argument is not NoneType]
        return nested_model(others[0]) if len(others) == 1 else None
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model and not issubclass(annotation, RootModel) else None


def _has_plain_names(annotation: Any) -> bool:
    """Tell whether a value of this type has names in it, of fields or of a dict, that are no secrets themselves."""
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, SecretStr | SecretBytes | Secret):
        return False
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return not any(_holds_secret(argument, ()) for argument in get_args(annotation)[:1])
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return is_model or any(map(_has_plain_names, get_args(annotation)))


def _plain_names(annotation: Any) -> frozenset[str]:
    """Return the names of fields without a secret, among the models in *annotation*: those that no secret field has, too."""
    plain: set[str] = set()
    telling: set[str] = set()
    for model in _models_in(annotation, ()):
        for name, info in model.model_fields.items():
            names = {name.lower(), *(word.lower() for word in _input_names(name, info, model.model_config))}
            is_telling = _holds_secret(info.annotation, ()) or any(map(is_sensitive_name, names))
            (telling if is_telling else plain).update(names)
    return frozenset(plain - telling)


def _inner_names(annotation: Any) -> Iterator[str]:
    for model in _models_in(annotation, ()):
        for name, info in model.model_fields.items():
            yield from (name, *_input_names(name, info, model.model_config))


def _models_in(annotation: Any, inside: tuple[type, ...]) -> Iterator[type[BaseModel]]:
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in inside:
        yield kind
        for info in kind.model_fields.values():
            yield from _models_in(info.annotation, (*inside, kind))
    for argument in get_args(annotation):
        yield from _models_in(argument, inside)


def _holds_secret(annotation: Any, inside: tuple[type, ...]) -> bool:
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and issubclass(kind, SecretStr | SecretBytes | Secret):
        return True
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in inside:
        return any(_holds_secret(info.annotation, (*inside, kind)) for info in kind.model_fields.values())
    return any(_holds_secret(argument, inside) for argument in get_args(annotation))
