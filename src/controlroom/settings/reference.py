"""The page that documents a settings class, and an example ``.env``."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from controlroom.settings.descriptions import UNSET, constraints_of, default_of, default_text, type_text
from controlroom.settings.model import BaseSettings
from controlroom.settings.schema import Declared, Setting, nested_model

__all__ = ["SettingDescribed", "SettingsReference", "settings_reference"]

_BARE = re.compile(r"[\w./:@%+,=-]*")


@dataclass(frozen=True, slots=True)
class SettingDescribed:
    """One setting of a `SettingsReference`.

    Attributes:
        name: Dotted name.
        variables: Environment variables that set it, the preferred one first.
        type: "int", "list[str] as JSON", "secret text".
        constraints: "at least 1", "matching ^[a-z]+$".
        default: As a variable would say it; None: it has none that can be told, `remark` says why.
        remark: "required", "required if spare is set", "hidden", "worked out when loaded"; empty for a plain default.
        description: Of the field.
        secret: Its value is never shown.
    """

    name: str
    variables: tuple[str, ...]
    type: str
    constraints: tuple[str, ...]
    default: str | None
    remark: str
    description: str
    secret: bool


@dataclass(frozen=True, slots=True)
class SettingsReference:
    """What a settings class declares; ``str()`` is the Markdown page.

    Attributes:
        title: Name of the class.
        summary: Its docstring.
        rows: One for each setting, in the order of the class.
    """

    title: str
    summary: str
    rows: tuple[SettingDescribed, ...]

    def to_markdown(self) -> str:
        """Return a page with a heading, the summary, and a table."""
        head = [f"# {self.title}", "", *([self.summary, ""] if self.summary else [])]
        columns = ["name", "variable", "type", "default", "description"]
        return "\n".join([*head, _row(columns), _row(["---"] * len(columns)), *map(_described, self.rows), ""])

    def to_dotenv(self) -> str:
        """Return an example ``.env``: what is required stands there to be filled in, a default as a comment."""
        return "\n\n".join([f"# {self.title}", *map(_example, self.rows)]) + "\n"

    def write(self, page: str | os.PathLike[str], dotenv: str | os.PathLike[str] | None = None) -> None:
        """Write the page, and the example where *dotenv* is given. The same class always gives the same bytes.

        Raises:
            OSError: A file cannot be written.
        """
        Path(page).write_text(self.to_markdown(), encoding="utf-8")
        if dotenv is not None:
            Path(dotenv).write_text(self.to_dotenv(), encoding="utf-8")

    def __str__(self) -> str:
        return self.to_markdown()


def settings_reference(model: type[BaseSettings], /, *, prefix: str = "APP_") -> SettingsReference:
    """Return what *model* declares: names, variables, types, defaults, limits and descriptions.

    Args:
        model: A subclass of `BaseSettings`.
        prefix: What the variables start with, as for `load_settings`.

    Guarantees:
        Looks at the class alone: reads no environment and no file, calls no default factory of the user's. A secret default
        is not shown.
    """
    summary = inspect.cleandoc(model.__dict__.get("__doc__") or "")
    rows = _rows(model, Declared(model, prefix).settings, UNSET, "")
    return SettingsReference(model.__name__, summary, tuple(rows))


def _rows(
    model: type[BaseModel], settings: tuple[Setting, ...], parent: Any, optional: str
) -> Iterator[SettingDescribed]:
    """Yield the rows of *settings*; *parent* is the default that holds them, *optional* the name of what may be absent."""
    for setting in settings:
        info = model.model_fields[setting.path[-1]]
        default = getattr(parent, setting.path[-1], UNSET) if isinstance(parent, BaseModel) else default_of(info)
        if setting.nested and (below := nested_model(info.annotation)):
            absent = setting.name if default is None else optional
            yield from _rows(below, setting.nested, default, absent)
            continue
        text = None if default is UNSET else default_text(default, setting)
        yield SettingDescribed(
            setting.name,
            setting.variables,
            type_text(info.annotation),
            tuple(constraints_of(info)),
            text,
            _remark(default, text, setting, optional),
            " ".join((info.description or "").split()),
            setting.hidden,
        )


def _remark(default: Any, text: str | None, setting: Setting, optional: str) -> str:
    if default is UNSET and not setting.required:
        return "worked out when loaded"
    if default is UNSET:
        return f"required if {optional} is set" if optional else "required"
    return "hidden" if text is None else ""


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _described(row: SettingDescribed) -> str:
    variables = ", ".join(map(_code, row.variables))
    what = ", ".join([row.type, *row.constraints]).replace("|", "\\|")
    default = row.remark or (_code(row.default) if row.default else "empty")
    return _row([_code(row.name), variables, what, default, row.description.replace("|", "\\|")])


def _code(text: str) -> str:
    return "`{}`".format(text.replace("`", "'").replace("|", "\\|").replace("\n", " "))


def _example(row: SettingDescribed) -> str:
    what = ", ".join(filter(None, [row.type, *row.constraints, row.remark]))
    comment = f"# {row.name}: {row.description.rstrip('.')}. {what}" if row.description else f"# {row.name}: {what}"
    open_ = "" if row.remark == "required" else "# "
    return f"{comment}\n{open_}{row.variables[0]}={_quoted(row.default or '')}"


def _quoted(text: str) -> str:
    if _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    if escaped.isprintable():
        return f"'{escaped}'"
    controls = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    doubled = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"{}"'.format("".join(controls.get(character, character) for character in doubled))
