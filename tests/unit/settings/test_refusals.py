from __future__ import annotations

import json
import traceback
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from controlroom.errors import ConfigError, DataError, Disposition
from controlroom.settings import BaseSettings, explain_settings, load_settings

CANARY = "c4n4ry-Value/0x7f"


class Db(BaseModel):
    url: str
    pool: int = 3
    password: SecretStr | None = None


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Settings(BaseSettings):
    size: int = Field(100, ge=1, le=1000)
    retries: int = 3
    tags: list[str] = []
    limits: dict[str, int] = {}
    db: Db | None = None


class Strict(BaseSettings):
    api_url: str
    api_token: SecretStr
    db: Db
    retries: int = 3


def refused(model: type[BaseSettings] = Strict, /, **arguments: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(model, **arguments)
    return caught.value


def write(path: str | Path, text: str) -> Path:
    Path(path).write_text(text, encoding="utf-8")
    return Path(path)


def test_one_error_reports_every_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_RETRIES", "many")
    monkeypatch.setenv("APP_DB__POOL", "few")

    error = refused()

    assert error.exit_code == 78
    assert error.disposition is Disposition.STOP
    assert len(error.problems) == 5
    for fragment in ("APP_API_URL", "APP_API_TOKEN", "APP_DB__URL", "APP_DB__POOL", "APP_RETRIES"):
        assert fragment in str(error)


def test_a_missing_nested_model_names_the_variables_inside_it() -> None:
    error = refused()

    assert any(problem.startswith("db.url is missing. Set APP_DB__URL") for problem in error.problems)
    assert "APP_DB__POOL" not in str(error)


def test_the_places_looked_in_are_listed_in_order(here: Path) -> None:
    write("app.prod.toml", "")
    error = refused(secrets_dir=here / "none", profile="prod")

    places = [
        "keyword overrides",
        "environment",
        ".env (absent)",
        "none (absent)",
        "app.prod.toml",
        "app.toml (absent)",
    ]
    positions = [error.message.index(place) for place in [*places, "defaults"]]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("set_", "meant"),
    [
        ("APP_RETIRES", "APP_RETRIES"),
        ("app_retires", "APP_RETRIES"),
        ("APP_API_URI", "APP_API_URL"),
        ("APP_DB_URL", "APP_DB__URL"),
        ("APP_API_TOKN", "APP_API_TOKEN"),
        ("AP_RETRIES", "APP_RETRIES"),
    ],
)
def test_a_misspelled_variable_is_noticed(monkeypatch: pytest.MonkeyPatch, set_: str, meant: str) -> None:
    monkeypatch.setenv(set_, CANARY)

    error = refused()

    assert f"{set_} is set; did you mean {meant}?" in error.problems
    assert CANARY not in str(error)


@pytest.mark.parametrize("name", ["APP_PORT", "APP_UNRELATED_THING", "PATH", "APP_DB__POOL"])
def test_an_unlike_or_a_used_variable_is_no_near_miss(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "7")

    assert "did you mean" not in str(refused())


def test_the_prefix_in_common_does_not_make_names_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROLROOM_SIDE_CAR", "7")

    assert "did you mean" not in str(refused(prefix="CONTROLROOM_"))


def test_a_setting_that_is_set_was_not_misspelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_RETRIES", "7")
    monkeypatch.setenv("APP_RETIRES", "7")

    assert "did you mean" not in str(refused())


def test_a_misspelled_key_in_a_file_is_noticed_with_its_line(here: Path) -> None:
    write("app.toml", '# size\n\nretires = 3\n[db]\nurll = "x"\n')
    write(".env", "\nAPP_API_TOKN=x\n")
    write(here / "app_api_ulr", "x")

    text = str(refused(secrets_dir=here))

    assert "retires is set (app.toml:3); did you mean retries?" in text
    assert "db.urll is set (app.toml:5); did you mean db.url?" in text
    assert "APP_API_TOKN is set (.env:2); did you mean APP_API_TOKEN?" in text
    assert f"{here}/app_api_ulr is set (secrets directory); did you mean APP_API_URL?" in text


