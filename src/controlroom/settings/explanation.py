"""The answer to "why does it have that value?"."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from controlroom.errors.text import plain
from controlroom.redaction import MASK, redact, redact_text
from controlroom.settings.provenance import Origin

__all__ = ["Explanation", "SettingExplained", "explained"]

_LONGEST = 80  # characters of a value in the table
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SettingExplained:
    """One row of an `Explanation`.

    Attributes:
        name: Dotted name.
        value: The value as text; a mask where it is secret.
        source: "environment", ".env:3", "secrets directory", "app.toml:7", "keyword", "--set", "default", or "code" for
            an object that `load_settings` did not make.
        key: The exact variable, file or key in that source; empty for a default.
        shadowed: The places that also set it and lost, highest first.
    """

    name: str
    value: str
    source: str
    key: str
    shadowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every setting with its value, where it came from and what it shadowed; ``str()`` is an aligned table.

    Attributes:
        rows: One for each setting, in the order of the class.
        near_misses: "APP_RETIRES is set; did you mean APP_RETRIES?": names that set nothing and almost do.

    Guarantees:
        No secret is shown: not the value of a ``SecretStr`` or of a field with a telling name, not a URL's password.
    """

    rows: tuple[SettingExplained, ...]
    near_misses: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON-ready data."""
        rows = [{**asdict(row), "shadowed": list(row.shadowed)} for row in self.rows]
        return {"settings": rows, "near_misses": list(self.near_misses)}

    def __str__(self) -> str:
        head = ("name", "value", "source", "key", "shadowed")
        lines = [head, *((row.name, row.value, row.source, row.key, ", ".join(row.shadowed)) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        table = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([*(line.rstrip() for line in table), *self.near_misses])


def explained(settings: BaseModel, origins: Iterable[Origin], near_misses: tuple[str, ...]) -> Explanation:
    """Return the explanation of *settings*, whose values came from *origins*."""
    return Explanation(tuple(_rows(settings, origins)), near_misses)


def _rows(settings: BaseModel, origins: Iterable[Origin]) -> Iterator[SettingExplained]:
    ended: set[tuple[str, ...]] = set()
    for origin in origins:
        value: Any = settings
        for depth, name in enumerate(origin.path, 1):
            if not isinstance(value, BaseModel):
                break  # an optional model that is None, or some other object: one row says it all
            value = getattr(value, name, None)
            path = origin.path[:depth]
        if path not in ended:
            ended.add(path)
            shown = MASK if origin.hidden and _is_given(value) else _shown(value)
            yield SettingExplained(".".join(path), shown, origin.source, origin.key, origin.shadowed)


def _is_given(value: Any) -> bool:
    return value is not None and _text(value) != ""


def _shown(value: Any) -> str:
    text = redact_text(_text(value)) or '""'
    text = _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _text(value: Any) -> str:
    match value:
        case SecretStr() | SecretBytes() | Secret():
            return MASK if value.get_secret_value() else ""
        case Enum():
            return str(value.value)
        case BaseModel():
            return _text(value.model_dump())
        case Mapping() | list() | tuple() | set() | frozenset():
            return json.dumps(plain(redact(_without_models(value))), ensure_ascii=False)
        case _:
            return str(value)


def _without_models(value: Any) -> Any:
    match value:
        case BaseModel():
            return _without_models(value.model_dump())
        case Mapping():
            return {key: _without_models(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_without_models(item) for item in value]
        case _:
            return value
