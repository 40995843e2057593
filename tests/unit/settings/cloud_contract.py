"""What holds for AWS as this package sees it: run against the double and against an emulator of AWS over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import BaseModel, SecretStr

from controlroom.errors import ConfigError
from controlroom.settings import BaseSettings, explain_settings
from tests.unit.settings.cloud_doubles import COLOURS, DOCUMENT, Load


class Cloud(Protocol):
    def put_secret(self, name: str, value: str | bytes) -> str: ...
    def put_parameter(self, name: str, value: str, kind: str = ...) -> None: ...


class Db(BaseModel):
    password: SecretStr
    username: str = "nobody"
    port: int = 1
    pool: int = 1


class One(BaseSettings):
    value: str


class Texts(BaseSettings):
    texts: list[str]


class Many(BaseSettings):
    token: SecretStr
    db: Db
    tags: list[str] = []
    limits: dict[str, int] = {}
    fallback: str = "aws-ssm:///app/fallback"


STANDS_FOR = {
    "aws-sm://prod/db+x=1.@-_": "whole",
    "  aws-sm://prod/db+x=1.@-_\n": "whole",
    "AWS-SM://prod/db+x=1.@-_": "whole",
    "aws-sm://prod/json#username": "app",
    "aws-sm://prod/json#port": "5432",
    "aws-sm://prod/json#ratio": "1.10",
    "aws-sm://prod/json#on": "true",
    "aws-sm://prod/json#a.b": "dotted",
    "aws-sm://prod/json#deep.er": '["x"]',
    "aws-sm://prod/json#deep": '{"er": ["x"]}',
    "aws-sm://turned": "new-value",
    "aws-sm://turned?stage=AWSCURRENT": "new-value",
    "aws-sm://turned?stage=AWSPREVIOUS": "old-value",
    "aws-ssm:///app/secure": "decrypted",
    "aws-ssm:///app/plain": "config",
    "aws-ssm:///app/plain:1": "config",
    "aws-ssm:///app/list": "a,b",
    "aws-ssm:///app/json#password": "hunter2-canary",
    "aws-ssm://flat": "no-slash",
}


@pytest.fixture(params=COLOURS)
def load(request: pytest.FixtureRequest) -> Load:
    loader: Load = request.param
    return loader


class CloudContract:
    """Tests that need a fixture `cloud`."""

    def test_a_reference_stands_for_what_aws_keeps(self, cloud: Cloud, load: Load) -> None:
        cloud.put_secret("prod/db+x=1.@-_", "whole")
        cloud.put_secret("prod/json", DOCUMENT)
        cloud.put_secret("turned", "old-value")
        cloud.put_secret("turned", "new-value")
        cloud.put_parameter("/app/secure", "decrypted")
        cloud.put_parameter("/app/plain", "config", "String")
        cloud.put_parameter("/app/list", "a,b", "StringList")
        cloud.put_parameter("/app/json", DOCUMENT)
        cloud.put_parameter("flat", "no-slash", "String")

        assert load(Texts, texts=list(STANDS_FOR)) == Texts(texts=list(STANDS_FOR.values()))

    def test_a_secret_can_be_named_by_its_arn(self, cloud: Cloud, load: Load) -> None:
        arn = cloud.put_secret("by/arn", "found")
        cloud.put_secret("other", "filler")
        whole, without_suffix = f"aws-sm://{arn}", f"aws-sm://{arn[:-7]}"

        assert load(One, value=f"{whole}?region=eu-west-1") == One(value="found")
        assert load(Texts, texts=[whole, without_suffix, "aws-sm://other"]) == Texts(texts=["found", "found", "filler"])

    def test_references_may_stand_wherever_a_string_may(
        self, cloud: Cloud, load: Load, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cloud.put_secret("token", "token-canary")
        cloud.put_secret("db", json.dumps({"password": "hunter2-canary", "port": "5432"}))
        cloud.put_secret("tag", "from-a-list")
        cloud.put_secret("limit", "7")
        cloud.put_parameter("/app/fallback", "from-a-default", "String")
        (here / "secrets").mkdir()
        (here / "secrets" / "app_token").write_text("aws-sm://token\n")
        monkeypatch.setenv("APP_DB", "aws-sm://db")
        monkeypatch.setenv("APP_DB__POOL", "9")
        Path(".env").write_text('APP_TAGS=["plain", "aws-sm://tag"]\n')
        Path("app.toml").write_text('[limits]\nmost = "aws-sm://limit"\n[db]\nusername = "aws-ssm:///app/fallback"\n')

        loaded = load(Many, secrets_dir=here / "secrets")

        expected = Db(password=SecretStr("hunter2-canary"), username="from-a-default", port=5432, pool=9)
        assert loaded == Many(
            token=SecretStr("token-canary"),
            db=expected,
            tags=["plain", "from-a-list"],
            limits={"most": 7},
            fallback="from-a-default",
        )

    def test_one_error_reports_every_reference_that_has_no_value(self, cloud: Cloud, load: Load) -> None:
        cloud.put_secret("binary", b"\xff\x00canary")
        cloud.put_secret("json", DOCUMENT)
        cloud.put_secret("text", "no json")
        given = {
            "token": "aws-sm://binary",
            "db": {"password": "aws-sm://json#missing", "username": "aws-sm://json#none", "port": "aws-sm://text#port"},
            "tags": ["aws-sm://absent", "aws-sm://gone", "aws-ssm:///absent"],
            "limits": {"a": "aws-sm://json#username"},
            "fallback": "aws-sm://",
        }

        with pytest.raises(ConfigError) as caught:
            load(Many, **given)

        report = "\n".join(caught.value.problems)
        assert len(caught.value.problems) == 7
        for name, reference, words in [
            ("token", "aws-sm://binary", "binary"),
            ("db.password", "aws-sm://json#missing", "no such member"),
            ("db.username", "aws-sm://json#none", "null"),
            ("db.port", "aws-sm://text#port", "no JSON object"),
            ("tags.0", "aws-sm://absent", "no such secret"),
            ("tags.1", "aws-sm://gone", "no such secret"),
            ("tags.2", "aws-ssm:///absent", "no such parameter"),
            ("limits", "", "limits is wrong"),
            ("fallback", "", "it names nothing"),
        ]:
            assert any(all(part in line for part in (name, reference, words)) for line in caught.value.problems), report
        assert "hunter2" not in report

    def test_a_named_region_is_asked_and_no_other(self, cloud: Cloud, load: Load) -> None:
        cloud.put_secret("here", "found")

        assert load(One, value="aws-sm://here?region=eu-west-1") == One(value="found")

    def test_more_than_any_batch_takes(self, cloud: Cloud, load: Load) -> None:
        class Lots(BaseSettings):
            secrets: list[str]
            parameters: list[str]

        for number in range(23):
            cloud.put_secret(f"many/{number}", f"secret-{number}")
            cloud.put_parameter(f"/many/{number}", f"parameter-{number}", "String")

        loaded = load(
            Lots,
            secrets=[f"aws-sm://many/{number}" for number in range(23)],
            parameters=[f"aws-ssm:///many/{number}" for number in range(23)],
        )

        assert loaded.model_dump() == {
            "secrets": [f"secret-{number}" for number in range(23)],
            "parameters": [f"parameter-{number}" for number in range(23)],
        }

    def test_the_explanation_names_the_place_and_the_reference(
        self, cloud: Cloud, load: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arn = cloud.put_secret("explained", DOCUMENT)
        monkeypatch.setenv("APP_TOKEN", f"aws-sm://{arn}#password")
        Path("app.toml").write_text('token = "aws-sm://shadowed"\n[db]\npassword = "hunter2-other"\n')
        cloud.put_parameter("/app/fallback", "x", "String")

        rows = {row.name: row for row in explain_settings(load(Many)).rows}

        suffix = arn.rpartition(":")[2]
        assert rows["token"].source == f"environment → aws-sm://{suffix}?region=eu-west-1#password"
        assert rows["token"].key == "APP_TOKEN"
        assert rows["token"].shadowed == ("token (app.toml:1 → aws-sm://shadowed)",)
        assert rows["fallback"].source == "default → aws-ssm:///app/fallback"