def test_a_near_miss_beside_good_settings_is_told_but_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_RETIRES", "9")

    explanation = explain_settings(load_settings(Settings))

    assert explanation.near_misses == ("APP_RETIRES is set; did you mean APP_RETRIES?",)
    assert str(explanation).endswith("did you mean APP_RETRIES?")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"sise": 3}, "sise (keyword) sets nothing: there is no such setting; did you mean size?"),
        (
            {"db": {"url": "x", "poool": 3}},
            "db.poool (keyword) sets nothing: there is no such setting; did you mean db.pool?",
        ),
        ({"assignments": {"sise": "3"}}, "sise (--set) sets nothing: there is no such setting; did you mean size?"),
        ({"assignments": {"db.nothing_like": "3"}}, "db.nothing_like (--set) sets nothing: there is no such setting."),
        ({"assignments": {"size.x": "3"}}, "size.x (--set) sets nothing: there is no such setting"),
    ],
)
def test_what_is_passed_by_a_name_that_does_not_exist_is_refused(arguments: dict[str, Any], expected: str) -> None:
    problems = refused(Settings, **arguments).problems
    (problem,) = [problem for problem in problems if "sets nothing" in problem or "did you mean" in problem]
    assert problem.startswith(expected)


def test_a_bad_json_list_does_not_hide_the_other_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TAGS", "a,b")
    monkeypatch.setenv("APP_SIZE", "0")

    error = refused(Settings)

    assert len(error.problems) == 2
    assert "tags is wrong. Input should be a valid list, in a variable written as JSON. It comes from APP_TAGS" in str(
        error
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("size = \n", "app.toml:1:8"),
        ('retries = 3\nsize = "a\n', "app.toml:2:10"),
        ("[db\n", "app.toml:1:4"),
        ("size = [1,", "app.toml:1:11"),
        ("size = 1\nsize = 2\n", "app.toml:2:9"),
    ],
)
def test_broken_toml_is_a_problem_with_line_and_column(text: str, where: str) -> None:
    write("app.toml", text)

    assert f"{where} is not TOML." in str(refused(Settings))


def test_broken_toml_is_not_quoted() -> None:
    write("app.toml", f"limits = {{ {CANARY[:6]} = 1, {CANARY[:6]} = 2 }}\n")

    assert "Duplicate inline table key …" in str(refused(Settings))


def test_a_wrong_value_in_a_file_is_named_with_its_line() -> None:
    write("app.toml", 'retries = 3\ntags = [\n  "a",\n]\n\n[db]\nurl = "x"\npool = "many"\n')

    assert "db.pool is wrong. Input should be a valid integer" in str(refused(Settings))
    assert "It comes from db.pool (app.toml:8)." in str(refused(Settings))


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("app.toml", '[limits]\na = 1\nb = "x"\n', 3),
        ("app.json", '{"limits": {\n"a": 1,\n"b": "x"}}', 3),
        ("app.yaml", "limits:\n  a: 1\n  b: x\n", 3),
        ("app.toml", '[[dbs]]\nurl = "a"\n[[dbs]]\nurl = "b"\npool = "x"\n', 5),
        ("app.toml", '[[dbs]]\nurl = "a"\n[[dbs]]\npool = 1\n', 3),
        ("app.json", '{"dbs": [{"url": "a"},\n{"url": "b",\n"pool": "x"}]}', 3),
    ],
)
def test_a_part_of_a_value_that_is_wrong_is_found_on_its_own_line(name: str, text: str, line: int) -> None:
    class Parted(BaseSettings):
        limits: dict[str, int] = {}
        dbs: list[Db] = []

    write(name, text)

    assert f"({name}:{line})" in str(refused(Parted, files=name))


def test_each_wrong_field_of_an_item_in_a_list_is_named_and_no_key_of_a_dict() -> None:
    class Parted(BaseSettings):
        dbs: list[Db] = []
        by_name: dict[str, Db] = {}

    write("app.toml", f'[[dbs]]\nurl = 1\npool = "x"\n[by_name.{"a" * 9}]\npool = "y"\n')
    error = refused(Parted)

    assert sorted(problem.split(" is wrong")[0] for problem in error.problems) == [
        "by_name.pool",
        "by_name.url",
        "dbs.0.pool",
        "dbs.0.url",
    ]
    assert "a" * 9 not in str(error)


