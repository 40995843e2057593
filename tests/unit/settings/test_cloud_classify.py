"""What botocore raises, as ours: what to do about it, and nothing of what was answered."""

from __future__ import annotations

import json

import pytest
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from controlroom.errors import (
    APIAuthError,
    APIConnectionError,
    APIContractError,
    APIRateLimitError,
    APIStatusError,
    APITimeoutError,
    ConfigError,
    ControlRoomError,
    Disposition,
)
from controlroom.settings.cloud.calls import Call
from controlroom.settings.cloud.classify import classified
from controlroom.settings.cloud.references import Secret
from tests.unit.settings.cloud_doubles import refusal

CALL = Call("GetSecretValue", {"SecretId": "n"}, (Secret("secretsmanager", "n"),))
RETRY, STOP = Disposition.RETRY, Disposition.STOP


@pytest.mark.parametrize(
    ("error", "kind", "disposition"),
    [
        (refusal("ThrottlingException"), APIRateLimitError, RETRY),
        (refusal("Whatever", status=429), APIRateLimitError, RETRY),
        (refusal("InternalServiceError", status=500), APIStatusError, RETRY),
        (refusal("InternalServerError"), APIStatusError, RETRY),
        (refusal("", status=503), APIStatusError, RETRY),
        (refusal("NotImplemented", status=501), APIStatusError, STOP),
        (refusal("AccessDeniedException"), APIAuthError, STOP),
        (refusal("DecryptionFailure"), APIAuthError, STOP),
        (refusal("ExpiredTokenException", status=403), APIAuthError, STOP),
        (refusal("ResourceNotFoundException"), ConfigError, STOP),
        (refusal("InvalidRequestException"), APIStatusError, STOP),
        (aws.ConnectTimeoutError(endpoint_url="u"), APITimeoutError, RETRY),
        (aws.ReadTimeoutError(endpoint_url="u"), APITimeoutError, RETRY),
        (aws.EndpointConnectionError(endpoint_url="u"), APIConnectionError, RETRY),
        (aws.ConnectionClosedError(endpoint_url="u"), APIConnectionError, RETRY),
        (aws.ProxyConnectionError(proxy_url="u"), APIConnectionError, RETRY),
        (aws.SSLError(endpoint_url="u", error="e"), APIConnectionError, RETRY),
        (aws.ResponseStreamingError(error="e"), APIConnectionError, RETRY),
        (ConnectionResetError(104, "reset"), APIConnectionError, RETRY),
        (ResponseParserError("body: canary"), APIContractError, RETRY),
        (aws.NoCredentialsError(), ConfigError, STOP),
        (aws.CredentialRetrievalError(provider="p", error_msg="canary"), ConfigError, STOP),
        (aws.NoRegionError(), ConfigError, STOP),
        (aws.ProfileNotFound(profile="p"), ConfigError, STOP),
        (aws.ParamValidationError(report="r"), ConfigError, STOP),
        (ValueError("Invalid endpoint: canary"), ConfigError, STOP),
    ],
    ids=lambda given: given.response["Error"]["Code"] if isinstance(given, aws.ClientError) else type(given).__name__,
)
def test_what_aws_and_botocore_say(error: Exception, kind: type[ControlRoomError], disposition: Disposition) -> None:
    ours = classified(error, CALL, "eu-west-1", "https://aws.example")

    assert type(ours) is kind
    assert ours.disposition is disposition
    assert "canary" not in str(ours)
    assert ours.message[-1] == "."


def test_an_answer_that_could_not_be_read_is_not_even_the_cause() -> None:
    ours = classified(ResponseParserError("Unable to parse response, invalid body: canary"), CALL)

    assert ours.__cause__ is None
    assert "canary" not in json.dumps(ours.to_dict())


@pytest.mark.parametrize("code", ["hunter2 canary", "canary" * 20, "<html>canary</html>", ""])
def test_a_code_that_is_none_is_not_shown(code: str) -> None:
    assert "canary" not in str(classified(refusal(code), CALL))


def test_many_secrets_are_named_briefly() -> None:
    secrets = tuple(Secret("secretsmanager", f"n{number}") for number in range(20))
    call = Call("BatchGetSecretValue", {"SecretIdList": []}, secrets)

    assert "aws-sm://n2 and 17 more" in str(classified(refusal("ThrottlingException"), call))
