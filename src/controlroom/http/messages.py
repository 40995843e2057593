"""What goes out and what comes back, in our own words: no type of the HTTP library is in sight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from controlroom.errors import APIContractError, ConfigError
from controlroom.http.parsing import parsed
from controlroom.redaction import redact_text

__all__ = ["Headers", "Request", "Response", "is_token"]

T = TypeVar("T")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


def is_token(text: str) -> bool:
    """Tell whether *text* can be a method or the name of a header (RFC 9110 §5.6.2)."""
    return _TOKEN.fullmatch(text) is not None


class Headers(MutableMapping[str, str]):
    """Header fields. Look-up ignores case; fields that came several times are joined by ", " (RFC 9110 §5.2)."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        found: dict[str, tuple[str, str]] = {}
        for name, value in fields.items() if isinstance(fields, Mapping) else fields:
            before = found.get(key := name.lower())
            found[key] = (name, value) if before is None else (name, f"{before[1]}, {value}")
        self._fields = found

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str) -> str: ...
    @overload
    def get(self, name: str, /, default: T) -> str | T: ...
    def get(self, name: str, /, default: Any = None) -> Any:
        """Return the value of *name*, or *default*; the inherited one raises and catches an error for each absent field."""
        field = self._fields.get(name.lower())
        return default if field is None else field[1]

    def __setitem__(self, name: str, value: str) -> None:
        self._fields[name.lower()] = (name, value)

    def __delitem__(self, name: str) -> None:
        del self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"  # names only: a value may be a credential

    def copy(self) -> Headers:
        """Return headers of the same fields, to be changed."""
        copied = Headers()
        copied._fields = self._fields.copy()
        return copied

    def take_over(self, others: Headers) -> None:
        """Set every field of *others*: `update`, for what goes out with each request."""
        self._fields |= others._fields

    def raw(self) -> list[tuple[bytes, bytes]]:
        """Return the fields as they are written on the wire."""
        return [(name.encode("ascii"), value.encode("ascii")) for name, value in self._fields.values()]

    def require_sendable(self, known: Headers | None = None) -> None:
        """Refuse what would split a request in two, or cannot be written on the wire.

        Args:
            known: Fields that were found sendable: not looked at again.

        Raises:
            ConfigError: A name is no token, or a value has a line break, a control or a non-ASCII character.
        """
        value: Any  # a caller without a type checker may have put anything here
        passed = {} if known is None else known._fields
        for key, (name, value) in self._fields.items():
            if passed.get(key) == (name, value):
                continue
            if not isinstance(value, str) or not is_token(name) or not _VALUE.fullmatch(value):
                message = (
                    f"The header {name!r} cannot be sent: a value is one line of printable ASCII. Nothing was sent."
                )
                raise ConfigError(message)


@dataclass(slots=True, repr=False)
class Request:
    """A request about to be sent, as an ``auth=`` callable sees and changes it. Made anew for each try.

    Attributes:
        method: "GET" or another.
        url: Absolute, with its query, without credentials.
        headers: What will be sent; set credentials here …
        params: … or here: added to the query, in the place of any of the same name.
        content: The body.
    """

    method: str
    url: str
    headers: Headers = field(default_factory=Headers)
    params: dict[str, str] = field(default_factory=dict)
    content: bytes = b""

    def __repr__(self) -> str:
        return f"Request({self.method} {redact_text(self.url)}, {self.headers!r}, {len(self.content)} bytes)"


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """An answer, read to its end.

    Attributes:
        status_code: Below 400, or an error would have been raised.
        headers: Look-up ignores case.
        content: The body, decompressed.
        method: Of the request.
        url: Where it came from, after redirects; without credentials.
    """

    status_code: int
    headers: Headers
    content: bytes = b""
    method: str = "GET"
    url: str = ""

    def __repr__(self) -> str:
        asked = f"{self.method} {redact_text(self.url)}"
        return f"Response({self.status_code} to {asked}, {self.headers!r}, {len(self.content)} bytes)"

    @property
    def text(self) -> str:
        """The body as UTF-8 text; bytes that are not become U+FFFD."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as parsed JSON (RFC 8259: NaN and Infinity are no numbers).

        Raises:
            APIContractError: The body is not JSON.
        """
        try:
            return parsed(self.content)
        except (ValueError, RecursionError) as error:
            kind = self.headers.get("content-type", "no content type")
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            message = (
                f"{self.method} {self.url} answered {self.status_code} with {len(self.content)} bytes that are not JSON "
                f"({kind}): {reason}."
            )
            excerpt = self.text[:500]
            raise APIContractError(message, method=self.method, url=self.url, body_excerpt=excerpt) from error
