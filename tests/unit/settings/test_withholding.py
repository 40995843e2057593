"""What leaves the process with a pickle, and what does not."""

from __future__ import annotations

import concurrent.futures
import copy
import dataclasses
import multiprocessing
import pickle
from functools import cached_property
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, PostgresDsn, PrivateAttr, Secret, SecretBytes, SecretStr

from controlroom.errors import ConfigError
from controlroom.redaction import forget_secrets, redact_text
from controlroom.settings import BaseSettings, explain_settings, keeping_secrets, load_settings

CANARY = "c4n4ry-Value-0x7f"


class Nested(BaseModel, frozen=True):
    password: SecretStr = SecretStr(CANARY)
    user: str = "u"


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    key: SecretStr = dataclasses.field(default_factory=lambda: SecretStr(CANARY))
    number: int = 7


class Held:
    """A class of the user's own that pydantic knows nothing about."""

    def __init__(self, text: str) -> None:
        self.text = text


class Settings(BaseSettings):
    size: int = 3
    token: SecretStr = SecretStr(CANARY)
    raw: SecretBytes = SecretBytes(CANARY.encode())
    other: Secret[str] = Secret(CANARY)
    nested: Nested = Nested()
    many: list[SecretStr] = [SecretStr(CANARY)]
    by_name: dict[str, tuple[SecretStr, int]] = {"a": (SecretStr(CANARY), 1)}
    account: Account = Account()
    none: SecretStr | None = None
    _cache: Any = PrivateAttr(default_factory=lambda: {"kept": CANARY})
    _count: int = PrivateAttr(default=5)

    @cached_property
    def header(self) -> str:
        return f"Bearer {self.token.get_secret_value()}"


class Plain(BaseSettings):
    """Secrets without a type of their own."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    token: SecretStr = SecretStr(CANARY)
    password: str = "hunter2-hunter2"
    pin: int = 0
    dsn: PostgresDsn = PostgresDsn("postgresql://u:hunter2-hunter2@h/db")
    url: str = "mysql://u:hunter2-hunter2@h/db"
    same: str = CANARY
    options: dict[str, Any] = Field(default_factory=lambda: {"nested": [{"api_key": "abcdefgh"}]})
    held: Any = Held(CANARY)
    region: str = "eu"


def twin_of(settings: Any) -> Any:
    pickled = pickle.dumps(settings)
    assert CANARY.encode() not in pickled
    assert b"hunter2" not in pickled
    return pickle.loads(pickled)


def test_a_pickle_holds_no_secret_and_everything_else() -> None:
    loaded = load_settings(Settings)
    assert loaded.header.endswith(CANARY)

    twin = twin_of(loaded)

    assert (twin.size, twin.nested.user, twin.account.number, twin.by_name["a"][1], twin.none) == (3, "u", 7, 1, None)
    assert twin._count == 5
    assert CANARY not in f"{twin!r} {twin} {twin.model_dump()}"


@pytest.mark.parametrize(
    "read",
    [
        lambda twin: twin.token,
        lambda twin: twin.raw,
        lambda twin: twin.other,
        lambda twin: twin.nested.password,
        lambda twin: twin.many[0],
        lambda twin: twin.by_name["a"][0],
        lambda twin: twin.account.key,
    ],
    ids=["text", "bytes", "other", "nested", "list", "dict", "dataclass"],
)
def test_revealing_a_withheld_secret_says_what_to_do(read: Any) -> None:
    held = read(twin_of(load_settings(Settings)))

    for reveal in (held.get_secret_value, lambda: len(held)):
        with pytest.raises(ConfigError, match="withheld when these settings were pickled") as caught:
            reveal()
    assert "keeping_secrets" in str(caught.value)
    assert isinstance(held, SecretStr | SecretBytes | Secret)
    assert repr(held) == "SecretStr('***')"


def test_what_was_pickled_shows_its_withheld_secrets_as_whole_words() -> None:
    assert "token=SecretStr('***')," in repr(twin_of(load_settings(Settings)))


@pytest.mark.parametrize("name", ["password", "dsn", "url", "same", "options", "held"])
def test_a_secret_that_has_no_type_of_its_own_is_withheld_with_its_whole_setting(name: str) -> None:
    twin = twin_of(load_settings(Plain))

    with pytest.raises(ConfigError, match=f"{name} is or holds a secret"):
        getattr(twin, name)
    assert (twin.region, twin.pin) == ("eu", 0)
    assert name not in repr(twin)


def test_what_was_withheld_stays_withheld_and_is_explained() -> None:
    twin = twin_of(twin_of(load_settings(Plain)))
    rows = {row.name: row.value for row in explain_settings(twin).rows}

    assert {name for name, value in rows.items() if "withheld" in value} == set(Plain.model_fields) - {"pin", "region"}
    with pytest.raises(ConfigError):
        _ = twin.dsn
    assert twin.model_copy(update={"dsn": "x"}).dsn == "x"


def test_a_twin_without_its_secrets_is_another_object() -> None:
    loaded = load_settings(Settings)

    assert twin_of(loaded) != loaded
    assert twin_of(loaded) == twin_of(loaded)
    assert copy.copy(loaded) == copy.deepcopy(loaded) == loaded
    assert copy.deepcopy({"inside": loaded})["inside"].token.get_secret_value() == CANARY


def test_keeping_secrets_holds_for_one_hop_and_registers_them_there() -> None:
    kept = pickle.dumps(keeping_secrets(load_settings(Settings)))
    forget_secrets()
    assert redact_text(CANARY) == CANARY

    twin = pickle.loads(kept)

    assert twin.token.get_secret_value() == CANARY
    assert redact_text(CANARY) == "***"
    assert CANARY.encode() not in pickle.dumps(twin)


def revealed(settings: Settings) -> tuple[int, str]:
    try:
        return settings.size, settings.token.get_secret_value()
    except ConfigError as error:
        return settings.size, error.code


def test_a_pool_of_processes_gets_the_secrets_only_where_that_was_said() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        loaded = load_settings(Settings)

        assert pool.submit(revealed, loaded).result(60) == (3, "config")
        assert pool.submit(revealed, keeping_secrets(loaded)).result(60) == (3, CANARY)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_withholds(protocol: int) -> None:
    pickled = pickle.dumps(load_settings(Settings), protocol)

    assert CANARY.encode() not in pickled
    assert pickle.loads(pickled).size == 3


def test_an_object_made_in_code_and_one_that_keeps_more_than_its_fields_withhold_too() -> None:
    class Open(BaseSettings):
        model_config = ConfigDict(extra="allow")
        size: int = 1

    globals()["Open"] = Open
    Open.__qualname__ = "Open"
    twin = twin_of(Open(anything=SecretStr(CANARY), url="mysql://u:hunter2-hunter2@h", plain="kept"))

    assert twin.plain == "kept"
    with pytest.raises(ConfigError):
        twin.anything.get_secret_value()
    with pytest.raises(ConfigError):
        _ = twin.url
    twin_of(Settings())
