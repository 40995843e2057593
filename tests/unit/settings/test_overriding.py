"""``with override(…)``: other settings for a test."""

from __future__ import annotations

import asyncio
import threading

import pytest
from pydantic import BaseModel, Field, SecretStr

from controlroom.errors import ConfigError
from controlroom.redaction import redact_text
from controlroom.settings import BaseSettings, explain_settings, load_settings, override


class Db(BaseModel):
    url: str = "sqlite://"
    pool: int = 3


class Settings(BaseSettings):
    size: int = Field(100, ge=1)
    token: SecretStr = SecretStr("")
    db: Db = Db()


class Other(BaseSettings):
    colour: str = ""


def test_an_override_beats_every_source_and_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SIZE", "2")

    with override(size=5, db={"pool": 9}):
        loaded = load_settings(Settings, assignments={"size": "3", "db.url": "sqlite:///x"})
    rows = {row.name: row for row in explain_settings(loaded).rows}

    assert (loaded.size, loaded.db) == (5, Db(url="sqlite:///x", pool=9))
    assert (rows["size"].source, rows["size"].shadowed[0]) == ("override", "size (--set)")
    assert load_settings(Settings).size == 2


def test_overrides_are_validated_and_their_secrets_masked() -> None:
    with override({"size": 0}, token="c4n4ry-Value"), pytest.raises(ConfigError, match=r"size \(override\)"):
        load_settings(Settings)

    assert redact_text("c4n4ry-Value") == "***"


def test_the_inner_block_wins_leaf_by_leaf() -> None:
    with override(size=5, db={"pool": 9}), override(size=6, db={"url": "x"}):
        loaded = load_settings(Settings)

    assert (loaded.size, loaded.db) == (6, Db(url="x", pool=9))


def test_it_may_hold_for_one_of_several_classes() -> None:
    with override(colour="red", size=5):
        assert (load_settings(Settings).size, load_settings(Other).colour) == (5, "red")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"sise": 5}, r"override\(sise=…\) had no effect: .* have it\. Did you mean size\?"),
        ({"db": {"poool": 5}}, r"override\(db\.poool=…\) had no effect: .* Did you mean db\.pool\?"),
    ],
)
def test_a_name_that_nothing_has_does_not_pass_in_silence(values: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected), override(values):
        load_settings(Settings)
        load_settings(Other)


def test_a_block_in_which_nothing_is_loaded_proves_nothing() -> None:
    loaded = load_settings(Settings)

    with pytest.raises(ConfigError, match="no settings were loaded inside the block"), override(size=5):
        assert loaded.size == 100


def test_what_the_block_raised_is_not_covered_up() -> None:
    with pytest.raises(KeyError, match="first"), override(sise=5):
        raise KeyError("first")
    assert load_settings(Settings).size == 100


def test_another_thread_does_not_see_it_and_a_task_of_the_block_does() -> None:
    seen: list[int] = []

    async def inside() -> None:
        await asyncio.gather(*(asyncio.to_thread(lambda: seen.append(load_settings(Settings).size)) for _ in range(2)))

    with override(size=5):
        thread = threading.Thread(target=lambda: seen.append(load_settings(Settings).size))
        thread.start()
        thread.join()
        asyncio.run(inside())

    assert seen == [100, 5, 5]
