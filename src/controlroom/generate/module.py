"""The module as a whole: its head, its definitions, its client."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controlroom import __version__
from controlroom.errors import ConfigError, DataError
from controlroom.generate.definitions import fitted, source_of
from controlroom.generate.document import Document
from controlroom.generate.endpoints import Declared, record_name, source_of_endpoint, wanted_name
from controlroom.generate.kinds import Definition, Named
from controlroom.generate.layout import Bracketed, laid_out
from controlroom.generate.literals import LINE_LENGTH, quoted
from controlroom.generate.names import BUILT_IN, IMPORTED, Names, class_name, is_identifier, words
from controlroom.generate.operations import Listing, Search, listings
from controlroom.generate.ordering import incomplete, ordered
from controlroom.generate.paging import inferred
from controlroom.generate.prose import comment, docstring, paragraphs, shortened
from controlroom.generate.schemas import Schemas
from controlroom.generate.servers import base_url_of
from controlroom.generate.shapes import Shapes

__all__ = ["Generated", "generate", "is_untouched"]

_OF_A_CLIENT: Final = frozenset(
    {"close", "delete", "download", "get", "pages", "patch", "post", "put", "records", "request", "aclose"}
)
_UNCLEAR: Final = "which answers with several lists, none of them named like records"
_MARK: Final = re.compile(r"by controlroom \S+; yours to edit\. \(Mark ([0-9a-f]{16}): ")
_IMPORTS: Final = (
    ("typing", ("Any", "Literal", "Union")),
    ("uuid", ("UUID",)),
    ("controlroom.http", tuple(sorted(name for name in IMPORTED if re.search("Client|Endpoint|Pagination", name)))),
    ("pydantic", ("BaseModel", "ConfigDict", "Field", "RootModel")),
)


@dataclass(frozen=True, slots=True)
class Generated:
    """A client's module.

    Attributes:
        source: The module.
        client: The name of its class.
        endpoints: How many lists it declares.
        models: How many models and aliases.
        doubts: What the document leaves open, and a reader has to decide: one text each.
    """

    source: str
    client: str
    endpoints: int
    models: int
    doubts: tuple[str, ...]


def generate(
    tree: Mapping[str, Any], *, name: str | None = None, base_url: str | None = None, asynchronous: bool = False
) -> Generated:
    """Return a module that declares every list of the document *tree*; the same document gives the same module.

    Args:
        tree: As `controlroom.generate.parsed` returns it.
        name: Of the class; None: after the document's title.
        base_url: Where the API is; None: the document's first server.
        asynchronous: Declare an `AsyncApiClient`.

    Raises:
        DataError: A reference leads nowhere or outside, a schema is a part of itself, there is no list at all, or
            *tree* holds what JSON cannot.
        ConfigError: *name* is no name for a class, or *base_url* no URL.

    Guarantees:
        The module compiles, and no text of the document is more in it than a string, a comment or a docstring; strings
        are equal to the document's.
        Not promised: that the server does what its document says. Walks verify what they can, and raise.
    """
    try:
        _require_text(tree)
        return _Writer(Document(tree), name, base_url, asynchronous=asynchronous).generated()
    except RecursionError:
        message = "The document's schemas are nested too deeply. Nothing was generated."
        raise DataError(message) from None


def _require_text(tree: Mapping[str, Any]) -> None:
    """Refuse what no JSON text can hold: pydantic has no model for it, and no server sends it."""
    try:
        json.dumps(tree, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        message = "The document holds half a character (a lone surrogate), which no server can send. Correct it."
        raise DataError(message) from None
    except (TypeError, ValueError) as error:
        message = f"The document is not what JSON can hold: {error}."
        raise DataError(message) from error


class _Writer:
    def __init__(self, document: Document, name: str | None, base_url: str | None, *, asynchronous: bool) -> None:
        if name is not None and (not is_identifier(name) or name in IMPORTED | BUILT_IN):
            message = f"{shortened(name, 80)!r} is no name for a class here: give one like Petstore."
            raise ConfigError(message)
        self._document = document
        self._base_url, self._about_server = base_url_of(document, base_url)
        self._title = shortened(str(document.info.get("title", "")), 60) or "an API"
        self._version = shortened(str(document.info.get("version", "")), 20)
        names = Names(IMPORTED)
        self._client = names.claim(name or class_name("".join(map(str.capitalize, words(self._title))), "Client"))
        self._parent = "AsyncApiClient" if asynchronous else "ApiClient"
        self._shapes = Shapes(document)
        self._schemas = Schemas(self._shapes, names)

    def generated(self) -> Generated:
        search = listings(self._document, self._shapes)
        if not search.found:
            message = "The document has no GET that answers with a list of records: there is nothing to walk."
            raise DataError(message)
        names = Names(_OF_A_CLIENT | BUILT_IN)
        declared = [self._declared(listing, names) for listing in search.found]
        wanted = [one.model for one in declared if one.model is not None]
        known = fitted(self._schemas)
        definitions = ordered(known, [name for name in wanted if name in known])
        doubts = [f"{one.name}: {one.paging.doubt}" for one in declared if one.paging.doubt]
        doubts += [f"GET {path}: {_UNCLEAR}" for path in search.unclear]
        source = _marked(self._assembled(declared, definitions, search))
        return Generated(source, self._client, len(declared), len(definitions), tuple(doubts))

    def _declared(self, listing: Listing, names: Names) -> Declared:
        wanted = record_name(listing)
        kind = self._schemas.kind(listing.item, wanted)
        model = self._schemas.model(kind, wanted)
        text = model.name if isinstance(model, Named) else model.text if model is not None else None
        return Declared(names.claim(wanted_name(listing)), listing, inferred(listing, self._shapes), kind, text)

    def _assembled(self, declared: Sequence[Declared], definitions: Sequence[Definition], search: Search) -> str:
        taken = {one.name: one for one in definitions} | dict.fromkeys((*IMPORTED, self._client))
        sources = [source_of(one, taken) for one in definitions]
        blocks = [(source, source.startswith("class ")) for source in sources]
        if unready := incomplete(definitions):
            blocks.append(("\n".join(f"{name}.model_rebuild()" for name in unready), False))
        blocks.append((self._client_class(declared, search), True))
        body = _spaced(blocks)
        exported = Bracketed("[", tuple(("", quoted(name)) for name in self._exported(definitions)), "]")
        head = ["from __future__ import annotations", _imports(body), laid_out("__all__ = ", exported, indent=0)]
        if self._base_url is not None:
            head.append(f"BASE_URL = {quoted(self._base_url)}")
        return "\n\n".join(["\n".join(self._docstring()), *head]) + body

    def _exported(self, definitions: Sequence[Definition]) -> list[str]:
        names = [self._client, *(one.name for one in definitions)]
        return sorted([*names, "BASE_URL"] if self._base_url is not None else names)

    def _docstring(self) -> list[str]:
        of = f"{self._title} {self._version}".strip()
        generated = f"Generated from {of} by controlroom {__version__}; yours to edit."
        mark = "(Mark 0000000000000000: a module that was edited is not overwritten, unless by force.)"
        return docstring([f"The lists of {of}, declared.", f"{generated} {mark}", *self._about_server], 0)

    def _client_class(self, declared: Sequence[Declared], search: Search) -> str:
        about = paragraphs(self._document.info.get("description"), most_signs=300)[:1]
        url = "BASE_URL" if self._base_url is not None else "base_url"
        use = f"Use: {self._client}({url}, auth=…).{declared[0].name}(…), and the same of each list below."
        rest = f"No lists, and so to be called by get(), post() and their like: {search.others} operations."
        more = [rest] if search.others else []
        lines = docstring([self._title.rstrip(".") + ".", *about, f"{use}", *more], 4)
        unclear = comment([f"Not declared: GET {shortened(path, 100)}, {_UNCLEAR}." for path in search.unclear], 4)
        parts = ["\n".join(lines), *(source_of_endpoint(one) for one in declared)]
        if unclear:
            parts.append("\n".join(unclear))
        return f"class {self._client}({self._parent}):\n" + "\n\n".join(parts)


def _spaced(blocks: Sequence[tuple[str, bool]]) -> str:
    """Return *blocks* one below the other: two empty lines around a class, one between other statements."""
    text, after_class = "", False
    for number, (source, is_class) in enumerate(blocks):
        text += ("\n\n\n" if is_class or after_class or number == 0 else "\n") + source
        after_class = is_class
    return text + "\n"


def _imports(body: str) -> str:
    """Return the imports that *body* needs; a name in a string or a comment counts, and does no harm."""
    used = set(re.findall(r"\w+", body))
    groups: list[list[str]] = [["import datetime as dt"] if "dt" in used else [], []]
    for module, names in _IMPORTS:
        if needed := [name for name in names if name in used]:
            groups[module in {"controlroom.http", "pydantic"}].append(_import(module, needed))
    return "\n\n".join("\n".join(group) for group in groups if group)


def _import(module: str, names: Sequence[str]) -> str:
    source = f"from {module} import {', '.join(names)}"
    if len(source) <= LINE_LENGTH:
        return source
    return laid_out(f"from {module} import ", Bracketed("(", tuple(("", name) for name in names), ")"), indent=0)


def _marked(source: str) -> str:
    return source.replace("(Mark 0000000000000000: ", f"(Mark {_digest(source)}: ", 1)


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def is_untouched(source: str) -> bool:
    """Tell whether *source* is a module that was generated, and that nobody edited since."""
    found = _MARK.search(source)
    return found is not None and _digest(source[: found.start(1)] + "0" * 16 + source[found.end(1) :]) == found[1]
