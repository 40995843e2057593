"""Reading: the environment, ``.env``, secrets directories and files become layers, or problems."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controlroom.errors import ConfigError
from controlroom.settings.airflow_source import layers_of_variables
from controlroom.settings.layers import Layer, Place, of_assignments, of_data, of_variables
from controlroom.settings.near_misses import closest_name
from controlroom.settings.profiles import Profile, chosen
from controlroom.settings.reading import text_of
from controlroom.settings.schema import Declared, every, leaves

__all__ = ["Paths", "Sources", "as_several", "how_to_set"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_DOTENV = Path(".env")
_SECRETS = "secrets directory"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look, and what was wrong with the places themselves. Of several files or folders, the last one wins.

    Attributes:
        problems: What was wrong, a line for each.
        broken: Files that may say something, but nobody knows what.
    """

    declared: Declared
    files: Sequence[str | os.PathLike[str]]
    secrets_dirs: Sequence[str | os.PathLike[str]]
    profile: str | None
    assignments: Mapping[str, str]
    overrides: Mapping[str, Any] = field(repr=False)
    problems: list[str] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)

    def layers(self) -> list[Layer]:
        """Return every layer, highest first."""
        dotenv, in_dotenv = self._dotenv()
        texts_by_place = {"environment": dict(os.environ), str(_DOTENV): in_dotenv}
        profile = chosen(self.profile, self.declared.profile_variable, texts_by_place, os.environ)
        return [
            *self._given(),
            of_variables(self.declared, os.environ, "environment", lambda name: Place("environment", name)),
            dotenv,
            *(self._secrets(Path(folder).expanduser()) for folder in reversed(self.secrets_dirs)),
            *layers_of_variables(self.declared, self.problems),
            *self._documents(profile),
        ]

    def _given(self) -> Iterator[Layer]:
        given = [
            of_data(self.declared, self.overrides, "keyword overrides", lambda key: Place("keyword", ".".join(key)))
        ]
        if self.assignments:
            given.insert(0, of_assignments(self.declared, self.assignments, "--set"))
        for layer in given:
            # A stray variable may belong to another program; what is passed by name can only be meant for us.
            for place in layer.unused:
                meant = closest_name(place.key, leaves(self.declared.settings))
                hint = f"; did you mean {meant}?" if meant else "."
                self.problems.append(f"{place} sets nothing: there is no such setting{hint}")
            yield replace(layer, unused=())

    def _dotenv(self) -> tuple[Layer, dict[str, str]]:
        text = text_of(_DOTENV, self.problems)
        if text is None:
            return Layer(f"{_DOTENV} (absent)"), {}
        from dotenv import dotenv_values  # noqa: PLC0415 - most hosts have no such file
        from dotenv.parser import parse_stream  # noqa: PLC0415 - as above

        bindings = list(parse_stream(io.StringIO(text)))
        prefix = self.declared.prefix.lower()
        broken = [item.original for item in bindings if item.error and prefix in item.original.string.lower()]
        self.problems.extend(f"{_DOTENV}:{_first_line(*each)} is not NAME=value." for each in broken)
        lines = {item.key: _first_line(*item.original) for item in bindings if item.key}
        whole = "".join(item.original.string for item in bindings if not item.error)  # of others it warns by itself
        values = {name: value for name, value in dotenv_values(stream=io.StringIO(whole)).items() if value is not None}

        def place(name: str) -> Place:
            return Place(f"{_DOTENV}:{lines.get(name, 1)}", name)

        return of_variables(self.declared, values, str(_DOTENV), place), values

    def _secrets(self, folder: Path) -> Layer:
        if not folder.is_dir():
            if folder.exists():
                self.problems.append(f"{folder} is no folder; secrets_dir is one of files named like the variables.")
            return Layer(f"{_SECRETS} {folder} (absent)")
        from controlroom.settings.secrets_folder import mounted  # noqa: PLC0415 - most hosts have none

        found = mounted(folder, self.declared, self.problems)

        def place(variable: str) -> Place:
            return Place(_SECRETS, str(found.paths.get(variable.lower(), folder / variable)), variable)

        return of_variables(self.declared, found.texts, f"{_SECRETS} {folder}", place)

    def _documents(self, profile: Profile | None) -> Iterator[Layer]:
        files = [Path(file).expanduser() for file in reversed(self.files)]
        if profile and Path(profile.name).name != profile.name:
            self.problems.append("profile is part of a file name (app.<profile>.toml), not a path.")
            return
        special = [
            file.with_name(f"{file.stem}.{profile.name}{file.suffix}") for file in files if profile and file.name
        ]
        if profile and not profile.asked_for_by:
            special = [file for file in special if file.is_file()]  # nobody said that there is one
        elif profile and special and not any(file.is_file() for file in special):
            looked = ", ".join(map(str, special))
            self.problems.append(f"profile {profile.name} has no file: looked for {looked}.{_said_by(profile)}")
        for file in (*special, *files):
            yield self._document(file)

    def _document(self, file: Path) -> Layer:
        before = len(self.problems)
        text = text_of(file, self.problems)
        if text is None and len(self.problems) == before:
            return Layer(f"{file} (absent)")
        if text is None:
            self.broken.append(file)
            return Layer(f"{file} (unreadable)")
        from controlroom.settings.documents import document  # noqa: PLC0415 - only where there is a file
        from controlroom.settings.positions import line_of  # noqa: PLC0415 - as above

        found = document(file, text, self.problems)
        if found is None:
            self.broken.append(file)
            return Layer(f"{file} (broken)")

        def place(key: tuple[str, ...]) -> Place:
            line = line_of(key, found.lines())
            return Place(f"{file}:{line}" if line else str(file), ".".join(key))

        return of_data(self.declared, found.data, str(file), place)


def as_several(paths: Paths | None) -> Sequence[str | os.PathLike[str]]:
    """Return *paths*, one or several or none, as several; an empty one, as an unset variable gives it, is none.

    Raises:
        ConfigError: They are no paths.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else paths or ()
    try:
        return [Path(path) for path in several if os.fspath(path)]
    except TypeError:
        message = f"files and secrets_dir are each a path or several, not {type(paths).__name__}"
        raise ConfigError(message, problems=[message]) from None


def _file_to_write(sources: Sources) -> str:
    """Return the file that is there and wins, or, where none is there, the one that would."""
    files = [Path(file).expanduser() for file in reversed(sources.files)]
    there = [file for file in files if file.is_file()]
    return str(next((file for file in there if file not in sources.broken), [*there, *files][0]))


def _said_by(profile: Profile) -> str:
    return "" if profile.asked_for_by == "profile" else f" It comes from {profile.asked_for_by}."


def _first_line(statement: str, line: int) -> int:
    """Return where a statement of ``.env`` begins, past the blank lines that the parser counts to it."""
    return line + statement[: len(statement) - len(statement.lstrip())].count("\n")


def how_to_set(sources: Sources) -> dict[str, str]:
    """Return, by name, what to do to give a setting a value."""
    folder = f" in {sources.secrets_dirs[-1]}" if sources.secrets_dirs else ""
    file = f" in {_file_to_write(sources)}" if sources.files else ""
    broken = ", ".join(map(str, sources.broken))
    begin = f"It may stand in {broken}, which cannot be read; otherwise set" if broken else "Set"
    return {
        setting.name: f"{begin} {setting.variables[0]}"
        + (f", or write the file {setting.variables[0].lower()}{folder}" if folder else "")
        + (f", or put {'.'.join(setting.keys)}{file}" if file else "")
        + "."
        for setting in every(sources.declared.settings)
    }
