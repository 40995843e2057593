"""``controlroom settings``: what a settings class declares, finds and lacks, without running its job."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from controlroom.errors import ConfigError, ControlRoomError
from controlroom.settings.loading import explain_settings, load_settings
from controlroom.settings.model import BaseSettings
from controlroom.settings.reference import settings_reference

__all__ = ["Misused", "add_to", "performed"]


class Misused(Exception):  # noqa: N818 - the command line's own: it becomes a usage message and exit code 64
    """The command was used wrongly; the message says how, and shows no value."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options to *parser*."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="load them; exit code 78 and every problem where something is wrong")
    explain = actions.add_parser("explain", help="load them; where each value comes from, secrets masked")
    reference = actions.add_parser("reference", help="the documentation page of the class, as Markdown")
    for action in (check, explain, reference):
        action.add_argument("target", metavar="MODULE:NAME", help="a settings class, or a job that has one")
        action.add_argument("--prefix", help="what the variables start with; otherwise the job's own, or APP_")
    for action in (check, explain):
        action.add_argument(
            "--file", metavar="PATH", action="append", help="instead of the job's own, or app.toml; the last one wins"
        )
        action.add_argument("--profile", help="also read app.<profile>.toml")
        action.add_argument(
            "--secrets-dir", metavar="DIR", action="append", help="instead of the job's own; the last one wins"
        )
        action.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="db.url=… is nested")
        action.add_argument("--unknown", choices=("warn", "error", "ignore"), help="names that set nothing; warn")
        action.add_argument("--json", action="store_true", help="the report as JSON")
    explain.add_argument("--markdown", action="store_true", help="the table as Markdown")
    reference.add_argument("--env", action="store_true", help="an example .env instead")


def performed(options: argparse.Namespace) -> tuple[str, int]:
    """Return what to print on stdout, and the exit code.

    Raises:
        Misused: There is no such module, class or file, or the options do not go together.
        ConfigError: The settings were refused, and no JSON was asked for.
    """
    target = _target(options.target)
    if options.action == "reference":
        reference = settings_reference(_class_of(target, options), prefix=options.prefix or _prefix_of(target))
        return (reference.to_dotenv() if options.env else reference.to_markdown()).rstrip("\n"), 0
    try:
        explanation = explain_settings(_loaded(target, options))
    except ConfigError as error:
        if not options.json:
            raise
        return _as_json({"target": options.target, "ok": False, "problems": list(error.problems)}), error.exit_code
    if options.action == "explain":
        as_text = explanation.to_markdown() if options.markdown else str(explanation)
        return explanation.to_json() if options.json else as_text, 0
    if options.json:
        told = {"settings": len(explanation.rows), "warnings": list(explanation.near_misses), "problems": []}
        return _as_json({"target": options.target, "ok": True, **told}), 0
    warnings = [f"warning: {near_miss}" for near_miss in explanation.near_misses]
    return "\n".join([f"{options.target}: {len(explanation.rows)} settings, all good.", *warnings]), 0


def _as_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2)


def _target(text: str) -> Any:
    module_name, colon, name = text.partition(":")
    if not (module_name and colon and name):
        message = "MODULE:NAME is the dotted name of a module, a colon, and a name in it: jobs.ingest:Settings"
        raise Misused(message)
    value: Any = _imported(module_name)
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            message = f"there is no {name} in {module_name}"
            raise Misused(message) from None
    return value


def _imported(name: str) -> Any:
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as python -m does
    try:
        return importlib.import_module(name)
    except ControlRoomError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            message = f"there is no module {name}, neither here nor installed"
            raise Misused(message) from None
        failure = f"there is no module {error.name}, which it imports"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module does when it is imported
        frame = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"{type(error).__name__} at {frame.filename}:{frame.lineno}"  # its text may hold anything
    message = f"{name} cannot be imported: {failure}. Nothing was looked at."
    raise ConfigError(message) from None


def _class_of(target: Any, options: argparse.Namespace) -> type[BaseSettings]:
    model = target if isinstance(target, type) else getattr(target, "settings", None)
    if not (isinstance(model, type) and issubclass(model, BaseSettings)):
        message = f"{options.target} is neither a subclass of BaseSettings nor a job that has settings"
        raise Misused(message)
    return model


def _prefix_of(target: Any) -> str:
    return str(getattr(target, "loading", {}).get("prefix", "APP_"))  # a job knows its own


def _loaded(target: Any, options: argparse.Namespace) -> BaseSettings:
    model = _class_of(target, options)
    arguments: dict[str, Any] = {"profile": options.profile, "assignments": dict(map(_assignment, options.set))}
    if options.unknown:
        arguments["unknown"] = options.unknown
    places = {"prefix": options.prefix, "files": options.file, "secrets_dir": options.secrets_dir}
    given = {name: value for name, value in places.items() if value is not None}
    if missing := [file for file in options.file or () if not Path(file).expanduser().is_file()]:
        message = f"there is no file {', '.join(missing)}"
        raise Misused(message)
    if isinstance(target, type):
        return load_settings(model, **given, **arguments)
    return cast("BaseSettings", target._load(**given, **arguments))  # noqa: SLF001 - a job, which stands above this floor


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals):
        message = "--set needs NAME=VALUE"  # not the text: it may be a secret
        raise Misused(message)
    return name.strip(), value
