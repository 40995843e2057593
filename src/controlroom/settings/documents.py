"""A file of settings, read by its suffix: ``.json``, ``.yaml`` and ``.yml``, or TOML."""

from __future__ import annotations

from pathlib import Path

from controlroom.settings.layers import not_too_deep
from controlroom.settings.positions import Broken, Document

__all__ = ["document"]

_FORMATS = {".json": "JSON", ".yaml": "YAML", ".yml": "YAML"}


def document(file: Path, text: str, problems: list[str]) -> Document | None:
    """Return what *text*, the content of *file*, says, or None where it is broken; what is wrong goes to *problems*."""
    form = _FORMATS.get(file.suffix.lower(), "TOML")
    try:
        found = _read(form, text)
        not_too_deep(found.data)
    except Broken as error:
        problems.append(f"{file}:{error.line}:{error.column} is not {form}. {error.what}.")
    except ModuleNotFoundError:
        problems.append(f"{file} is YAML, which needs PyYAML: install controlroom[yaml], or write it as TOML or JSON.")
    except RecursionError:
        problems.append(f"{file} is nested too deeply.")
    except ValueError:  # int() refuses more than 4300 digits, in any format
        problems.append(f"{file} holds a number that cannot be read.")
    else:
        problems.extend(
            f"{file}:{line} repeats a key of line {first}; the two cannot both hold." for line, first in found.repeated
        )
        return found
    return None


def _read(form: str, text: str) -> Document:
    if form == "TOML":
        from controlroom.settings import toml_file  # noqa: PLC0415 - only where there is a file

        return toml_file.read(text)
    if form == "JSON":
        from controlroom.settings import json_file  # noqa: PLC0415 - only where a file is JSON

        return json_file.read(text)
    from controlroom.settings import yaml_file  # noqa: PLC0415 - only where a file is YAML, and PyYAML is optional

    return yaml_file.read(text)
