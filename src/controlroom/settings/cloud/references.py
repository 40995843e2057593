"""The grammar of cloud references, and the one member of a JSON document that a reference may ask for. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

__all__ = ["Reference", "Secret", "Service", "member_of", "parsed"]

Service = Literal["secretsmanager", "ssm"]

_REFERENCE = re.compile(r"\s*aws-(?P<service>sm|ssm)://(?P<rest>.*?)\s*", re.IGNORECASE | re.DOTALL)
_ARN = re.compile(r"arn:[a-z-]+:(?P<service>[a-z]+):(?P<region>[a-z0-9-]+):\d+:(?:secret:|parameter)(?P<name>.+)")
_REGION = re.compile(r"[a-z]+(-[a-z]+)+-\d+")
_SERVICES: dict[str, Service] = {"sm": "secretsmanager", "ssm": "ssm"}
_OPTIONS: dict[Service, frozenset[str]] = {
    "secretsmanager": frozenset({"stage", "version", "region"}),
    "ssm": frozenset({"region"}),
}
_NAMES: dict[Service, re.Pattern[str]] = {  # API references of CreateSecret, and of PutParameter with its selectors
    "secretsmanager": re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}"),
    "ssm": re.compile(r"[A-Za-z0-9/_.-]{1,2048}(:[A-Za-z0-9_.-]{1,100})?"),
}


@dataclass(frozen=True, slots=True, order=True)
class Secret:
    """What is fetched and cached as a whole: one secret of Secrets Manager, or one parameter of the Parameter Store.

    Attributes:
        service: "secretsmanager" or "ssm".
        name: Name or ARN, as AWS is asked for it; of a parameter with its version or label, if one was given.
        region: Where it is; empty where the configuration of this process decides.
        stage: The staging label; empty for the current one.
        version: The version id; empty for none.
    """

    service: Service
    name: str
    region: str = ""
    stage: str = ""
    version: str = ""

    def __str__(self) -> str:
        """As a reference would name it. An ARN is cut to its name: ``:secret:`` before it would have it masked."""
        found = _ARN.fullmatch(self.name)
        options = {"stage": self.stage, "version": self.version, "region": self.region}
        query = "&".join(f"{key}={value}" for key, value in options.items() if value)
        scheme = "aws-sm" if self.service == "secretsmanager" else "aws-ssm"
        return f"{scheme}://{found['name'] if found else self.name}{'?' if query else ''}{query}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A secret, and the member of its JSON document that is meant; None for all of it."""

    secret: Secret
    key: str | None = None

    def __str__(self) -> str:
        return str(self.secret) if self.key is None else f"{self.secret}#{self.key}"


def parsed(text: str) -> Reference:
    """Return the reference that *text* is.

    Raises:
        ValueError: It is none; the message says what is wrong with it, in words that can follow "because".
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        message = "it begins neither with aws-sm:// nor with aws-ssm://"
        raise ValueError(message)
    service = _SERVICES[found["service"].lower()]
    address, hash_sign, key = found["rest"].partition("#")
    if hash_sign and not key:
        message = "no member of a JSON document is named after the #"
        raise ValueError(message)
    name, _, query = address.partition("?")
    return Reference(_secret(service, name, _options(service, query)), key or None)


def _options(service: Service, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=10) if query else []
    except ValueError:
        message = "what follows the ? is not name=value"
        raise ValueError(message) from None
    options = dict(pairs)
    if len(options) != len(pairs) or not options.keys() <= _OPTIONS[service] or not all(options.values()):
        message = f"after the ? stand, each once and with a value, only {', '.join(sorted(_OPTIONS[service]))}"
        raise ValueError(message)
    if "region" in options and not _REGION.fullmatch(options["region"]):
        message = "its region is not one, such as eu-west-1"
        raise ValueError(message)
    return options


def _secret(service: Service, name: str, options: dict[str, str]) -> Secret:
    if name.startswith("arn:"):
        found = _ARN.fullmatch(name)
        if found is None or found["service"] != service:
            message = f"it names an ARN, and not one of {service}"
            raise ValueError(message)
        if options.setdefault("region", found["region"]) != found["region"]:
            message = "its region is not that of its ARN"
            raise ValueError(message)
        plain = found["name"]
    else:
        plain = name
    if not _NAMES[service].fullmatch(plain):
        message = f"{'it names nothing' if not plain else 'its name has characters that AWS allows in none'}"
        raise ValueError(message)
    return Secret(service, name, **options)


def member_of(document: str, key: str) -> str:
    """Return the member *key* of the JSON object *document* as text; of "a.b" without such a member, "b" in "a".

    A number stays as it is written; an object, an array or a boolean is returned as JSON.

    Raises:
        LookupError: There is no such member, or it is null.
        ValueError: *document* is no JSON object. The message quotes nothing.
    """
    read = _loaded(document)
    value = _found_in(read, key)
    if value is None:
        raise LookupError(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(_found_in(_loaded(document, number=str), key))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _loaded(document: str, number: Any = None) -> dict[str, Any]:
    try:
        loaded = json.loads(document, parse_int=number, parse_float=number)
    except (ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, dict):
        message = "not a JSON object"
        raise ValueError(message)  # noqa: TRY004 - about a text, not about a type in the caller's code
    return loaded


def _found_in(read: Any, key: str) -> Any:
    if isinstance(read, dict) and key in read:
        return read[key]
    head, dot, rest = key.partition(".")
    return _found_in(read[head], rest) if dot and isinstance(read, dict) and head in read else None
