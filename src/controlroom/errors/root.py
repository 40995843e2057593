"""The root of the taxonomy and what every error carries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypedDict, Unpack, cast

from controlroom.errors.text import masked, plain, text_of

# sysexits(3): a scheduler decides by number alone.
EX_DATAERR = 65
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_NOPERM = 77
EX_CONFIG = 78

_LONGEST_CHAIN = 20  # a chain of causes longer than this is a loop or a bug; the first ones matter
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Disposition(StrEnum):
    """What to do about an error; decided where it is detected, acted on by whoever is in charge."""

    RETRY = "retry"
    """Repeating can help: nothing was applied, or applying it twice is harmless."""
    QUARANTINE = "quarantine"
    """The content is wrong: set it aside with the reason and go on with the rest."""
    STOP = "stop"
    """Repeating cannot help: a person has to change something first."""
    RECONCILE = "reconcile"
    """The effect may or may not have happened: find out before doing anything else."""
    SKIP = "skip"
    """There was nothing to do; this is not a failure."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed try, kept on the error that ended the series.

    Attributes:
        number: 1-based.
        error: What failed, class name first, secrets masked.
        wait_s: Seconds waited before the next try; None after the last one.
        reason: Why it was retried, or why it was given up.
    """

    number: int
    error: str
    wait_s: float | None
    reason: str

    def __post_init__(self) -> None:
        """Mask the texts once, so that no copy of this value shows a secret."""
        object.__setattr__(self, "error", masked(self.error))
        object.__setattr__(self, "reason", masked(self.reason))

    def to_dict(self) -> dict[str, Any]:
        """Return the attempt as JSON-ready data."""
        return {
            "number": self.number,
            "error": masked(self.error),
            "wait_s": self.wait_s,
            "reason": masked(self.reason),
        }


class ErrorContext(TypedDict, total=False):
    """Keyword arguments that every error takes."""

    disposition: Disposition | None
    attempts: Sequence[Attempt]
    retry_after_s: float | None


class ControlRoomError(Exception):
    """Root of everything that controlroom raises; catch this in ``main()``.

    Args:
        message: The fact; the state left behind; the next act.
        disposition: Overrides the class's own, where the caller knows better.
        attempts: The tries that came before, oldest first.
        retry_after_s: Seconds that the other side asked to wait.

    Attributes:
        code: Stable slug, a heading in docs/reference/errors.md.

    Guarantees:
        Survives ``pickle``, ``copy.deepcopy`` and a process pool with message, attributes, attempts, notes and the
        chain of causes (as data) intact. ``str()``, ``repr()``, ``to_dict()`` and notes never show a registered secret.
        Not promised: ``__cause__`` and the traceback as live objects after such a journey.
    """

    code: ClassVar[str] = "controlroom"
    default_disposition: ClassVar[Disposition] = Disposition.STOP
    final_exit_code: ClassVar[int] = EX_SOFTWARE

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give a subclass its code, ``PublicationInDoubtError`` → ``publication-in-doubt``, unless it names one."""
        super().__init_subclass__(**kwargs)
        if "code" not in cls.__dict__:
            cls.code = _WORD_START.sub("-", cls.__name__.removesuffix("Error")).lower()

    def __init__(self, message: str, **context: Unpack[ErrorContext]) -> None:
        self.message: str = masked(str(message))
        super().__init__(self.message)
        self.disposition: Disposition = context.get("disposition") or self.default_disposition
        self.attempts: tuple[Attempt, ...] = tuple(context.get("attempts", ()))
        self.retry_after_s: float | None = context.get("retry_after_s")

    @property
    def exit_code(self) -> int:
        """The sysexits(3) number a process that ends with this error returns: 75 whenever trying again can help."""
        return EX_TEMPFAIL if self.disposition is Disposition.RETRY else self.final_exit_code

    @property
    def causes(self) -> tuple[dict[str, Any], ...]:
        """The chain of causes, nearest first, as data; also after the error crossed a process."""
        live = cause_chain(self)
        if live and not live[0]["type"].endswith("RemoteTraceback"):  # what a process pool puts in __cause__
            return live
        stored: tuple[dict[str, Any], ...] = self.__dict__.get("_causes", ())
        return tuple(masked(cause) for cause in stored)

    def add_note(self, note: str, /) -> None:
        """Attach *note*, secrets masked."""
        super().add_note(masked(note))

    def to_dict(self) -> dict[str, Any]:
        """Return the whole error as JSON-ready data: attributes, attempts, notes and the chain of causes."""
        return {
            "type": type(self).__name__,
            "code": self.code,
            "message": masked(self.message),
            "disposition": self.disposition.value,
            "exit_code": self.exit_code,
            **_details(self),
            "attempts": [attempt.to_dict() for attempt in self.attempts],
            "notes": [masked(note) for note in getattr(self, "__notes__", ())],
            "causes": list(self.causes),
        }

    def __str__(self) -> str:
        separator = "\n" if "\n" in self.message else " "
        return str(masked(f"{self.message}{separator}[{self.code}]"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({masked(self.message)!r}, code={self.code!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from state, not from arguments: a subclass may have any ``__init__`` and still survive."""
        state = {key: masked(value) if type(value) is str else value for key, value in self.__dict__.items()}
        if causes := self.causes:
            state["_causes"] = causes
        return _rebuild, (type(self), tuple(masked(arg) for arg in self.args), state)


def _rebuild(cls: type[ControlRoomError], args: tuple[Any, ...], state: dict[str, Any]) -> ControlRoomError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


def common_context(context: Mapping[str, Any]) -> ErrorContext:
    """Return what is left for the root class, refusing what no class on the way knew."""
    if unknown := set(context) - ErrorContext.__annotations__.keys():
        message = f"unexpected keyword arguments: {', '.join(sorted(unknown))}"
        raise TypeError(message)
    return cast("ErrorContext", dict(context))


def _details(error: ControlRoomError) -> dict[str, Any]:
    """Return the typed attributes: whatever the instance holds beyond what `to_dict` names itself."""
    named = {"message", "disposition", "attempts"}
    public = {key: value for key, value in error.__dict__.items() if not key.startswith("_") and key not in named}
    return {key: masked(plain(value)) for key, value in public.items()}


def _qualified_name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _next_in_chain(error: BaseException) -> BaseException | None:
    """Return what a traceback would print as the cause: explicit, or implicit unless ``from None``."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _as_cause(error: BaseException, depth: int) -> dict[str, Any]:
    cause: dict[str, Any] = {"type": _qualified_name(type(error)), "message": masked(text_of(error))}
    if isinstance(error, ControlRoomError):
        cause |= {"message": masked(error.message), "code": error.code, **_details(error)}
    if notes := [masked(str(note)) for note in getattr(error, "__notes__", ())]:
        cause["notes"] = notes
    if isinstance(error, BaseExceptionGroup) and depth < _LONGEST_CHAIN:
        cause["members"] = [_as_cause(member, depth + 1) for member in error.exceptions[:_LONGEST_CHAIN]]
    return cause


def cause_chain(error: BaseException) -> tuple[dict[str, Any], ...]:
    """Return what led to *error*, nearest cause first, as JSON-ready data without secrets.

    Each cause has ``type`` and ``message``; also ``notes``, the typed attributes of a `ControlRoomError` and the
    ``members`` of an exception group, where there are any. At most 20 causes are followed; a loop ends the walk.
    """
    chain: list[dict[str, Any]] = []
    seen = {id(error)}
    cause = _next_in_chain(error)
    while cause is not None and id(cause) not in seen and len(chain) < _LONGEST_CHAIN:
        seen.add(id(cause))
        chain.append(_as_cause(cause, 0))
        cause = _next_in_chain(cause)
    return tuple(chain)
