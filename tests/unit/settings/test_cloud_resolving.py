"""Which references are fetched, in how many calls, and what becomes of their values."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, Json, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from controlroom.clock import deadline
from controlroom.errors import APIRateLimitError, ConfigError, DeadlineExceededError, Disposition
from controlroom.policy.backoff import Backoff
from controlroom.redaction import forget_secrets, redact_text
from controlroom.settings import BaseSettings, explain_settings, load_settings
from controlroom.settings.cloud.policy import CloudPolicy
from controlroom.settings.cloud.rotation import forget_cached_secrets
from controlroom.testing import ManualClock
from tests.unit.settings.cloud_contract import load
from tests.unit.settings.cloud_doubles import Asked, FakeAws, Load, installed, refusal

__all__ = ["cloud", "load"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    forget_cached_secrets()
    yield installed(FakeAws(), monkeypatch)
    forget_cached_secrets()


class Db(BaseModel):
    password: SecretStr
    pool: int = 1
    options: dict[str, str] = {}


class Settings(BaseSettings):
    size: int = 0
    name: str = ""
    tags: list[str] = []
    limits: dict[str, Any] = {}
    db: Db | None = None


def names_asked(cloud: FakeAws) -> set[str]:
    return {name for asked in cloud.asked for name in asked.names}


def test_a_reference_that_lost_is_not_fetched(
    cloud: FakeAws, load: Load, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.put_secret("wins", "7")
    monkeypatch.setenv("APP_SIZE", "aws-sm://wins")
    monkeypatch.setenv("APP_NAME", "plain")
    monkeypatch.setenv("APP_DB", '{"password": "x", "pool": 3, "options": "none"}')
    Path("app.toml").write_text(
        'size = "aws-sm://lost"\nname = "aws-sm://lost"\n[db]\npassword = "aws-sm://lost"\n[other_program]\nx = "aws-sm://lost"\n'
    )

    with pytest.raises(ConfigError):  # options is no dict; what lost is still not fetched
        load(Settings)

    assert names_asked(cloud) == {"wins"}


def test_a_document_of_which_every_part_is_given_otherwise_is_not_fetched(cloud: FakeAws, load: Load) -> None:
    class Small(BaseModel):
        url: str
        pool: int

    class Has(BaseSettings):
        db: Small

    Path("app.toml").write_text('db = "aws-sm://lost"\n')

    assert load(Has, db={"url": "u", "pool": 2}).model_dump() == {"db": {"url": "u", "pool": 2}}
    assert cloud.asked == []


def test_what_stands_beside_a_document_is_not_said_to_come_from_it(
    cloud: FakeAws, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.put_secret("doc", '{"password": "pa55word-of-doc"}')
    monkeypatch.setenv("APP_DB", "aws-sm://doc")
    monkeypatch.setenv("APP_DB__POOL", "9")

    sources = {row.name: row.source for row in explain_settings(load(Settings)).rows}
    assert sources["db.password"] == "environment → aws-sm://doc"
    assert sources["db.pool"] == "environment"


def test_everything_is_asked_for_at_once(cloud: FakeAws, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c", "d"):
        cloud.put_secret(name, "5")
    cloud.put_parameter("/p", "5")
    monkeypatch.setenv("APP_SIZE", "aws-sm://a")
    monkeypatch.setenv("APP_DB__PASSWORD", "aws-sm://b")
    Path(".env").write_text("APP_DB__POOL=aws-ssm:///p\n")
    Path("app.toml").write_text('name = "aws-sm://c"\n[limits]\na = "aws-sm://d"\nb = "aws-sm://d"\n')

    load(Settings)

    assert sorted(cloud.operations()) == ["BatchGetSecretValue", "GetParameters"]
    assert sorted(cloud.asked[0].names + cloud.asked[1].names) == ["/p", "a", "b", "c", "d"]


def test_what_a_document_decides_is_asked_after_it(cloud: FakeAws, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.put_secret("db", '{"password": "from-db"}')
    cloud.put_secret("pool", "8")
    monkeypatch.setenv("APP_DB", "aws-sm://db")
    Path("app.toml").write_text('[db]\npassword = "aws-sm://lost"\npool = "aws-sm://pool"\n')

    loaded = load(Settings)

    assert isinstance(loaded, Settings)
    assert loaded.db == Db(password=SecretStr("from-db"), pool=8)
    assert [asked.names for asked in cloud.asked] == [["db"], ["pool"]]


def test_batches_are_as_large_as_aws_allows(cloud: FakeAws, load: Load) -> None:
    for number in range(45):
        cloud.put_secret(f"s{number}", "v")
        cloud.put_parameter(f"/p{number}", "v")

    load(
        Settings,
        tags=[f"aws-sm://s{number}" for number in range(45)] + [f"aws-ssm:///p{number}" for number in range(45)],
    )

    sizes = sorted((asked.operation, len(asked.names)) for asked in cloud.asked)
    assert sizes == [("BatchGetSecretValue", size) for size in (5, 20, 20)] + [
        ("GetParameters", size) for size in (5, 10, 10, 10, 10)
    ]


def test_the_calls_of_one_load_run_at_the_same_time_and_not_in_any_number(cloud: FakeAws) -> None:
    for number in range(20 * 20):
        cloud.put_secret(f"s{number}", "v")
    all_at_once = threading.Barrier(8)
    cloud.refuse = lambda asked: all_at_once.wait(10) if len(cloud.asked) <= 8 else None

    load_settings(Settings, tags=[f"aws-sm://s{number}" for number in range(20 * 20)])

    assert len(cloud.asked) == 20
    assert len({asked.thread for asked in cloud.asked}) == 8


def test_one_bad_name_in_a_batch_spoils_only_itself(cloud: FakeAws, load: Load) -> None:
    cloud.put_secret("good", "v")
    cloud.put_parameter("/good", "v")

    def refuse(asked: Asked) -> None:
        if "bad" in str(asked.names) and len(asked.names) > 1:
            raise refusal("ValidationException", asked.operation)
        if "bad" in str(asked.names):
            raise refusal("AccessDeniedException", asked.operation)

    cloud.refuse = refuse

    with pytest.raises(ConfigError) as caught:
        load(Settings, tags=["aws-sm://good", "aws-sm://bad", "aws-ssm:///good", "aws-ssm:///bad"])

    assert [line.split()[0] for line in caught.value.problems] == ["tags.1", "tags.3"]
    assert "secretsmanager:GetSecretValue" in caught.value.problems[0]
    assert "ssm:GetParameters" in caught.value.problems[1]


def test_a_batch_that_answers_with_less_is_completed_one_by_one(cloud: FakeAws, load: Load) -> None:
    for name in "abc":
        cloud.put_secret(name, f"value-{name}")
    cloud.lie = lambda asked, truth: (
        {**truth, "SecretValues": truth["SecretValues"][:1]} if "SecretValues" in truth else truth
    )

    assert load(Settings, tags=["aws-sm://a", "aws-sm://b", "aws-sm://c"]) == Settings(
        tags=["value-a", "value-b", "value-c"]
    )
    assert cloud.operations() == ["BatchGetSecretValue", "GetSecretValue", "GetSecretValue"]


class Read(BaseSettings):
    numbers: list[int] = []
    either: str | list[int] = ""
    words: str | list[str] = ""
    deep: dict[str, list[int]] = {}
    flag: bool = Field(default=False, strict=True)
    parsed: Json[list[int]] = "[]"
    bare: Annotated[list[str], NoDecode] = []


@pytest.mark.parametrize("name", [*Read.model_fields, "DEEP__MIXED"])
@pytest.mark.parametrize("text", ["[1, 2]", '["a"]', "true", "7", '{"Mixed": [1]}', "a,b", "", "null", "[1"])
def test_values_are_read_as_variables_are(
    cloud: FakeAws, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    cloud.put_secret("n", text)
    monkeypatch.setenv(f"VIA_{name.upper()}", text)
    monkeypatch.setenv(f"APP_{name.upper()}", "aws-sm://n")

    assert _outcome() == _outcome(prefix="VIA_")


def _outcome(**arguments: Any) -> Any:
    try:
        return load_settings(Read, **arguments)
    except ConfigError as error:
        return [problem.partition(" It comes from ")[0] for problem in error.problems]


def test_values_of_files_are_read_as_variables_are(cloud: FakeAws, load: Load) -> None:
    cloud.put_secret("n", "[1, 2]")
    Path("app.toml").write_text('numbers = "aws-sm://n"\n[deep]\nMixed = "aws-sm://n"\n')

    loaded = load(Read)

    assert isinstance(loaded, Read)
    assert (loaded.numbers, loaded.deep) == ([1, 2], {"Mixed": [1, 2]})


def test_a_list_of_the_parameter_store_is_a_list_where_one_is_wanted(cloud: FakeAws, load: Load) -> None:
    cloud.put_parameter("/list", "a,b", "StringList")

    assert load(Settings, tags="aws-ssm:///list", name="aws-ssm:///list") == Settings(tags=["a", "b"], name="a,b")


def test_a_value_that_looks_like_a_reference_is_a_value(cloud: FakeAws, load: Load) -> None:
    cloud.put_secret("a", "aws-sm://b")
    cloud.put_secret("list", '["aws-sm://b"]')
    cloud.put_secret("dict", '{"c": "aws-sm://b"}')
    Path("app.toml").write_text('[limits]\nd = "aws-sm://a"\n')

    loaded = load(Settings, name="aws-sm://a", tags="aws-sm://list", limits="aws-sm://dict")

    assert loaded == Settings(name="aws-sm://b", tags=["aws-sm://b"], limits={"c": "aws-sm://b", "d": "aws-sm://b"})
    assert names_asked(cloud) == {"a", "list", "dict"}


class Defaults(BaseSettings):
    token: SecretStr = SecretStr("aws-sm://token")
    names: list[str] = ["plain", "aws-sm://name"]
    made: Db = Db(password=SecretStr("aws-sm://made"), pool=4)
    partly: Db | None = None


def test_defaults_may_be_references(cloud: FakeAws, load: Load) -> None:
    for name in ("token", "name", "made"):
        cloud.put_secret(name, f"value-of-{name}")

    loaded = load(Defaults)

    assert loaded == Defaults(
        token=SecretStr("value-of-token"),
        names=["plain", "value-of-name"],
        made=Db(password=SecretStr("value-of-made"), pool=4),
    )


def test_a_default_that_lost_is_not_fetched(cloud: FakeAws, load: Load) -> None:
    cloud.put_secret("made", "value-of-made")

    loaded = load(Defaults, token="given", names=[], made={"pool": 5})

    assert isinstance(loaded, Defaults)
    assert loaded.made == Db(password=SecretStr("value-of-made"), pool=5)
    assert names_asked(cloud) == {"made"}


def test_defaults_of_a_nested_class_count_where_it_is_given(cloud: FakeAws, load: Load) -> None:
    class Inner(BaseModel):
        password: str = "aws-sm://inner"
        pool: int = 1

    class Outer(BaseSettings):
        given: Inner | None = None
        absent: Inner | None = None

    cloud.put_secret("inner", "fetched")

    loaded = load(Outer, given={"pool": 2})

    assert loaded == Outer(given=Inner(password="fetched", pool=2))


def test_validators_see_values_and_never_a_reference(cloud: FakeAws, load: Load) -> None:
    seen: list[str] = []

    class Checked(BaseSettings):
        name: str
        other: str = ""

        @field_validator("name", "other", mode="before")
        @classmethod
        def _note(cls, value: str) -> str:
            seen.append(value)
            return value

        @model_validator(mode="after")
        def _both(self) -> Checked:
            if not self.name:
                message = "name is needed"
                raise ValueError(message)
            return self

    cloud.put_secret("name", "v")

    assert load(Checked, name="aws-sm://name").model_dump() == {"name": "v", "other": ""}
    with pytest.raises(ConfigError) as caught:
        load(Checked, name="aws-sm://absent")
    assert len(caught.value.problems) == 1  # what follows from the reference is not told again
    assert not any("aws-sm" in value for value in seen)


def test_a_problem_with_a_value_names_its_reference_and_not_the_value(cloud: FakeAws, load: Load) -> None:
    cloud.put_secret("size", "canary-no-number")

    with pytest.raises(ConfigError) as caught:
        load(Settings, size="aws-sm://size")

    (line,) = caught.value.problems
    assert "It comes from size (keyword → aws-sm://size)." in line
    assert "canary" not in line


def test_throttling_is_waited_out_within_the_schedule(
    cloud: FakeAws, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(asked: Asked) -> None:
        if len(cloud.asked) < 3:
            raise refusal("ThrottlingException")

    cloud.put_secret("n", "v")
    cloud.refuse = refuse

    with ManualClock() as clock, caplog.at_level("INFO"):
        assert load(Settings, name="aws-sm://n") == Settings(name="v")

    assert len(clock.sleeps) == 2
    assert [record.getMessage().split()[0] for record in caplog.records if "series" in record.getMessage()] == [
        "retry_scheduled",
        "retry_scheduled",
        "retries_ended",
    ]
    assert all(0 <= waited <= ceiling for waited, ceiling in zip(clock.sleeps, (0.5, 1.0), strict=True))


def test_a_wait_that_does_not_fit_the_deadline_is_not_begun(cloud: FakeAws, load: Load) -> None:
    def refuse(asked: Asked) -> None:
        raise refusal("ThrottlingException")

    cloud.refuse = refuse
    policy = CloudPolicy(backoff=Backoff(initial_s=60, cap_s=60, jitter="none"))

    with ManualClock() as clock, deadline(30), pytest.raises(APIRateLimitError) as caught:
        load(Settings, name="aws-sm://n", cloud=policy)

    assert clock.sleeps == []
    assert caught.value.disposition is Disposition.RETRY
    assert "deadline" in caught.value.attempts[-1].reason


def test_timeouts_are_cut_to_the_deadline(cloud: FakeAws, load: Load) -> None:
    cloud.put_secret("n", "v")

    with ManualClock(), deadline(2.0):
        load(Settings, name="aws-sm://n")

    (configured,) = cloud.configured
    assert configured["connect_timeout"] == 2.0
    assert configured["read_timeout"] == 2.0
    assert configured["retries"] == {"total_max_attempts": 1}


def test_a_deadline_that_has_passed_is_an_outage(cloud: FakeAws, load: Load) -> None:
    with ManualClock(), deadline(0), pytest.raises(DeadlineExceededError):
        load(Settings, name="aws-sm://n")

    assert cloud.asked == []


def test_what_a_secret_holds_is_registered_and_what_is_configuration_is_not(cloud: FakeAws, load: Load) -> None:
    document = {
        "password": "pw-canary",
        "host": "db.example.com",
        "webhook": "https://hooks.example/canary",
        "n": "app",
    }
    cloud.put_secret("db", json.dumps(document))
    cloud.put_secret("whole", "whole-canary")
    cloud.put_parameter("/secure", "secure-canary")
    cloud.put_parameter("/plain", "eu-west-1", "String")

    load(
        Settings,
        name="aws-sm://whole",
        tags=[
            "aws-sm://db#password",
            "aws-sm://db#host",
            "aws-sm://db#webhook",
            "aws-sm://db#n",
            "aws-ssm:///secure",
            "aws-ssm:///plain",
        ],
    )

    for text in ("pw-canary", "whole-canary", "secure-canary", document["webhook"], json.dumps(document)):
        assert "canary" not in redact_text(f"it is {text}!")
    for text in ("db.example.com", "eu-west-1", "an app"):
        assert redact_text(f"it is {text}!") == f"it is {text}!"


def test_of_a_hidden_setting_a_short_member_is_registered_too(cloud: FakeAws, load: Load) -> None:
    cloud.put_secret("db", '{"pin": "4711"}')

    load(Settings, db={"password": "aws-sm://db#pin"})

    assert "4711" not in redact_text("the pin 4711")


def test_a_part_of_a_document_that_lost_is_registered_too(cloud: FakeAws, load: Load) -> None:
    cloud.put_secret("db", '{"password": "lost-canary", "pool": "3"}')
    Path("app.toml").write_text('db = "aws-sm://db"\n')

    loaded = load(Settings, db={"password": "won"})

    assert isinstance(loaded, Settings)
    assert loaded.db == Db(password=SecretStr("won"), pool=3)
    assert "canary" not in redact_text("the password was lost-canary")


def test_plain_secrets_are_registered_before_aws_is_asked(cloud: FakeAws, load: Load) -> None:
    masked: list[bool] = []
    cloud.put_secret("n", "v")
    cloud.refuse = lambda _: masked.append("canary" not in redact_text("it is plain-canary"))

    load(Settings, name="aws-sm://n", db={"password": "plain-canary"})

    assert masked == [True]


_VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=30).map(
    lambda text: f"canary{text}canary"
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    value=_VALUES, shape=st.sampled_from(["whole", "member", "document", "wrong key", "no json"]), broken=st.booleans()
)
def test_no_canary_gets_into_an_error_an_explanation_or_a_pickle(
    cloud: FakeAws, load: Load, value: str, shape: str, broken: bool
) -> None:
    forget_cached_secrets()
    forget_secrets()
    cloud.secrets.clear()
    cloud.put_secret("n", value if shape in {"whole", "no json"} else json.dumps({"password": value}))
    key = {"member": "#password", "wrong key": "#canaries", "no json": "#password"}.get(shape, "")
    given_: dict[str, Any] = {"db": "aws-sm://n"} if shape == "document" else {"db": {"password": f"aws-sm://n{key}"}}
    told: list[str] = []
    try:
        loaded = load(Settings, **given_, **({"size": "aws-sm://n"} if broken else {}))
    except ConfigError as error:
        told += [str(error), repr(error), json.dumps(error.to_dict()), repr(pickle.dumps(error))]
    else:
        told += [repr(loaded), str(explain_settings(loaded)), repr(pickle.dumps(loaded))]

    assert not [
        text for text in told if value in text or "canary" in text.replace("#canaries", "").replace(str(Path.cwd()), "")
    ]
