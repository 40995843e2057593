"""Airflow's Variables and Connections, inside a task; elsewhere nothing of this happens, and Airflow is never imported.

A Variable named like a setting's variable, in small letters or capitals (``app_page_size``, ``APP_PAGE_SIZE``), is a source:
those that Airflow keeps itself, or that its workers have in the environment (``AIRFLOW_VAR_APP_PAGE_SIZE``). What stands in a
secrets backend is asked for by reference, because asking a backend for each name that may be there costs time and money:

* ``airflow-var://name``, ``airflow-var://name#json-key``
* ``airflow-conn://id``: the Connection as a URI; ``#password``, ``#login``, ``#host``, ``#port``, ``#schema``, or a key of its
  extra

Sources: the Task SDK, ``airflow.sdk.Variable`` and ``airflow.sdk.Connection``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from controlroom.redaction import register_secret
from controlroom.settings.layers import Layer, Place, of_variables
from controlroom.settings.schema import Declared, Setting, deepest, every

__all__ = ["followed", "in_task", "layers_of_variables"]

_TITLE = "Airflow Variables"
_IN_ENVIRONMENT = "AIRFLOW_VAR_"
_REFERENCE = re.compile(r"airflow-(?P<kind>var|conn)://(?P<name>[^#\s]+)(?:#(?P<part>\S+))?")
_PARTS = {"password", "login", "host", "port", "schema", "conn_type", "extra"}


class _Unanswered(Exception):  # noqa: N818 - this module's own; it becomes a problem in the report
    """Why there is no value; shows none."""


def in_task() -> bool:
    """Tell whether this process is running a task. A program that a task started has the variables, but not the SDK."""
    return "AIRFLOW_CTX_TASK_ID" in os.environ and "airflow.sdk" in sys.modules


def layers_of_variables(declared: Declared, problems: list[str]) -> Iterator[Layer]:
    """Yield the layer of Airflow's Variables inside a task."""
    if not in_task():
        return
    try:
        texts = _asked(lambda: _variables(declared))
    except _Unanswered as reason:
        problems.append(f"{_TITLE} cannot be read: {reason}.")
        yield Layer(f"{_TITLE} (unreadable)")
        return
    yield of_variables(declared, texts, _TITLE, lambda name: Place("Airflow Variable", name))


def followed(
    data: dict[str, Any], settings: Sequence[Setting], layers: Sequence[Layer], problems: list[str]
) -> dict[str, Any]:
    """Return *data* with the values that references to Airflow stand for; one without a value goes to *problems*."""

    def value_of(keys: tuple[str, ...], text: str) -> str:
        reference = _REFERENCE.fullmatch(text.strip())
        if reference is None:
            return text
        try:
            return str(_asked(lambda: _value(reference)))
        except _Unanswered as reason:
            setting = deepest(settings, keys)
            place = next((f" ({layer.locate(setting)})" for layer in layers if setting and layer.holds(setting)), "")
            problems.append(f"{'.'.join(keys)}{place} refers to Airflow: {reason}.")
            return text

    return {key: _replaced(value, (key,), value_of) for key, value in data.items()}


def _replaced(value: Any, keys: tuple[str, ...], value_of: Callable[[tuple[str, ...], str], str]) -> Any:
    if type(value) is str:
        return value_of(keys, value) if "airflow-" in value else value
    if type(value) is dict:
        return {key: _replaced(item, (*keys, str(key)), value_of) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_replaced(item, keys, value_of) for item in value)
    return value


def _asked(ask: Callable[[], Any]) -> Any:
    if not in_task():
        message = "only a task can ask for that"
        raise _Unanswered(message)
    try:
        return ask()
    except _Unanswered:
        raise
    except Exception as error:  # noqa: BLE001 - whatever Airflow, or a backend of somebody's own, raises
        message = f"it answered with {type(error).__name__}"  # no text: a secrets backend may say anything
        raise _Unanswered(message) from None
    except BaseException as error:
        if (
            type(error).__name__ != "DeadlockImminentError"
        ):  # the Task SDK's, in an async task: no Exception, by its choice
            raise
        message = "another coroutine of this task is asking Airflow; load the settings before, or in a thread"
        raise _Unanswered(message) from None


def _sdk() -> Any:
    return import_module("airflow.sdk")  # there in a task, and nowhere else


def _variables(declared: Declared) -> dict[str, str]:
    variable = _sdk().Variable
    known = {variable.lower() for setting in every(declared.settings) for variable in setting.variables}
    prefix = declared.prefix.lower()
    if hasattr(variable, "keys"):  # Airflow 3.3
        starts = dict.fromkeys([declared.prefix.lower(), declared.prefix.upper()])
        names = [name for start in starts for name in variable.keys(prefix=start or None)]
    else:
        names = [name for low in sorted(known) for name in (low, low.upper())]
    given = [name.removeprefix(_IN_ENVIRONMENT).lower() for name in os.environ if name.startswith(_IN_ENVIRONMENT)]
    ours = [name for name in [*given, *names] if name.lower() in known or (prefix and name.lower().startswith(prefix))]
    texts = {name: variable.get(name, default=None) for name in dict.fromkeys(ours)}
    return {name: text for name, text in texts.items() if text is not None}


def _value(reference: re.Match[str]) -> str:
    kind, name, part = reference["kind"], reference["name"], reference["part"]
    return _of_variable(name, part) if kind == "var" else _of_connection(name, part)


def _of_variable(name: str, part: str | None) -> str:
    text = _sdk().Variable.get(name, default=None)
    if text is None:
        message = f"there is no Variable {name}"
        raise _Unanswered(message)
    return str(text) if part is None else _member(text, part, f"Variable {name}")


def _of_connection(name: str, part: str | None) -> str:
    try:
        found = _sdk().Connection.get(name)
    except Exception as error:
        if type(error).__name__ != "AirflowNotFoundException":
            raise
        message = f"there is no Connection {name}"
        raise _Unanswered(message) from None
    if found.password:
        register_secret(found.password)
    if part is None:
        return str(found.get_uri())
    value = getattr(found, part) if part in _PARTS else _member(found.extra or "{}", part, f"Connection {name}")
    if value is None:
        message = f"the Connection {name} has no {part}"
        raise _Unanswered(message)
    return str(value)


def _member(text: str, key: str, owner: str) -> str:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, Mapping) or key not in document:
        message = f"the {owner} holds no JSON with {key} in it"
        raise _Unanswered(message)
    found = document[key]
    return found if isinstance(found, str) else json.dumps(found)
