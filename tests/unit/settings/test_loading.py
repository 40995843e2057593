from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretStr
from pydantic_settings import SettingsConfigDict
from pydantic_settings.sources import DefaultSettingsSource

from controlroom.errors import ConfigError
from controlroom.settings import BaseSettings, explain_settings, load_settings


class Db(BaseModel):
    url: str
    pool: int = 3
    password: SecretStr | None = None


class Settings(BaseSettings):
    size: int = Field(100, ge=1, le=1000)
    retries: int = 3
    tags: list[str] = []
    limits: dict[str, int] = {}
    db: Db | None = None


def write(path: str | Path, text: str) -> Path:
    Path(path).write_text(text, encoding="utf-8")
    return Path(path)


def fill_every_layer(here: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give `size` another value in each place: 1 the highest, 7 the lowest."""
    monkeypatch.setenv("APP_SIZE", "3")
    write(".env", "APP_SIZE=4\n")
    (here / "secrets").mkdir()
    write(here / "secrets" / "app_size", "5\n")
    write("app.prod.toml", "size = 6\n")
    write("app.toml", "size = 7\n")
    return {"secrets_dir": here / "secrets", "profile": "prod", "assignments": {"size": "1"}, "size": 2}


def test_each_place_yields_to_the_one_above_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = fill_every_layer(here, monkeypatch)
    seen = [load_settings(Settings, **arguments).size]
    for take_away in (
        lambda: arguments.pop("assignments"),
        lambda: arguments.pop("size"),
        lambda: monkeypatch.delenv("APP_SIZE"),
        lambda: Path(".env").unlink(),
        (here / "secrets" / "app_size").unlink,
        lambda: Path("app.prod.toml").write_text(""),
        lambda: Path("app.toml").unlink(),
    ):
        take_away()
        seen.append(load_settings(Settings, **arguments).size)

    assert seen == [1, 2, 3, 4, 5, 6, 7, 100]


def test_nested_settings_are_merged_leaf_by_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    write("app.toml", '[db]\nurl = "sqlite:///a"\npool = 5\n')
    monkeypatch.setenv("APP_DB__POOL", "9")

    loaded = load_settings(Settings, db={"password": "hunter2"})

    assert loaded.db == Db(url="sqlite:///a", pool=9, password=SecretStr("hunter2"))


def test_one_leaf_of_a_nested_default_can_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithDefault(BaseSettings):
        db: Db = Db(url="sqlite:///default", pool=5, password=SecretStr("kept-secret"))

    monkeypatch.setenv("APP_DB__POOL", "9")

    assert load_settings(WithDefault).db == Db(url="sqlite:///default", pool=9, password=SecretStr("kept-secret"))


def test_variables_and_secret_files_are_found_in_any_case(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("app_Size", "3")
    write(here / "APP_RETRIES", "4\n")
    write(here / "app_db__url", "sqlite:///x")

    loaded = load_settings(Settings, secrets_dir=here)

    assert (loaded.size, loaded.retries, loaded.db and loaded.db.url) == (3, 4, "sqlite:///x")


def test_white_space_around_a_secret_in_a_file_is_not_part_of_it(here: Path) -> None:
    write(here / "app_db__url", " sqlite:///x \r\n")

    loaded = load_settings(Settings, secrets_dir=here)

    assert loaded.db == Db(url="sqlite:///x")


def test_a_class_may_say_that_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lenient(Settings):
        model_config = SettingsConfigDict(env_ignore_empty=True)

    monkeypatch.setenv("APP_SIZE", "")

    assert load_settings(Lenient).size == 100
    with pytest.raises(ConfigError):
        load_settings(Settings)


def test_a_union_whose_tag_was_changed_keeps_nothing_of_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(DefaultSettingsSource(Settings), "_discriminator_tags"):
        pytest.skip("this release of pydantic-settings fills a union from its default whatever its tag says")

    class File(BaseModel, extra="forbid"):
        kind: Literal["file"] = "file"
        path: str = "x"

    class Bucket(BaseModel, extra="forbid"):
        kind: Literal["bucket"] = "bucket"
        name: str = "y"

    class Stored(BaseSettings):
        store: File | Bucket = Field(File(path="z"), discriminator="kind")

    monkeypatch.setenv("APP_STORE__KIND", "bucket")

    assert load_settings(Stored).store == Bucket()


def test_files_in_the_secrets_directory_that_are_not_ours_are_not_read(here: Path) -> None:
    (here / "other_token").write_bytes(b"\xff\xfe")
    (here / "..data").mkdir()

    assert load_settings(Settings, secrets_dir=here).size == 100


def test_an_empty_prefix_reads_variables_named_like_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIES", "7")

    assert load_settings(Settings, prefix="").retries == 7


def test_of_several_files_the_last_wins_and_every_profile_beats_every_file() -> None:
    write("a.toml", "size = 1\nretries = 1\n")
    write("a.prod.toml", "retries = 2\n")
    write("b.toml", "size = 3\nretries = 3\n")

    loaded = load_settings(Settings, files=["a.toml", "b.toml"], profile="prod")

    assert (loaded.size, loaded.retries) == (3, 2)


@pytest.mark.parametrize("files", ["one.toml", Path("one.toml")])
def test_one_file_needs_no_list(files: str | Path) -> None:
    write("one.toml", "size = 9\n")

    assert load_settings(Settings, files=files).size == 9


def test_aliases_meet_whatever_layer_spells_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Aliased(BaseSettings):
        url: str = Field("", validation_alias=AliasChoices("DATABASE_URL", "db_url"))
        host: str = Field("", alias="HOSTING")

    write("app.toml", 'db_url = "from-toml"\nhosting = "h"\n')
    assert load_settings(Aliased).url == "from-toml"
    monkeypatch.setenv("DATABASE_URL", "from-env")

    loaded = load_settings(Aliased)

    assert (loaded.url, loaded.host) == ("from-env", "h")
    assert load_settings(Aliased, host="by-name").host == "by-name"
    assert load_settings(Aliased, assignments={"host": "by-name", "DATABASE_URL": "x"}) == Aliased(
        HOSTING="by-name", DATABASE_URL="x"
    )


def test_assignments_are_read_as_variables_are() -> None:
    loaded = load_settings(
        Settings, assignments={"tags": '["a", "b"]', "db.url": "sqlite://", "db.pool": "4", "limits.cpu": "2"}
    )

    assert (loaded.tags, loaded.db, loaded.limits) == (["a", "b"], Db(url="sqlite://", pool=4), {"cpu": 2})


class Node(BaseModel):
    name: str
    below: Node | None = None


def test_a_model_inside_itself_is_read_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tree(BaseSettings):
        root: Node

    monkeypatch.setenv("APP_ROOT__NAME", "a")
    monkeypatch.setenv("APP_ROOT__BELOW", '{"name": "b", "below": {"name": "c"}}')

    assert load_settings(Tree).root == Node(name="a", below=Node(name="b", below=Node(name="c")))


def test_a_field_named_like_an_argument_is_set_through_overrides() -> None:
    class Awkward(BaseSettings):
        prefix: str = ""
        profile: str = ""

    loaded = load_settings(Awkward, prefix="X_", overrides={"prefix": "p", "profile": "q"})

    assert (loaded.prefix, loaded.profile) == ("p", "q")


def test_an_object_made_in_code_is_refused_without_its_values_too() -> None:
    with pytest.raises(ConfigError, match="greater than or equal to 1") as caught:
        Settings(size=-73190, retries="73190x")

    assert len(caught.value.problems) == 2
    assert "73190" not in f"{caught.value} {caught.value.problems}"
    assert caught.value.__context__ is None


def test_an_object_made_in_code_says_what_it_lacks_and_where_the_wrong_value_came_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Needy(BaseSettings):
        name: str
        tags: list[str] = []
        size: int = 1

    monkeypatch.setenv("SIZE", "many")
    with pytest.raises(ConfigError) as caught:
        Needy()
    assert caught.value.problems[0] == "name is missing. Give it as an argument."
    assert caught.value.problems[1].endswith("It comes from its default or the environment.")

    monkeypatch.setenv("TAGS", "no json")
    with pytest.raises(ConfigError) as caught:
        Needy(name="x")
    assert "no json" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["size", "db", "unheard_of"])
def test_settings_are_frozen(name: str) -> None:
    loaded = load_settings(Settings)

    with pytest.raises(AttributeError, match=f"frozen: {name} keeps its value"):
        setattr(loaded, name, 1)
    with pytest.raises(AttributeError, match="frozen"):
        delattr(loaded, name)
    assert loaded == Settings()


def test_settings_whose_values_can_be_hashed_can_be_hashed_themselves() -> None:
    class Flat(BaseSettings):
        size: int = 1
        token: SecretStr = SecretStr("")

    assert len({load_settings(Flat), load_settings(Flat, size=1), Flat(), load_settings(Flat, size=2)}) == 2


def test_settings_survive_pickle_and_deepcopy_with_their_provenance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SIZE", "3")
    loaded = load_settings(Settings)

    for twin in (pickle.loads(pickle.dumps(loaded)), copy.deepcopy(loaded), loaded.model_copy()):
        assert twin == loaded
        assert str(explain_settings(twin)) == str(explain_settings(loaded))


def test_where_a_value_came_from_does_not_make_settings_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SIZE", "3")

    assert load_settings(Settings) == load_settings(Settings, size=3) == Settings(size=3)


def test_a_class_that_is_not_ours_is_refused() -> None:
    with pytest.raises(TypeError, match="Db is no subclass"):
        load_settings(Db)
    with pytest.raises(TypeError, match="an object of Settings is no subclass"):
        load_settings(Settings())
    with pytest.raises(TypeError, match="an object of Db holds no settings"):
        explain_settings(Db(url="x"))
