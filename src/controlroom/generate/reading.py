"""A document from JSON or YAML, as plain data; whatever else it is, is refused with what it is."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Final

from controlroom.errors import ConfigError, DataError

__all__ = ["parsed"]

_MOST_BYTES: Final = 64 * 2**20
_MOST_NODES: Final = 1_000_000  # a YAML document of one page can stand for more than any memory holds (aliases)
_VERSIONS: Final = ("3.0", "3.1", "3.2")


def parsed(content: bytes, name: str) -> dict[str, Any]:
    """Return the OpenAPI document that *content* is.

    Args:
        content: JSON, or YAML where PyYAML is installed.
        name: What messages call it.

    Raises:
        DataError: It is neither, or no OpenAPI document of version 3.
        ConfigError: It is YAML, and PyYAML is not installed.
    """
    if len(content) > _MOST_BYTES:
        message = f"{name} has {len(content)} bytes; a document may have {_MOST_BYTES}. Nothing was generated."
        raise DataError(message)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{name} is no text: byte {error.start} is not UTF-8. Give an OpenAPI document."
        raise DataError(message) from error
    try:
        tree = _from_json(text) if text.lstrip()[:1] in {"{", "["} else _from_yaml(text, name)
    except RecursionError:
        message = f"{name} is nested too deeply to be read."
        raise DataError(message) from None
    return _judged(tree, name)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if not text.lstrip().startswith("{"):
            return None
        message = f"The document is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        raise DataError(message) from error
    except ValueError as error:
        message = "The document is not JSON that can be read: a number is too long."
        raise DataError(message) from error


def _from_yaml(text: str, name: str) -> Any:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = f"{name} is not JSON. If it is YAML: pip install 'controlroom[yaml]'."
        raise ConfigError(message) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tree = yaml.load(text, Loader=loader)  # noqa: S506 - both loaders are safe ones
        return _Plain().of(tree)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
        told = getattr(error, "problem", None) or "a value cannot be read"
        message = f"{name} is neither JSON nor YAML: {told}{where}."
        raise DataError(message) from error


class _Plain:
    """Makes JSON's kinds of YAML's: status codes are numbers there, versions and dates too, and aliases may go in circles."""

    def __init__(self) -> None:
        self._nodes = 0

    def of(self, value: Any) -> Any:
        """Return *value* as JSON would have it.

        Raises:
            DataError: It stands for too much.
        """
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            message = f"The document stands for more than {_MOST_NODES} values, by aliases of YAML. Write them out."
            raise DataError(message)
        match value:
            case dict():
                return {key if isinstance(key, str) else _key(key): self.of(item) for key, item in value.items()}
            case list() | tuple() | set():
                return [self.of(item) for item in value]
            case dt.date() | dt.time():
                return value.isoformat()
            case bytes():
                return value.decode("latin-1")
            case _:
                return value


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) or key is None else str(key)


def _judged(tree: Any, name: str) -> dict[str, Any]:
    if not isinstance(tree, dict):
        message = f"{name} is no OpenAPI document: an object with the key openapi is needed."
        raise DataError(message)
    if "swagger" in tree:
        message = (
            f"{name} is a Swagger 2.0 document; OpenAPI 3.0 and 3.1 are understood. Convert it first, "
            f"for example with swagger2openapi."
        )
        raise DataError(message)
    version = tree.get("openapi")
    if not isinstance(version, str | float) or not str(version).startswith(_VERSIONS):
        told = "no key openapi" if version is None else f"openapi {str(version)[:20]!r}"
        message = f"{name} has {told}; OpenAPI 3.0 and 3.1 are understood. Nothing was generated."
        raise DataError(message)
    if not isinstance(tree.get("paths"), Mapping):
        message = f"{name} has no paths: there is nothing to generate a client for."
        raise DataError(message)
    return tree
