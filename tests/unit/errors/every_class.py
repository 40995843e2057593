"""Every public error class, and what each one takes: read from the classes, never listed."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import controlroom.errors
from controlroom.errors import Attempt, ControlRoomError, Disposition


def subclasses_of(cls: type[ControlRoomError]) -> list[type[ControlRoomError]]:
    own = [one for one in cls.__subclasses__() if one.__module__ == controlroom.errors.__name__]
    return [cls, *(deeper for one in own for deeper in subclasses_of(one))]


EVERY_CLASS = subclasses_of(ControlRoomError)


def keywords_of(cls: type[ControlRoomError]) -> list[str]:
    """The keyword arguments of *cls*, those of its TypedDict among them."""
    own = [p.name for p in inspect.signature(cls).parameters.values() if p.kind is p.KEYWORD_ONLY]
    shared = get_args(get_type_hints(cls.__init__)["context"])[0]
    return [*own, *shared.__annotations__]


SAMPLES: dict[str, Any] = {
    "actual": "sha256:bb",
    "attempts": (
        Attempt(1, "APITimeoutError: slow", 1.5, "transient"),
        Attempt(2, "APITimeoutError: slow", None, "last"),
    ),
    "body_excerpt": "<html>oops</html>",
    "column": "amount",
    "constraint": "orders_amount_check",
    "checkpoint": {"cursor": "abc", "page": 7, "next": ["a", None, 1.5]},
    "disposition": Disposition.RECONCILE,
    "expected": "sha256:aa",
    "holders": ("job 7, 3.5 s", "job 8, 0.1 s"),
    "lease": "nightly",
    "left_s": 3.1,
    "limit": 0.5,
    "line": 7,
    "method": "GET",
    "needed_s": 8.0,
    "phase": "read",
    "pid": 4711,
    "problem": {"title": "Out of credit", "status": 403, "accounts": ["/account/1", {"deep": [True, None]}]},
    "problems": ("APP_URL is missing", "APP_SIZE is not a number"),
    "received": 99,
    "ref": "s3://lake/orders.csv",
    "rejected": 12,
    "retry_after_s": 2.5,
    "row_index": 3,
    "sent": "yes",
    "signal": 2,
    "sqlstate": "40P01",
    "status_code": 409,
    "table": "orders",
    "token": "0198c2c4-7e1b",
    "total": 100,
    "url": "https://api.example.com/orders?page=7",
    "write_id": "w-1",
    "xid": "771",
}


def sample_of(
    cls: type[ControlRoomError], message: str = "It failed. Nothing was written. Call again."
) -> ControlRoomError:
    return cls(message, **{name: SAMPLES[name] for name in keywords_of(cls)})


def raised_sample_of(cls: type[ControlRoomError]) -> ControlRoomError:
    """A sample as it looks when it is caught: with notes, a traceback and a chain of causes."""
    error = sample_of(cls)
    error.add_note("while reading page 7")
    try:
        _fail_with(error)
    except ControlRoomError as caught:
        return caught
    raise AssertionError


def _fail_with(error: ControlRoomError) -> None:
    try:
        {}["innermost"]
    except KeyError as innermost:
        cause = ValueError("between")
        cause.__cause__ = innermost
        raise error from cause


def whole(error: ControlRoomError) -> dict[str, Any]:
    """All that has to survive a journey."""
    attributes = {key: value for key, value in vars(error).items() if key != "_causes"}
    return {
        "type": type(error),
        "str": str(error),
        "repr": repr(error),
        "args": error.args,
        "message": error.message,
        "attempts": error.attempts,
        "notes": getattr(error, "__notes__", None),
        "exit_code": error.exit_code,
        "disposition": error.disposition,
        "causes": error.causes,
        "to_dict": error.to_dict(),
        "attributes": attributes,
    }
