"""Reading: the environment, ``.env``, a secrets directory and TOML files become layers, or problems."""

from __future__ import annotations

import io
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from controlroom.settings.layers import Layer, Place, of_assignments, of_data, of_variables
from controlroom.settings.near_misses import closest_name
from controlroom.settings.schema import Declared, every, leaves
from controlroom.settings.toml_file import line_of, lines_of, position_of

__all__ = ["Sources", "how_to_set"]

_DOTENV = Path(".env")
_SECRETS = "secrets directory"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look, and what was wrong with the places themselves."""

    declared: Declared
    files: Sequence[str | os.PathLike[str]]
    secrets_dir: str | os.PathLike[str] | None
    profile: str | None
    assignments: Mapping[str, str]
    overrides: Mapping[str, Any] = field(repr=False)
    problems: list[str] = field(default_factory=list)

    def layers(self) -> list[Layer]:
        """Return every layer, highest first."""
        return [
            *self._given(),
            of_variables(self.declared, os.environ, "environment", lambda name: Place("environment", name)),
            self._dotenv(),
            *self._secrets(),
            *self._toml(),
        ]

    def _given(self) -> Iterator[Layer]:
        given = [of_data(self.declared, self.overrides, "keyword overrides", lambda key: Place("keyword", key))]
        if self.assignments:
            given.insert(0, of_assignments(self.declared, self.assignments, "--set"))
        for layer in given:
            # A stray variable may belong to another program; what is passed by name can only be meant for us.
            for place in layer.unused:
                meant = closest_name(place.key, leaves(self.declared.settings))
                hint = f"; did you mean {meant}?" if meant else "."
                self.problems.append(f"{place} sets nothing: there is no such setting{hint}")
            yield replace(layer, unused=())

    def _dotenv(self) -> Layer:
        text = self._text(_DOTENV)
        if text is None:
            return Layer(f"{_DOTENV} (absent)")
        from dotenv import dotenv_values  # noqa: PLC0415 - most hosts have no such file
        from dotenv.parser import parse_stream  # noqa: PLC0415 - as above

        bindings = list(parse_stream(io.StringIO(text)))
        prefix = self.declared.prefix.lower()
        broken = [item.original for item in bindings if item.error and prefix in item.original.string.lower()]
        self.problems.extend(f"{_DOTENV}:{_first_line(*each)} is not NAME=value." for each in broken)
        lines = {item.key: _first_line(*item.original) for item in bindings if item.key}
        values = {name: value for name, value in dotenv_values(stream=io.StringIO(text)).items() if value is not None}
        return of_variables(
            self.declared, values, str(_DOTENV), lambda name: Place(f"{_DOTENV}:{lines.get(name, 1)}", name)
        )

    def _secrets(self) -> Iterator[Layer]:
        if self.secrets_dir is None:
            return
        folder = Path(self.secrets_dir).expanduser()
        if not folder.is_dir():
            yield Layer(f"{_SECRETS} {folder} (absent)")
            return
        texts = {path.name: text.strip() for path in self._ours(folder) if (text := self._text(path)) is not None}
        title = f"{_SECRETS} {folder}"
        yield of_variables(self.declared, texts, title, lambda name: Place(_SECRETS, str(folder / name)))

    def _ours(self, folder: Path) -> list[Path]:
        """Return the files of *folder* that are named like our variables; nothing else in it is read."""
        prefix = self.declared.prefix.lower()
        ours = {variable.lower() for setting in every(self.declared.settings) for variable in setting.variables}
        starts = (*ours, prefix) if prefix else tuple(ours)
        try:
            return sorted(path for path in folder.iterdir() if path.name.lower().startswith(starts))
        except OSError as error:
            self.problems.append(f"{folder} cannot be read: {error.strerror}.")
            return []

    def _toml(self) -> Iterator[Layer]:
        files = [Path(file).expanduser() for file in self.files][::-1]  # of several, the last one wins
        if self.profile and Path(self.profile).name != self.profile:
            self.problems.append("profile is part of a file name (app.<profile>.toml), not a path.")
            return
        special = [file.with_name(f"{file.stem}.{self.profile}{file.suffix}") for file in files if self.profile]
        if special and not any(file.is_file() for file in special):
            self.problems.append(f"profile {self.profile} has no file: looked for {', '.join(map(str, special))}.")
        for file in (*special, *files):
            text = self._text(file)
            yield Layer(f"{file} (absent)") if text is None else self._toml_layer(file, text)

    def _toml_layer(self, file: Path, text: str) -> Layer:
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line, column, what = position_of(error, text)
            self.problems.append(f"{file}:{line}:{column} is not TOML. {what}.")
            return Layer(f"{file} (broken)")
        lines = cache(lambda: lines_of(text))

        def place(key: str) -> Place:
            line = line_of(tuple(key.split(".")), lines())
            return Place(f"{file}:{line}" if line else str(file), key)

        return of_data(self.declared, data, str(file), place)

    def _text(self, path: Path) -> str | None:
        """Return what *path* holds, or None; a file that is there and cannot be read is a problem."""
        try:
            return path.read_text(encoding="utf-8") if path.is_file() else None
        except UnicodeDecodeError as error:
            self.problems.append(f"{path} is not UTF-8 (byte {error.start}).")
        except OSError as error:
            self.problems.append(f"{path} cannot be read: {error.strerror}.")
        return None


def _first_line(statement: str, line: int) -> int:
    """Return where a statement of ``.env`` begins, past the blank lines that the parser counts to it."""
    return line + statement[: len(statement) - len(statement.lstrip())].count("\n")


def how_to_set(sources: Sources) -> dict[str, str]:
    """Return, by name, what to do to give a setting a value."""
    folder = "" if sources.secrets_dir is None else f", or write the file {{}} in {sources.secrets_dir}"
    file = "" if not sources.files else f", or put {{}} in {os.fspath(sources.files[-1])}"
    return {
        setting.name: f"Set {setting.variables[0]}"
        + folder.format(setting.variables[0].lower())
        + file.format(".".join(setting.keys))
        + "."
        for setting in every(sources.declared.settings)
    }
