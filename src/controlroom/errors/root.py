"""The root of the taxonomy, and the chain of causes as data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, TypedDict, Unpack, cast

from controlroom.errors.text import kept, masked, plain, portable, shown
from controlroom.errors.values import EX_SKIPPED, EX_SOFTWARE, EX_TEMPFAIL, Attempt, Disposition, seconds_of

_ARGS: Final = BaseException.__dict__["args"]
_EXIT_CODES: Final = {Disposition.RETRY: EX_TEMPFAIL, Disposition.SKIP: EX_SKIPPED}
_LONGEST_CHAIN = 20  # a longer one is a loop or a bug; the first causes matter
_LONGEST_MESSAGE = 64 * 1024  # characters; what is longer is a body, and is masked anew each time it is read
_MOST_CAUSES = 100  # groups inside groups multiply
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class ErrorContext(TypedDict, total=False):
    """Keyword arguments that every error takes."""

    disposition: Disposition | None
    attempts: Sequence[Attempt]
    retry_after_s: float | None


class ControlRoomError(Exception):
    """Root of everything that controlroom raises; catch this in ``main()``.

    Args:
        message: The fact; the state left behind; the next act. Beyond 64 KiB it is cut, and says by how much.
        disposition: Overrides the class's own, where the caller knows better.
        attempts: The tries that came before, oldest first.
        retry_after_s: Seconds that the other side asked to wait. A negative number counts as 0, and one that is not
            finite as None: what a server sends must not stop the report of what it did.

    Attributes:
        code: Stable slug, a heading in docs/reference/errors.md.
        checkpoint: Resumes the walk over an API's pages that this error ended; None where it ended none. Kept and pickled
            as it is, or it would not resume; `to_dict` shows it masked.

    Raises:
        TypeError: A keyword that this class does not know.
        ValueError: *disposition* is none.

    Guarantees:
        Survives ``pickle``, ``copy.deepcopy`` and a process pool with message, attributes, attempts, notes and the
        chain of causes (as data) intact; so does every subclass, whatever its ``__init__`` takes. An attribute of a
        subclass that cannot be pickled arrives as its text.
        ``str()``, ``repr()``, ``to_dict()``, ``message``, ``args``, notes and the pickle never show a registered secret,
        even one that was registered after the error was built.
        Not promised: ``__cause__`` and the traceback as live objects after such a journey; equality, which is identity.
    """

    code: ClassVar[str] = "controlroom"
    default_disposition: ClassVar[Disposition] = Disposition.STOP
    final_exit_code: ClassVar[int] = EX_SOFTWARE
    _verbatim: ClassVar[frozenset[str]] = frozenset({"checkpoint"})  # of no use masked; `to_dict` masks it too

    # Of a subclass whose __init__ does not call ours.
    attempts: tuple[Attempt, ...] = ()
    retry_after_s: float | None = None
    checkpoint: dict[str, Any] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give a subclass its code, ``PublicationInDoubtError`` → ``publication-in-doubt``, unless it names one."""
        super().__init_subclass__(**kwargs)
        if "code" not in cls.__dict__:
            cls.code = _WORD_START.sub("-", cls.__name__.removesuffix("Error") or cls.__name__).lower()

    def __init__(self, message: str, **context: Unpack[ErrorContext]) -> None:
        if unknown := context.keys() - ErrorContext.__annotations__.keys():
            text = f"{type(self).__name__}() got unexpected keyword arguments: {', '.join(sorted(unknown))}"
            raise TypeError(text)
        self.message = message
        super().__init__(self.message)
        self.disposition = context.get("disposition") or self.default_disposition
        self.attempts = tuple(context.get("attempts") or ())
        self.retry_after_s = seconds_of(context.get("retry_after_s"))

    @property
    def message(self) -> str:
        """The fact; the state left behind; the next act. Secrets masked."""
        stored = self.__dict__.get("_message")
        return shown(" ".join(map(str, self.args)) if stored is None else stored)

    @message.setter
    def message(self, message: str) -> None:
        text = shown(message)  # masked before it is cut: half a secret is not recognised
        more = len(text) - _LONGEST_MESSAGE
        self._message = text if more <= 0 else f"{text[:_LONGEST_MESSAGE]}…(+{more} characters)"

    @property
    def args(self) -> tuple[Any, ...]:
        """As of every exception, but plain data with secrets masked."""
        return tuple(kept(arg) for arg in _ARGS.__get__(self))

    @args.setter
    def args(self, args: tuple[Any, ...]) -> None:
        _ARGS.__set__(self, args)

    @property
    def disposition(self) -> Disposition:
        """What to do about this error."""
        disposition: Disposition = self.__dict__.get("_disposition", self.default_disposition)
        return disposition

    @disposition.setter
    def disposition(self, disposition: Disposition) -> None:
        self._disposition = Disposition(disposition)

    @property
    def exit_code(self) -> int:
        """The sysexits(3) number a process that ends with this error returns.

        75 whenever trying again can help, 99 when there was nothing to do; otherwise by class.
        """
        return _EXIT_CODES.get(self.disposition, self.final_exit_code)

    @property
    def causes(self) -> tuple[dict[str, Any], ...]:
        """The chain of causes, nearest first, as data; also after the error crossed a process."""
        return cause_chain(self)

    @property
    def __notes__(self) -> list[str]:
        """What `add_note` collected, secrets masked; absent, as of every exception, until there is one."""
        if "__notes__" not in self.__dict__:
            message = "__notes__"
            raise AttributeError(message)
        notes: list[str] = self.__dict__["__notes__"]
        notes[:] = map(shown, notes)
        return notes

    @__notes__.setter
    def __notes__(self, notes: Sequence[str]) -> None:
        self.__dict__["__notes__"] = list(notes) if isinstance(notes, list | tuple) else [notes]

    def add_note(self, note: str, /) -> None:
        """Attach *note*, secrets masked."""
        if not isinstance(note, str):
            message = f"a note is str, not {type(note).__name__}"
            raise TypeError(message)
        self.__dict__.setdefault("__notes__", []).append(shown(note))

    def to_dict(self) -> dict[str, Any]:
        """Return the whole error as JSON-ready data: attributes, attempts, notes and the chain of causes.

        An attribute of a subclass that is named like a key that every error has (``type``, ``notes``, …) gets a
        trailing underscore.
        """
        own = {
            "type": type(self).__name__,
            "code": shown(self.code),
            "message": self.message,
            "disposition": self.disposition.value,
            "exit_code": self.exit_code,
            "attempts": [attempt.to_dict() for attempt in self.attempts],
            "notes": _notes_of(self),
            "causes": list(self.causes),
        }
        return _with_details(own, self)

    def __str__(self) -> str:
        message, code = self.message, f"[{self.code}]"
        separator = "\n" if "\n" in message else " "
        return shown(f"{message}{separator}{code}" if message else code)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={shown(self.code)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from state, not from arguments: a subclass may have any ``__init__`` and still survive."""
        attributes, slots = _attributes(self)
        state = {key: value if key in self._verbatim else portable(value) for key, value in attributes.items()}
        if causes := self.causes:
            state["_causes"] = causes
        return _rebuild, (type(self), self.args, state, portable(slots))


def _rebuild(
    cls: type[ControlRoomError], args: tuple[Any, ...], state: dict[str, Any], slots: dict[str, Any]
) -> ControlRoomError:
    error = cls.__new__(cls, *args)
    error.args = args  # OSError takes them in __init__
    error.__dict__.update(state)
    for name, value in slots.items():
        object.__setattr__(error, name, value)
    return error


def common_context(context: Mapping[str, Any]) -> ErrorContext:
    """Return what a class on the way left over, for the root class, which refuses what none of them knew."""
    return cast("ErrorContext", dict(context))


def _attributes(error: ControlRoomError) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the instance holds in its ``__dict__`` and in the slots of its class, if it has any."""
    state: Any = object.__getstate__(error)
    attributes, slots = state if isinstance(state, tuple) else (state, {})
    return dict(attributes or {}), slots


def _with_details(own: dict[str, Any], error: ControlRoomError) -> dict[str, Any]:
    """Return *own*, which comes from the root class, and the typed attributes that *error* has beyond."""
    attributes, slots = _attributes(error)
    details = dict(own)
    for key, value in (attributes | slots).items():
        if not key.startswith("_") and key != "attempts":
            name = key
            while name in details:
                name += "_"
            details[name] = masked(plain(value))
    return details


def _notes_of(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", None)
    return [shown(note) for note in notes] if isinstance(notes, list | tuple) else []


def cause_chain(error: BaseException) -> tuple[dict[str, Any], ...]:
    """Return what led to *error*, nearest cause first, as JSON-ready data without secrets.

    Each cause has ``type`` and ``message``; also ``notes``, code, attempts and typed attributes of a `ControlRoomError`,
    and the ``members`` of an exception group, each with its own ``causes``, where there are any. At most 20 causes of one
    error are followed, and 100 in all; none is told twice.
    """
    return tuple(_Telling().causes_of(error))


class _Telling:
    """One walk over everything that led to an error."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def causes_of(self, error: BaseException) -> list[dict[str, Any]]:
        chain: list[dict[str, Any]] = []
        brought = _causes_brought(error)
        self._told.add(id(error))
        cause = _next_in_chain(error)
        while cause is not None and self._is_new(cause) and len(chain) < _LONGEST_CHAIN:
            chain.append(self._of_one(cause))
            brought += _causes_brought(cause)
            cause = _next_in_chain(cause)
        return [*chain, *(one for one in brought if one not in chain)][:_LONGEST_CHAIN]

    def _is_new(self, error: BaseException) -> bool:
        return id(error) not in self._told and len(self._told) < _MOST_CAUSES

    def _of_one(self, error: BaseException) -> dict[str, Any]:
        self._told.add(id(error))
        ours = error if isinstance(error, ControlRoomError) else None
        told: dict[str, Any] = {
            "type": _qualified_name(type(error)),
            "message": shown(error) if ours is None else ours.message,
        }
        if ours is not None:
            told["code"] = shown(ours.code)
        if ours is not None and ours.attempts:
            told["attempts"] = [attempt.to_dict() for attempt in ours.attempts]
        if notes := _notes_of(error):
            told["notes"] = notes
        if isinstance(error, BaseExceptionGroup):
            told["members"] = [self._of_member(one) for one in error.exceptions[:_LONGEST_CHAIN] if self._is_new(one)]
        return told if ours is None else _with_details(told, ours)

    def _of_member(self, member: BaseException) -> dict[str, Any]:
        told = self._of_one(member)
        causes = self.causes_of(member)
        return told | ({"causes": causes} if causes else {})


def _qualified_name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _next_in_chain(error: BaseException) -> BaseException | None:
    """Return what a traceback would print as the cause: explicit, or implicit unless ``from None``."""
    cause = error.__cause__
    if cause is None:
        return None if error.__suppress_context__ else error.__context__
    # A process pool puts the text of a traceback there. Our errors bring their causes along.
    is_text = isinstance(error, ControlRoomError) and type(cause).__name__ in {"_RemoteTraceback", "RemoteTraceback"}
    return None if is_text else cause


def _causes_brought(error: BaseException) -> list[dict[str, Any]]:
    """Return the causes that *error* had when it was pickled, secrets masked: some may have been registered since."""
    return list(portable(error.__dict__.get("_causes", ()))) if isinstance(error, ControlRoomError) else []
