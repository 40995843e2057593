"""The records of a body, or the reason why it has none to give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlroom.errors import APIContractError
from controlroom.policy.pagination.paths import MISSING, Path, value_at

__all__ = ["records_in"]


def records_in(body: Any, path: Path | None, asked: str) -> list[Any]:
    """Return the records at *path* in *body*; without a path, the body is the list. Null there is an empty list.

    *asked* is the request for messages: "GET https://…".

    Raises:
        APIContractError: There is nothing there, or no list; or the body reports an error, whatever the status said.
    """
    found = body if path is None else value_at(body, path)
    place = "its body" if path is None else f'"{path}"'
    if found is MISSING:
        raise _wrong_shape(body, f"{asked}: the answer has no {place}")
    # A function of the body was written by somebody who knows what stands beside the records.
    if (not found or isinstance(path, str)) and _error_in(body, path):
        beside = "records beside it: not all may be there" if found else f"nothing in {place}"
        raise _wrong_shape(body, f"{asked}: the answer reports an error and has {beside}")
    if found is None and path is not None:
        return []
    if not isinstance(found, list | tuple):
        raise _wrong_shape(body, f"{asked}: the answer has a {type(found).__name__} instead of a list as {place}")
    return list(found)


def _error_in(body: Any, path: Path | None = None) -> Any:
    """Return what *body* reports as an error; not what holds the records themselves (a list of errors is a list)."""
    if not isinstance(body, Mapping):
        return None
    own = path.partition(".")[0] if isinstance(path, str) else None
    reported = (body[name] for name in ("error", "errors") if name != own and body.get(name))
    denied = (f'"{name}": false' for name in ("success", "ok") if body.get(name) is False)
    return next(reported, None) or next(denied, None)


def _wrong_shape(body: Any, what: str) -> APIContractError:
    keys = ", ".join(map(str, list(body)[:10])) if isinstance(body, Mapping) else ""
    shape = f"an object with {keys or 'nothing'}" if isinstance(body, Mapping) else f"a {type(body).__name__}"
    reported = f" It reports: {str(_error_in(body))[:200]}." if _error_in(body) else ""
    act = "" if reported else " Correct Endpoint(records=…)."
    message = f"{what}; it is {shape}.{reported} The page was not handed out.{act}"
    return APIContractError(message, body_excerpt=repr(body)[:500])
