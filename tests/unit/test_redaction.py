from __future__ import annotations

import collections
import copy
import dataclasses
import enum
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from controlroom.errors import DataError
from controlroom.redaction import MASK, forget_secrets, redact, redact_text, register_secret


@pytest.fixture(autouse=True)
def hunter2_is_a_secret() -> Iterator[None]:
    register_secret("hunter2")
    yield
    forget_secrets()


class Pair(NamedTuple):
    left: str
    right: int


class Colour(enum.StrEnum):
    RED = "hunter2"


class Label(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise LookupError


@dataclasses.dataclass
class Row:
    text: str


class Login(NamedTuple):
    user: str
    password: str


class Broken(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield "a"

    def __len__(self) -> int:
        return 1


class Frozen(Broken):
    """A mapping that can be a key, as a frozendict."""

    __hash__ = object.__hash__


class Lying:
    @property
    def __class__(self) -> type:
        raise OSError


ANYTHING: list[tuple[Any, Any]] = [
    (None, None),
    (7, 7),
    (True, True),
    (0.5, 0.5),
    ("hunter2", "***"),
    ("", ""),
    (Label("a hunter2"), "a ***"),
    (b"a hunter2", b"a ***"),
    (b"a \xff", b"a \xff"),
    (b"\xff hunter2", b"\xff ***"),
    (bytearray(b"hunter2"), b"***"),
    (["hunter2", ["hunter2"]], ["***", ["***"]]),
    (("hunter2", 1), ("***", 1)),
    (Pair("hunter2", 1), ["***", 1]),
    ({"hunter2"}, ["***"]),
    (collections.deque(["hunter2"]), ["***"]),
    ({"a": "hunter2"}.keys(), ["a"]),
    (MappingProxyType({"a": "hunter2"}), {"a": "***"}),
    ({"hunter2": 1}, {"***": 1}),
    (
        {b"hunter2": 1, ("hunter2", 1): 2, frozenset({"hunter2"}): 3, 4: 5},
        {b"***": 1, ("***", 1): 2, frozenset({"***"}): 3, 4: 5},
    ),
    ({"hunter2": 1, "***": 2, "***_": 3}, {"***": 1, "***_": 2, "***__": 3}),
    ({"m": Broken()}, {"m": "<Broken that raised KeyError>"}),
    ([Lying()], ["<Lying that raised OSError>"]),
    # by name
    ({"password": "x", "n": 1}, {"password": "***", "n": 1}),
    (
        {"password": "", "token": None, "api_key": 7, "secret": b"x", "pwd": b""},
        {"password": "", "token": None, "api_key": "***", "secret": b"***", "pwd": b""},
    ),
    ({"password": Label("x")}, {"password": "***"}),
    ({"page_token": "x", "user": "ada"}, {"page_token": "x", "user": "ada"}),
    ({"Set-Cookie": ["a=b", ("c=d",)]}, {"Set-Cookie": ["***", ("***",)]}),
    ({"credentials": {"user": "ada", "n": [{"deep": "x"}]}}, {"credentials": {"user": "***", "n": [{"deep": "***"}]}}),
    ({1: {"password": "x"}, b"password": b"x"}, {1: {"password": "***"}, b"password": b"***"}),
    ({"token": True, "tokens": 3, "pass": 1.5}, {"token": True, "tokens": 3, "pass": "***"}),
    (Login("ada", "x"), ["ada", "***"]),
    (
        [("Authorization", "x"), (b"x-api-key", b"x"), ("Host", "x"), ("token", "x", "y"), ["token", "x"]],
        [("Authorization", "***"), (b"x-api-key", b"***"), ("Host", "x"), ("token", "x", "y"), ["token", "x"]],
    ),
    ({"a": ["password=x"]}, {"a": ["password=***"]}),
]


@pytest.mark.parametrize(("value", "shown"), ANYTHING, ids=[str(n) for n, _ in enumerate(ANYTHING)])
def test_anything_can_be_masked(value: Any, shown: Any) -> None:
    result = redact(value)

    assert result == shown
    assert type(result) is type(shown)
    assert redact(result) == result


@pytest.mark.parametrize("value", [Decimal("1.5"), Row("hunter2"), Colour.RED, DataError("x"), object(), 1j, len])
def test_other_objects_come_back_as_they_are(value: Any) -> None:
    assert redact(value) is value
    assert redact([value])[0] is value


def test_keys_of_other_kinds_stay_as_they_are() -> None:
    key = Frozen()

    assert redact({key: "hunter2", Colour.RED: 1}) == {key: "***", Colour.RED: 1}
    assert redact({frozenset({("hunter2", 1)}): 1}) == {frozenset({("***", 1)}): 1}


@pytest.mark.parametrize(("secret", "number"), [("7391046628", 7391046628), ("0.7391046", 0.7391046)])
def test_a_number_that_is_a_secret_is_masked(secret: str, number: float) -> None:
    assert redact({"n": number, "other": 5}) == {"n": number, "other": 5}

    register_secret(secret)

    assert redact({"n": [number], "other": 5, "flag": True}) == {"n": ["***"], "other": 5, "flag": True}


def test_the_argument_is_not_changed() -> None:
    value = {"password": "x", "list": ["hunter2", {"a": ("hunter2",)}], "bytes": bytearray(b"hunter2")}
    before = copy.deepcopy(value)
    redact(value)

    assert value == before


def test_bytes_without_a_secret_are_the_same_object() -> None:
    value = bytearray(b"plain")

    assert redact(value) is value


def test_what_contains_itself_ends() -> None:
    loop: dict[str, Any] = {"a": "hunter2"}
    loop["self"] = loop
    items: list[Any] = [loop]
    items.append(items)

    assert redact(items) == [{"a": "***", "self": "…"}, "…"]


def test_what_is_deep_ends_at_thirty_two_levels() -> None:
    deep: Any = "hunter2"
    for _ in range(5000):
        deep = [deep]
    masked = redact(deep)

    depth = 0
    while masked != "…":
        (masked,) = masked
        depth += 1
    assert depth == 32


def test_thirty_two_levels_are_masked_whole() -> None:
    deep: Any = "hunter2"
    for _ in range(32):
        deep = [deep]
    masked = redact(deep)
    for _ in range(32):
        (masked,) = masked

    assert masked == "***"


def test_shared_parts_do_not_multiply() -> None:
    many: list[Any] = ["hunter2"]
    for _ in range(30):
        many = [many, many]
    masked = redact(many)
    for _ in range(30):
        masked = masked[1]

    assert masked == ["***"]


def test_a_shared_part_is_masked_by_the_name_it_stands_under() -> None:
    shared = ["plain"]

    assert redact({"open": shared, "password": shared, "again": shared}) == {
        "open": ["plain"],
        "password": ["***"],
        "again": ["plain"],
    }


class Fresh(Mapping[int, collections.deque[str]]):
    """Builds its values when asked: each may get the address of the one before."""

    def __getitem__(self, key: int) -> collections.deque[str]:
        return collections.deque([f"value {key}"])

    def __iter__(self) -> Iterator[int]:
        return iter(range(100))

    def __len__(self) -> int:
        return 100


def test_values_that_live_only_a_moment_are_not_confused() -> None:
    assert redact(Fresh()) == {n: [f"value {n}"] for n in range(100)}


# Several secrets in one text


@pytest.mark.parametrize("order", [1, -1])
def test_the_longer_of_two_secrets_is_masked_whole(order: int) -> None:
    for secret in ["secret-one", "secret-one-and-two"][::order]:
        register_secret(secret)

    assert redact_text("a secret-one-and-two b secret-one c") == "a *** b *** c"


def test_a_secret_inside_a_secret_ends_nothing() -> None:
    register_secret("secret-one-and-two")
    register_secret("one-and")

    assert redact_text("a secret-one-and-two b one-and c") == "a *** b *** c"


def test_secrets_that_overlap_are_masked_together() -> None:
    register_secret("abcdefgh")
    register_secret("efghijkl")

    assert redact_text(".abcdefghijkl.") == ".***."


def test_secrets_that_touch_are_masked_together() -> None:
    register_secret("abcdefgh")

    assert redact_text("abcdefghhunter2,hunter2") == "***,***"


def test_a_value_named_and_registered_leaves_nothing() -> None:
    register_secret("love lace;x")

    assert redact_text("password=love lace;x") == "password=***"


def test_a_secret_that_is_also_a_telling_name_hides_no_value() -> None:
    register_secret("password")

    assert redact_text("password=unregistered") == "***=***"


def test_a_secret_beside_a_tiny_one_leaves_it_alone_and_masked() -> None:
    register_secret("ab")

    assert redact_text("abhunter2") == "******"
    assert redact_text(redact_text("abhunter2")) == "******"


def test_a_mask_that_completes_another_secret_is_masked_again() -> None:
    register_secret("x***y-more")

    assert redact_text("xhunter2y-more") == "***"


def test_a_secret_of_asterisks_and_text_is_a_secret() -> None:
    register_secret("a**b*c")

    assert redact_text("= a**b*c =") == "= *** ="


def test_passes_end_even_when_every_mask_makes_another_secret() -> None:
    register_secret("***x")
    masked = redact_text("hunter2" + "x" * 100_000)

    assert masked.startswith(MASK)
    assert len(masked) > 99_000


@pytest.mark.parametrize("value", [None, 7, ["hunter2"], object()])
def test_what_is_neither_text_nor_bytes_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=f"a secret is str or bytes, not {type(value).__name__}"):
        register_secret(value)


HOSTILE = [
    "a",
    "token",
    "token=",
    "token=a ",
    "token: '",
    'token=\\"',
    "token:'\\\\",
    "password='\\'",
    '"password": "',
    "authorization: ",
    "://a:x",
    "://a:x@",
    "Bearer ",
    "Basic aaaaaaaaaaa ",
    "\\",
    "\\\\\"'",
    "pass%3",
    "pwd=>",
    "a.-_",
    "hunter2",
    "hunter",
    "\t",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_text_made_to_take_the_square_of_its_length_is_done(piece: str) -> None:
    """With the square of the length this would outlast every patience, and the limit that no test may exceed."""
    text = piece * (300_000 // len(piece)) + "@=:pass token secret "

    assert 0 < len(redact_text(text)) <= 2 * len(text)
