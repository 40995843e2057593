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
from controlroom.settings.withholding import Withheld

__all__ = ["Explanation", "SettingExplained", "explained"]

_HEAD = ("name", "value", "source", "key", "shadowed")
_LONGEST = 80  # characters of a value in the table
_WITHHELD = f"{MASK} (withheld when pickled)"
_CONTAINERS = (Mapping, list, tuple, set, frozenset)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SettingExplained:
    """One row of an `Explanation`.

    Attributes:
        name: Dotted name.
        value: The value as text. Of a secret a mask; from 12 characters on with its length and a fingerprint, which is the
            same wherever the secret is the same: "*** (length 40, fingerprint 3f9a1c)".
        source: "environment", ".env:3", "secrets directory", "app.toml:7", "keyword", "--set", "override", "default", or
            "code" for an object that `load_settings` did not make.
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
        near_misses: "APP_RETIRES is set; did you mean APP_RETRIES?": names with our prefix, or in our files, that set
            nothing, and others that almost do.

    Guarantees:
        No secret is shown: not the value of a ``SecretStr`` or of a field with a telling name, not a URL's password. A
        fingerprint is 24 bits of a slow hash: it tells two random secrets apart and does not lead back to one.
    """

    rows: tuple[SettingExplained, ...]
    near_misses: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON-ready data."""
        rows = [{**asdict(row), "shadowed": list(row.shadowed)} for row in self.rows]
        return {"settings": rows, "near_misses": list(self.near_misses)}

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def to_markdown(self) -> str:
        """Return the table as Markdown, the near misses as a list below it."""
        cells = ([f"`{_in_code(cell)}`" if cell else "" for cell in line] for line in self._lines())
        lines = [_HEAD, ["---"] * len(_HEAD), *cells]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n".join([table, *(f"\n- {near_miss}" for near_miss in self.near_misses)])

    def __str__(self) -> str:
        lines = [_HEAD, *self._lines()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
        table = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([*(line.rstrip() for line in table), *self.near_misses])

    def _lines(self) -> list[tuple[str, ...]]:
        return [(row.name, row.value, row.source, row.key, ", ".join(row.shadowed)) for row in self.rows]


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
            value = value.__dict__.get(name, _WITHHELD)
            path = origin.path[:depth]
        if path not in ended:
            ended.add(path)
            yield SettingExplained(
                ".".join(path), _value(value, hidden=origin.hidden), origin.source, origin.key, origin.shadowed
            )


def _value(value: Any, *, hidden: bool) -> str:
    if value is _WITHHELD or isinstance(value, Withheld):
        return _WITHHELD
    if not hidden or value is None or (isinstance(value, _CONTAINERS) and not value):
        return _shown(value)  # of an empty list there is nothing to hide, and much to know
    held = value.get_secret_value() if isinstance(value, SecretStr | SecretBytes | Secret) else value
    if isinstance(held, str | bytes):
        from controlroom.settings.fingerprints import mask_of  # noqa: PLC0415 - only where a secret is explained

        return mask_of(held.decode("utf-8", "replace") if isinstance(held, bytes) else held) if held else '""'
    return MASK if _text(value) else '""'


def _shown(value: Any) -> str:
    text = redact_text(_text(value)) or '""'
    text = _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _in_code(text: str) -> str:
    """Return *text* as it can stand in a code span in a table (GitHub Flavored Markdown, 4.10)."""
    return text.replace("`", "'").replace("|", "\\|")


def _text(value: Any) -> str:
    match value:
        case Withheld():
            return _WITHHELD
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