def test_a_name_that_is_forbidden_is_found_on_its_line() -> None:
    class Closed(BaseSettings):
        model_config = {"extra": "forbid"}
        size: int = 1

    write("app.toml", "size = 2\nsise = 3\n")

    assert "sise is wrong. Extra inputs are not permitted. It comes from sise (app.toml:2)." in refused(Closed).problems


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"prefix": None}, 'prefix is text, not NoneType; "" stands for none'),
        ({"prefix": 5, "profile": b"prod"}, "profile is text or None, not bytes"),
        ({"files": 5}, "files and secrets_dir are each a path or several, not int"),
        ({"files": [b"app.toml"]}, "files and secrets_dir are each a path or several, not list"),
        ({"secrets_dir": b"secrets"}, "files and secrets_dir are each a path or several, not bytes"),
    ],
)
def test_an_argument_of_a_wrong_type_is_told_as_such(arguments: dict[str, Any], expected: str) -> None:
    assert expected in refused(Settings, **arguments).problems


def test_a_file_in_the_place_of_a_secrets_directory_is_a_problem(here: Path) -> None:
    write("token", "x")

    assert refused(Settings, secrets_dir=here / "token").problems == (
        f"{here}/token is no folder; secrets_dir is one of files named like the variables.",
    )


def test_of_a_file_that_is_not_utf_8_the_place_of_the_first_wrong_byte_is_told() -> None:
    Path("app.toml").write_bytes(b"size = 1\n# \xe4\n")

    assert refused(Settings).problems == ("app.toml:2:3 is not UTF-8 (byte 11).",)


def test_of_a_dict_that_several_places_fill_the_one_with_the_wrong_part_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("app.toml", "[limits]\nc = 'x'\n")
    write("app.prod.toml", "[limits]\nd = 1\n")
    monkeypatch.setenv("APP_LIMITS__A", "1")

    assert "It comes from limits (app.toml:2)." in str(refused(Settings, profile="prod"))

    monkeypatch.setenv("APP_LIMITS__C", "y")

    assert "It comes from APP_LIMITS__C (environment)." in str(refused(Settings, profile="prod"))


def test_files_that_cannot_be_read_are_problems_not_crashes(here: Path) -> None:
    Path("app.toml").write_bytes(b"size = 1 # \xff")
    Path(".env").write_bytes(b"APP_SIZE=\xff")
    (here / "app_retries").write_bytes(b"\xff")

    error = refused(Settings, secrets_dir=here)

    assert [problem.split(" is not ")[0] for problem in error.problems] == [
        ".env:1:10",
        f"{here / 'app_retries'}:1:1",
        "app.toml:1:12",
    ]


def test_a_file_without_permission_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    write("app.toml", "size = 1")

    def refuse(path: Path, encoding: str) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)

    assert refused(Settings).problems == ("app.toml cannot be read: Permission denied.",)


def test_a_line_of_dotenv_that_would_be_lost_is_a_problem() -> None:
    write(".env", '# x\n\nAPP_SIZE="3\nelse\n')

    assert any(problem == ".env:3 is not NAME=value." for problem in refused(Settings).problems)


def test_a_broken_line_of_dotenv_that_is_not_ours_is_left_to_its_owner() -> None:
    write(".env", "source other file\nAPP_SIZE=3\n")

    assert load_settings(Settings).size == 3


@pytest.mark.parametrize("profile", ["prdo", "../prod", "a/b"])
def test_a_profile_without_a_file_is_a_typo(profile: str) -> None:
    write("app.prod.toml", "size = 3")

    assert "profile" in refused(Settings, profile=profile).problems[0]


def test_no_exception_of_pydantic_stays_behind_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_API_TOKEN", CANARY)
    error = refused()

    assert error.__cause__ is None
    assert error.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(error))


# What was given is never shown.


class File(BaseModel):
    kind: Literal["file"]


class Bucket(BaseModel):
    kind: Literal["bucket"]


