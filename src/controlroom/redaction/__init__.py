"""What may be shown: secrets are masked by value, by the name of their key, and by the places where they usually stand.

By value is the strong rule: every secret that was registered is replaced in any text, also in its URL-encoded, base64,
hexadecimal and JSON-escaped forms. By name and by place are nets for what nobody registered.

Not promised: a secret that was neither registered nor stands under a telling name; a form that `controlroom.redaction.forms`
does not list (encrypted, compressed, split over two texts).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any, Final

from controlroom.errors.text import redact_with, text_of
from controlroom.redaction.forms import forms_of
from controlroom.redaction.names import is_sensitive_name
from controlroom.redaction.places import placed_secrets
from controlroom.redaction.registry import Registry, Span

__all__ = [
    "MASK",
    "forget_secrets",
    "generation",
    "is_clean",
    "is_sensitive_name",
    "longest_secret",
    "numbers_may_hold_secrets",
    "redact",
    "redact_text",
    "register_secret",
    "telling_places",
]

MASK: Final = "***"

_DEEPEST = 32  # deeper than any body that a person would read
_LONGEST_REMEMBERED = 256
_MOST_REMEMBERED = 4_096
_NUMBERS = frozenset({int, float})
_PAIR = 2
_MOST_PASSES = 8  # a mask beside other text may complete another secret; two passes settle all but made-up cases

_registry = Registry()


def register_secret(value: str | bytes) -> None:
    """Mask *value* from now on, in every log line, error and report of this process.

    Args:
        value: The secret. Blanks around it do not count; blank values, and those of asterisks alone, are ignored. One
            shorter than four characters is masked only where it stands alone between non-word characters. Of one with
            several lines, each line of 16 characters or more is masked for itself too.

    Raises:
        TypeError: *value* is neither text nor bytes; the text of another object is seldom the secret in it.

    Guarantees:
        Thread-safe. Its URL-encoded, base64 (also inside a longer encoded text), hexadecimal, JSON- and repr-escaped
        forms are masked too.
    """
    if isinstance(value, bytearray | memoryview):
        value = bytes(value)
    if not isinstance(value, str | bytes):
        message = f"a secret is str or bytes, not {type(value).__name__}"
        raise TypeError(message)
    _registry.add(forms_of(value))


def forget_secrets() -> None:
    """Empty the registry. For tests: a process that used a secret keeps masking it until it ends."""
    global _registry  # noqa: PLW0603 - one registry a process, by design: a secret is secret everywhere
    _registry = Registry()


def generation() -> int:
    """Return a number that changes with every secret: what was judged under it holds as long as it stays."""
    return _registry.generation


def numbers_may_hold_secrets() -> bool:
    """Tell whether the text of a number could hold a registered secret, such as a PIN."""
    return _registry.in_numbers


def longest_secret() -> int:
    """Return the characters of the longest form of a registered secret: half of one is hidden by what is cut around it."""
    return _registry.longest


def is_clean(text: str) -> bool:
    """Tell whether `redact_text` would return *text* as it is. Nothing is remembered."""
    return not (_registry.spans(text) or placed_secrets(text)) or redact_text(text) == text


def redact_text(text: str) -> str:
    """Return *text* with every registered secret, URL password, bearer token and tellingly named value masked.

    Guarantees:
        Time grows linearly with the text and hardly with the number of secrets. What is masked stays as it is when it is
        masked again.
    """
    # Keys, event names and hosts come again in every line. What was judged is asked for, and kept, in the memory that
    # was the registry's before: the next secret starts another one.
    registry = _registry
    remembered = registry.remembered
    known = remembered.get(text)
    if known is not None:
        return known
    masked = _redacted(text, registry)
    if len(text) <= _LONGEST_REMEMBERED:
        if len(remembered) >= _MOST_REMEMBERED:
            remembered.clear()
        remembered[text] = masked
    return masked


def _redacted(text: str, registry: Registry) -> str:
    for _ in range(_MOST_PASSES):
        spans = registry.spans(text) + placed_secrets(text)
        if not spans or (masked := _with_masks(text, spans)) == text:
            break
        text = masked
    return text


def _with_masks(text: str, spans: list[Span]) -> str:
    """Return *text* with every span masked, those that overlap or touch as one."""
    spans.sort()
    pieces: list[str] = []
    covered_to = 0
    for start, end in spans:
        if start > covered_to or not pieces:
            pieces += [text[covered_to:start], MASK]
        covered_to = max(covered_to, end)
    return "".join([*pieces, text[covered_to:]])


def redact(value: Any) -> Any:
    """Return *value* with secrets masked at any depth: texts by value and place, entries of mappings by key name.

    Mappings become dicts, sequences and sets lists, tuples tuples; bytes are masked as UTF-8 text where they hold a
    secret. Under a telling key, in a telling field of a named tuple, and beside a telling name in a pair (a header), every
    text and number is masked, however deep; a number elsewhere where it is a registered secret. None, truth values and
    unknown objects come back as they are. The argument is not changed.

    Guarantees:
        Never raises: what cannot be read is replaced by a remark, and so is what contains itself.
    """
    return redact_text(value) if type(value) is str else _Walk().masked(value, 0, secret=False)


class _Walk:
    """One pass over one value. Each container is visited once, or shared parts would multiply."""

    __slots__ = ("_visited",)

    def __init__(self) -> None:
        # The container itself is kept too: an id is unique only as long as its object lives.
        self._visited: dict[tuple[int, bool], tuple[Any, Any]] = {}

    def masked(self, value: Any, depth: int, *, secret: bool) -> Any:
        kind = type(value)
        if kind is str:
            return _text(value, secret=secret)
        if value is None or kind is bool:
            return value
        if kind in _NUMBERS:
            return _number(value, secret=secret)
        try:
            return self._other(value, depth, secret=secret)
        except Exception as unreadable:  # noqa: BLE001 - a foreign container may raise anything; a report must not
            return f"<{kind.__name__} that raised {type(unreadable).__name__}>"

    def _other(self, value: Any, depth: int, *, secret: bool) -> Any:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return _text(str.__str__(value), secret=secret)
        if isinstance(value, bytes | bytearray):
            return _bytes(value, secret=secret)
        if isinstance(value, Mapping | list | tuple | AbstractSet | deque):
            return self._container(value, depth, secret=secret)
        return value

    def _container(self, value: Any, depth: int, *, secret: bool) -> Any:
        key = (id(value), secret)
        if key in self._visited:
            return self._visited[key][1]
        if depth >= _DEEPEST:
            return "…"
        self._visited[key] = (value, "…")
        masked = self._members(value, depth + 1, secret=secret)
        self._visited[key] = (value, masked)
        return masked

    def _members(self, value: Any, depth: int, *, secret: bool) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, depth, secret=secret)
        telling = telling_places(value)
        items = [self.masked(item, depth, secret=secret or place in telling) for place, item in enumerate(value)]
        return tuple(items) if type(value) is tuple else items

    def _mapping(self, value: Mapping[Any, Any], depth: int, *, secret: bool) -> dict[Any, Any]:
        shown: dict[Any, Any] = {}
        for key, item in value.items():
            name = self._key(key, depth)
            while isinstance(name, str) and name in shown:  # two keys that differed only in the secret they held
                name += "_"
            shown[name] = self.masked(item, depth, secret=secret or _is_telling(key))
        return shown

    def _key(self, key: Any, depth: int) -> Any:
        if isinstance(key, frozenset):
            return frozenset(self._key(item, depth) for item in key)
        return self.masked(key, depth, secret=False) if isinstance(key, str | bytes | tuple) else key


def _is_telling(name: Any) -> bool:
    if isinstance(name, bytes):  # HTTP headers, before anybody decoded them
        name = name.decode("latin-1")
    return isinstance(name, str) and is_sensitive_name(name)


def telling_places(value: Any) -> Container[int]:
    """Return where in a tuple a secret stands: in a telling field (of a named tuple), or beside a telling name (a header)."""
    if not isinstance(value, tuple):
        return ()
    if (names := getattr(value, "_fields", None)) is not None:
        return {place for place, name in enumerate(names) if _is_telling(name)}
    return (1,) if len(value) == _PAIR and _is_telling(value[0]) else ()


def _number(value: float, *, secret: bool) -> Any:
    if secret:
        return MASK
    if not numbers_may_hold_secrets():
        return value
    text = text_of(value)
    masked = redact_text(text)
    return value if masked == text else masked


def _text(text: str, *, secret: bool) -> str:
    return (MASK if text else "") if secret else redact_text(text)


def _bytes(value: bytes | bytearray, *, secret: bool) -> bytes | bytearray:
    text = value.decode("utf-8", "surrogateescape")
    masked = _text(text, secret=secret)
    return value if masked == text else masked.encode("utf-8", "surrogateescape")


redact_with(redact)
