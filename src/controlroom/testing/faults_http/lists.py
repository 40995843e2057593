"""The list as an honest server would serve it, in each style of paging. The faults are laid over this."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict, get_args
from urllib.parse import quote

from controlroom.errors import ConfigError

__all__ = ["PARAMETERS", "POINTING", "STYLES", "ListOptions", "PagedList", "Place", "ServedPage", "Style"]

Style = Literal["cursor", "next_url", "link", "header_cursor", "post", "offset", "page", "keyset"]
"""How the list is paged: by a cursor in the body, a URL in the body, a Link header, a cursor in a header, a cursor in the
body of a POST; by offset, by page number, by the last record's key."""

STYLES: Final[tuple[Style, ...]] = get_args(Style)
POINTING: Final[tuple[Style, ...]] = ("cursor", "next_url", "link", "header_cursor", "post")
PARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "limit": "limit",
        "cursor": "cursor",
        "offset": "offset",
        "page": "page",
        "after": "after",
        "next": "X-Next-Cursor",
    }
)
"""What the list calls its parameters, and the header field of "header_cursor"; each may be renamed by ``parameters=``."""

_LARGEST_PAGE: Final = 1_000
_TOKEN: Final = re.compile(r"([rez])(\d+)")


@dataclass
class ServedPage:
    """What one answer says.

    Attributes:
        records: The page's records; None where a fault says null.
        next: The cursor or the URL of the next page; None at the end, and where the style says it elsewhere.
        total: How many records the list has; None where none is stated.
    """

    records: list[Any] | None
    next: str | None
    total: int | None


class ListOptions(TypedDict, total=False):
    """How a list is served.

    Attributes:
        style: How it is paged; "cursor" when not given.
        page_size: Records of a page that asks for no other number; 50.
        total: Whether each answer states how many records there are; True.
        key: Which entry of a record "keyset" pages by; "id".
        path: Where the list is; "/items".
        parameters: Other names for `PARAMETERS`; in the body of a POST a name may be a dotted path.
        body: Makes the JSON body of a page; {"items": …, "next": …, "total": …} when not given.
    """

    style: Style
    page_size: int
    total: bool
    key: str
    path: str
    parameters: Mapping[str, str]
    body: Callable[[ServedPage], Any]


@dataclass(frozen=True, slots=True)
class Place:
    """What a request asks for: *count* records from *start* on.

    ``kind`` is "r" for records, "e" and "z" for a page without any that points on to them:
    with an empty list, or null.
    """

    start: int
    count: int
    kind: str = "r"

    def holds(self, index: int) -> bool:
        """Tell whether the record at *index* is asked for."""
        return self.start <= index < self.start + self.count


@dataclass(frozen=True)
class PagedList:
    """Records, and how they are served; see `ListOptions`.

    Raises:
        ConfigError: An option is impossible.
    """

    records: Sequence[Any]
    style: Style = "cursor"
    page_size: int = 50
    total: bool = True
    key: str = "id"
    path: str = "/items"
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[ServedPage], Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what no test could mean."""
        if self.style not in STYLES:
            message = f"{self.style!r} is no style: choose {', '.join(STYLES)}."
            raise ConfigError(message)
        if self.page_size < 1 or not self.path.startswith("/"):
            message = f'page_size={self.page_size}, path={self.path!r}: a page holds a record, a path starts with "/".'
            raise ConfigError(message)
        if unknown := sorted(self.parameters.keys() - PARAMETERS.keys()):
            message = f"parameters= names {', '.join(unknown)}: there are {', '.join(PARAMETERS)}."
            raise ConfigError(message)

    @property
    def points(self) -> bool:
        """Whether an answer points to the next page; otherwise the client counts."""
        return self.style in POINTING

    def first_of(self, page: int) -> int:
        """Return the index of the first record of *page*, 1-based."""
        return (page - 1) * self.page_size

    def name(self, parameter: str) -> str:
        """Return what the list calls *parameter*."""
        return self.parameters.get(parameter, PARAMETERS[parameter])

    def place(self, query: Mapping[str, str], body: Any, largest: int = _LARGEST_PAGE) -> Place:
        """Return what a request asks for.

        Raises:
            ValueError: It asks for nothing that there is.
        """
        asked = self._asked("limit", query, body)
        count = min(largest, self.page_size if asked is None else max(1, int(asked)))
        if self.style == "page":
            return Place((int(self._asked("page", query, body) or 1) - 1) * count, count)
        if self.style == "offset":
            return Place(int(self._asked("offset", query, body) or 0), count)
        if self.style == "keyset":
            return Place(self._behind(self._asked("after", query, body)), count)
        cursor = self._asked("cursor", query, body)
        if cursor is None:
            return Place(0, count)
        token = _TOKEN.fullmatch(cursor.rpartition(";")[2])
        if token is None:
            message = f"{cursor!r} is no cursor of this list"
            raise ValueError(message)
        return Place(int(token[2]), count if token[1] == "r" else 0, token[1])

    def _asked(self, parameter: str, query: Mapping[str, str], body: Any) -> str | None:
        name = self.name(parameter)
        if self.style != "post":
            return query.get(name)
        for part in name.split("."):
            body = body.get(part) if isinstance(body, dict) else None
        return None if body is None else str(body)

    def _behind(self, key: str | None) -> int:
        if key is None:
            return 0
        return [str(record[self.key]) for record in self.records].index(key) + 1

    def link(self, token: str, url: str, query: Mapping[str, str]) -> str:
        """Return the URL of the page that *token* names, with the query that came, as servers like to repeat it."""
        values = {**query, self.name("cursor"): token}
        return f"{url}{self.path}?" + "&".join(
            f"{quote(name)}={quote(value, safe='')}" for name, value in values.items()
        )

    def body_of(self, page: ServedPage) -> Any:
        """Return the JSON body of *page*."""
        if self.body is not None:
            return self.body(page)
        says_next = {"next": page.next} if self.style in {"cursor", "next_url", "post"} else {}
        says_total = {} if page.total is None else {"total": page.total}
        return {"items": page.records, **says_next, **says_total}