class Suspicious(BaseSettings):
    store: Annotated[File | Bucket, Field(discriminator="kind")] | None = None
    asserted: str = ""
    plain: str = ""
    quoted: str = ""
    parts: str = ""
    number: int = 0
    colour: Colour = Colour.RED
    kind: Annotated[dict[str, str] | list[int], Field()] = {}
    both: str = ""

    @field_validator("plain", "quoted", "parts", "number")
    @classmethod
    def refuse(cls, value: Any, info: Any) -> Any:
        text = {"plain": f"bad {value}", "quoted": f"bad {value!r}"}.get(info.field_name, f"bad {str(value)[3:]} here")
        raise ValueError(text)

    @field_validator("asserted")
    @classmethod
    def claim(cls, value: str) -> str:
        assert value == "so", f"{value} is not so"
        return value

    @model_validator(mode="after")
    def together(self) -> Suspicious:
        if self.both:
            message = f"{self.both} does not fit"
            raise ValueError(message)
        return self


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plain", CANARY),
        ("quoted", "c4n4ry\"Value\\with'quotes"),
        ("parts", CANARY),
        ("number", "7319024"),
        ("asserted", CANARY),
        ("store__kind", CANARY),
        ("store", json.dumps({"kind": CANARY})),
        ("colour", CANARY),
        ("kind", CANARY),
        ("kind", json.dumps({CANARY: [1]})),
        ("both", CANARY),
    ],
)
def test_a_refused_value_is_shown_by_nobody_not_even_by_a_validator(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"APP_{name.upper()}", value)

    error = refused(Suspicious)

    shown = f"{error!s} {error!r} {error.problems} {json.dumps(error.to_dict())}"
    assert value not in shown
    assert "c4n4ry" not in shown
    assert "9024" not in shown


@pytest.mark.parametrize(
    ("given", "message"),
    [("us", "code '***' must be of another sort"), ("Ab", "code '***' must be of another sort")],
)
def test_a_short_value_is_masked_only_where_it_stands_alone(
    monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    class Coded(BaseSettings):
        code: str

        @field_validator("code")
        @classmethod
        def refuse(cls, value: str) -> str:
            text = f"code {value.upper()!r} must be of another sort"
            raise ValueError(text)

    monkeypatch.setenv("APP_CODE", given)

    assert message in str(refused(Coded))


@pytest.mark.parametrize(
    ("given", "shown"),
    [("042", "*** is odd, 43 is not"), (" 42 ", "*** is odd, 43 is not"), ("+42", "*** is odd, 43 is not")],
)
def test_a_number_is_masked_however_it_was_written(monkeypatch: pytest.MonkeyPatch, given: str, shown: str) -> None:
    class Even(BaseSettings):
        size: int

        @field_validator("size")
        @classmethod
        def refuse(cls, value: int) -> int:
            message = f"{value} is odd, 43 is not"
            raise ValueError(message)

    monkeypatch.setenv("APP_SIZE", given)

    assert shown in str(refused(Even))


def test_a_validators_own_words_under_a_type_of_pydantics_are_masked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Borrowing(BaseSettings):
        code: str

        @field_validator("code")
        @classmethod
        def refuse(cls, value: str) -> str:
            raise PydanticCustomError("string_type", "{given} is no code", {"given": value})

    monkeypatch.setenv("APP_CODE", CANARY)
    error = refused(Borrowing)

    assert "code is wrong. *** is no code." in str(error)
    assert CANARY not in str(error)


@pytest.mark.parametrize("kind", [KeyError, TypeError, ZeroDivisionError, StopIteration, OSError])
def test_a_validator_that_breaks_does_not_show_what_it_was_given(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    class Breaking(BaseSettings):
        code: str = ""
        region: str = ""

        @field_validator("code")
        @classmethod
        def look_up(cls, value: str) -> str:
            raise kind(value)

    with pytest.raises(ConfigError) as in_code:
        Breaking(code=CANARY)
    monkeypatch.setenv("APP_CODE", CANARY)
    monkeypatch.setenv("APP_REGOIN", "1")
    loaded = refused(Breaking)

    for error in (in_code.value, loaded):
        assert f"raised {kind.__name__} at {__file__}:" in str(error)
        assert CANARY not in "".join(traceback.format_exception(error))
    assert "did you mean APP_REGION?" in str(loaded)


def test_an_error_of_ours_that_a_validator_raises_goes_up_as_it_is() -> None:
    class Deciding(BaseSettings):
        code: str = "x"

        @model_validator(mode="after")
        def decide(self) -> Deciding:
            message = "no code today"
            raise DataError(message)

    with pytest.raises(DataError, match="no code today"):
        load_settings(Deciding)


def test_what_a_validator_expected_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slashed(BaseSettings):
        folder: str

        @field_validator("folder")
        @classmethod
        def ends(cls, value: str) -> str:
            message = f"{value!r}: must end with a slash"
            raise ValueError(message)

    monkeypatch.setenv("APP_FOLDER", "data")

    assert "must end with a slash" in str(refused(Slashed))


def test_a_validator_of_a_secret_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Guarded(BaseSettings):
        api_token: SecretStr

        @field_validator("api_token")
        @classmethod
        def refuse(cls, value: SecretStr) -> SecretStr:
            message = f"starts with {value.get_secret_value()[:3]}"
            raise ValueError(message)

    monkeypatch.setenv("APP_API_TOKEN", "zq9-and-more")

    assert "api_token is wrong. Its validator refused it." in str(refused(Guarded))
    assert "zq9" not in str(refused(Guarded))


# Names that set nothing.


def test_a_typo_is_noticed_also_when_the_right_name_stands_in_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    write("app.toml", "retries = 3\n")
    monkeypatch.setenv("APP_RETIRES", "9")

    assert explain_settings(load_settings(Settings)).near_misses == ("APP_RETIRES is set; did you mean APP_RETRIES?",)


def strays_everywhere(here: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.setenv("APP_NOTHING_LIKE_IT", "1")
    monkeypatch.setenv("AP_RETRIES", "1")
    monkeypatch.setenv("OTHER_THING", "1")
    write(here / "app_quite_other", "1")
    write("app.toml", "[db]\nurl = 'x'\n[db.deep]\nx = 1\n")
    return (
        "APP_NOTHING_LIKE_IT is set; there is no such setting.",
        f"{here}/app_quite_other is set (secrets directory); there is no such setting.",
        "db.deep is set (app.toml:3); there is no such setting.",
    )


def test_a_name_with_our_prefix_that_sets_nothing_is_a_warning_unless_it_is_wanted_otherwise(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = strays_everywhere(here, monkeypatch)
    foreign = "AP_RETRIES is set; did you mean APP_RETRIES?"

    warned = explain_settings(load_settings(Settings, secrets_dir=here)).near_misses
    ignored = explain_settings(load_settings(Settings, secrets_dir=here, unknown="ignore")).near_misses
    error = refused(Settings, secrets_dir=here, unknown="error")

    assert set(warned) == {*ours, foreign}
    assert ignored == ()
    assert set(error.problems) == {*ours, foreign}
    monkeypatch.delenv("AP_RETRIES")
    assert set(refused(Settings, secrets_dir=here, unknown="error").problems) == set(ours)


def test_a_typo_inside_json_in_a_variable_is_noticed_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DB", '{"url": "x", "poool": 3}')
    monkeypatch.setenv("APP_DB__PASWORD", "x")
    monkeypatch.setenv("APP_LIMITS", '{"any": 3}')

    assert explain_settings(load_settings(Settings)).near_misses == (
        "APP_DB__PASWORD is set; did you mean APP_DB__PASSWORD?",
        "a key in APP_DB is set; did you mean APP_DB__POOL?",
    )


def test_a_warning_is_no_problem_of_an_error_unless_it_may_explain_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_NOTHING_LIKE_IT", "1")
    monkeypatch.setenv("APP_SIZE", "many")

    assert len(refused(Settings).problems) == 1


def test_a_key_of_a_model_that_takes_any_key_is_not_unknown() -> None:
    class Open(BaseModel, extra="allow"):
        known: int = 1

    class Opened(BaseSettings, extra="allow"):
        inner: Open = Open()

    loaded = load_settings(Opened, unknown="error", inner={"more": 2}, outer=3)

    assert (loaded.inner.model_extra, loaded.model_extra) == ({"more": 2}, {"outer": 3})
    assert explain_settings(loaded).near_misses == ()


def test_another_word_for_what_to_do_about_unknown_names_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown is one of warn, error, ignore"):
        load_settings(Settings, unknown="erorr")  # type: ignore[arg-type]  # that is the mistake


def test_a_report_that_is_raised_while_another_error_is_handled_does_not_show_it() -> None:
    error: ConfigError | None = None
    try:
        int(CANARY)
    except ValueError:
        error = refused()

    assert error is not None
    assert error.__suppress_context__
    assert CANARY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, f"{'[' * 400}{']' * 400}"],
    ids=["open lists", "open dicts", "closed lists"],
)
def test_json_that_is_nested_too_deeply_is_refused_like_any_other(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("APP_TAGS", text)
    monkeypatch.setenv("APP_LIMITS", text)

    assert len(refused(Settings).problems) == 2


@pytest.mark.parametrize(
    ("text", "is_readable"), [("api_url = \n", True), ("\udcff", False)], ids=["broken", "unreadable"]
)
def test_what_a_broken_file_may_hold_is_not_said_to_be_missing_from_it(text: str, is_readable: bool) -> None:
    Path("app.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    Path("more.toml").write_text("retries = 1")

    problems = refused(files=["more.toml", "app.toml", "extra.yaml"]).problems

    assert ("is not TOML" in problems[0]) is is_readable
    assert (
        "api_url is missing. It may stand in app.toml, which cannot be read; otherwise set APP_API_URL, or put api_url in "
        "more.toml."
    ) in problems


def test_nobody_is_told_to_write_into_a_file_that_does_not_exist_beside_one_that_does() -> None:
    Path("app.toml").write_text("retries = 1")

    told = str(refused(files=["app.toml", "extra.yaml"]))

    assert "api_url is missing. Set APP_API_URL, or put api_url in app.toml." in told
    assert "put api_url in extra.yaml" in str(refused(files=["absent.toml", "extra.yaml"]))


def test_a_text_in_a_file_where_a_list_belongs_is_not_asked_to_be_json() -> None:
    Path("app.toml").write_text('size = 1\ntags = "a"\n')

    assert refused(Settings).problems == (
        "tags is wrong. Input should be a valid list. It comes from tags (app.toml:2).",
    )
    assert "JSON" not in str(refused(Settings, tags="a"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{{"url":"{CANARY}"', f"the JSON is broken at character {len(CANARY) + 10}: Expecting ',' delimiter. It"),
        (f'{{"url":{CANARY}}}', "the JSON is broken at character 8: Expecting value. It"),
        (
            f"{{{CANARY}: 1}}",
            "the JSON is broken at character 2: Expecting property name enclosed in double quotes. It",
        ),
        (f"[{'9' * 5000}]", "the JSON is too deep, or holds too long a number. It"),
        (CANARY, "in a variable written as JSON. It"),
    ],
)
def test_where_json_in_a_variable_breaks_off_is_told_and_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("APP_DB", text)
    error = refused(Settings)

    assert f"{said} comes from APP_DB (environment)." in str(error)
    assert CANARY not in str(error)


@pytest.mark.parametrize(("name", "text"), [("APP_SIZE", ""), ("APP_TAGS", ""), ("APP_SIZE", "  ")])
def test_an_empty_variable_is_told_from_a_wrong_one(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    assert f"; it is empty. It comes from {name}" in str(refused(Settings))
    monkeypatch.setenv(name, "x")
    assert "it is empty" not in str(refused(Settings))


def test_a_misspelled_name_beside_the_right_one_is_not_explained_by_an_unrelated_one() -> None:
    Path("app.toml").write_text("size = 2\nsise = 3\n[DB]\nurl = 'x'\npool = 4\npol = 5\n")

    assert explain_settings(load_settings(Settings)).near_misses == (
        "sise is set (app.toml:2); there is no such setting, and size is set as well.",
        "DB.pol is set (app.toml:6); there is no such setting, and db.pool is set as well.",
    )


def test_paths_in_a_report_can_be_found_again_from_anywhere(here: Path) -> None:
    assert f"app.toml (absent), defaults; paths are relative to {here}. Correct this" in str(refused())


def test_settings_are_refused_also_where_the_working_directory_is_gone(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "gone").mkdir()
    monkeypatch.chdir(here / "gone")
    (here / "gone").rmdir()

    assert "paths are relative to a folder that was removed" in str(refused())


def test_a_broken_dotenv_is_told_once_and_not_past_the_report(caplog: pytest.LogCaptureFixture) -> None:
    write(".env", 'APP_SIZE=3\nOTHER="x" y\nAPP_RETRIES="4" y\nAPP_TAGS=[]\n')

    error = refused(Settings)

    assert error.problems == (".env:3 is not NAME=value.",)
    assert caplog.records == []


def test_what_is_left_of_a_broken_dotenv_is_read_as_if_it_were_whole() -> None:
    write(".env", 'APP_SIZE=3\nOTHER="x" y\nexport APP_RETRIES="4" # four\n')

    loaded = load_settings(Settings)

    assert (loaded.size, loaded.retries) == (3, 4)
    assert ".env:3" in str(explain_settings(loaded))


def test_a_path_with_braces_does_not_break_the_report(here: Path) -> None:
    (here / "{env}").mkdir()

    told = str(refused(files=["{env}/app.toml"], secrets_dir=here / "{env}"))

    assert (
        f"Set APP_API_URL, or write the file app_api_url in {here}/{{env}}, or put api_url in {{env}}/app.toml." in told
    )
