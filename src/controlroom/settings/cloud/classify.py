"""botocore's exceptions → taxonomy. RETRY is what can pass by itself; the rest becomes a line of the ConfigError.

No value gets into a message: what AWS said in its own words is the cause, and the message has only its code. Where an
answer could not be read, even the cause is left out, because botocore puts the body into it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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

__all__ = ["classified", "unclear"]

_TITLES = {"secretsmanager": "Secrets Manager", "ssm": "the Parameter Store"}
_LATER = "Nothing was loaded; running it again later can help."

# Meanings as in "Common Errors" and in the API references of the operations.
_THROTTLED = frozenset(
    {"LimitExceededException", "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"})
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_ABSENT = frozenset({"ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"})
_UNDECRYPTED = frozenset({"DecryptionFailure", "InvalidKeyId", "KMSAccessDeniedException"})
_BROKEN_SERVICE = frozenset({"InternalFailure", "InternalServerError", "InternalServiceError", "ServiceUnavailable"})
_CREDENTIALS = (
    aws.CredentialRetrievalError,
    getattr(aws, "LoginError", aws.NoCredentialsError),  # not in every botocore that is allowed
    aws.MetadataRetrievalError,
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.RefreshWithMFAUnsupportedError,
    aws.SSOError,
    aws.TokenRetrievalError,
)
_REGION = (aws.NoRegionError, aws.InvalidRegionError, aws.UnknownRegionError)
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


def classified(error: Exception, call: Call, region: str = "", url: str | None = None) -> ControlRoomError:
    """Return *error*, raised by *call*, as one of ours, with itself as the cause.

    Args:
        error: What botocore or aiobotocore raised.
        call: What was asked.
        region: Where, if known.
        url: The endpoint that was asked, if known.
    """
    if isinstance(error, aws.ClientError):
        ours = _refused(error, call, region, url)
    elif isinstance(error, ResponseParserError):
        return unclear(call, url)
    else:
        ours = _failed(error, call, url)
    ours.__cause__ = error
    return ours


def unclear(call: Call, url: str | None = None) -> APIContractError:
    """Return the error for an answer to *call* that makes no sense. To ask again is harmless."""
    message = f"{_subject(call)} was answered with something else than it should be, or with a part of it. {_LATER}"
    return APIContractError(message, disposition=Disposition.RETRY, method="POST", url=url)


def _refused(  # noqa: PLR0911 - a table of codes, each with its own answer; one return would hide the table
    error: aws.ClientError, call: Call, region: str, url: str | None
) -> ControlRoomError:
    said: Mapping[str, Any] = error.response.get("Error", {})
    code, words = str(said.get("Code", "")), str(said.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    where = f" in {region}" if region else ""
    asked: dict[str, Any] = {"status_code": status, "method": "POST", "url": url}
    if code in _THROTTLED or status == _TOO_MANY_REQUESTS:
        return APIRateLimitError(f"{_subject(call)} was throttled ({_code(code)}). {_LATER}", **asked)
    if status >= _SERVER_ERROR or code in _BROKEN_SERVICE:
        message = f"{_subject(call)} failed on the side of AWS ({_code(code) or status}). {_LATER}"
        return APIStatusError(message, disposition=Disposition.RETRY if code in _BROKEN_SERVICE else None, **asked)
    if code in _UNDECRYPTED or "kms:Decrypt" in words:
        message = f"It cannot be decrypted ({_code(code)}). Allow this role kms:Decrypt with its key."
        return APIAuthError(message, **asked)
    if code in _DENIED:
        named = _ACTION.search(words)
        message = (
            f"Access to it was denied{where} ({_code(code)}). Allow this role {named[1] if named else call.action}."
        )
        return APIAuthError(message, **asked)
    if code in _BAD_CREDENTIALS:
        message = f"AWS does not accept the credentials of this process ({_code(code)}). Renew them."
        return APIAuthError(message, **asked)
    if code in _ABSENT:
        kind = "secret with such a version" if call.parameters.keys() & {"VersionStage", "VersionId"} else _kind(call)
        return ConfigError(f"There is no such {kind}{where} ({_code(code)}). Create it, or correct the name.")
    message = f"{call.action} was refused ({_code(code) or status}). Correct the reference, or what it names."
    return APIStatusError(message, **asked)


def _failed(error: Exception, call: Call, url: str | None) -> ControlRoomError:
    asked: dict[str, Any] = {"method": "POST", "url": url}
    match error:
        case aws.ConnectTimeoutError():
            message = f"{_subject(call)} found no connection in time. {_LATER}"
            return APITimeoutError(message, phase="connect", sent="no", **asked)
        case aws.ReadTimeoutError() | TimeoutError():
            message = f"{_subject(call)} was not answered in time. {_LATER}"
            return APITimeoutError(message, phase="read", sent="yes", **asked)
        case aws.SSLError():
            message = f"{_subject(call)} found no connection that can be trusted (TLS). {_LATER}"
            return APIConnectionError(message, sent="no", **asked)
        case aws.ConnectionError():  # no endpoint, no proxy
            return APIConnectionError(f"{_subject(call)} found no connection. {_LATER}", sent="no", **asked)
        case aws.HTTPClientError() | aws.IncompleteReadError() | OSError():
            return APIConnectionError(f"{_subject(call)} lost its connection. {_LATER}", **asked)
        case _:
            return _unasked(error, call)


def _unasked(error: Exception, call: Call) -> ConfigError:
    """Return the error for what kept botocore from asking at all."""
    kind = type(error).__name__
    if isinstance(error, _CREDENTIALS):
        message = (
            f"There are no AWS credentials that can be used ({kind}). Give this process a role, or set AWS_PROFILE or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    elif isinstance(error, _REGION):
        message = f"It is not said in which AWS region it is ({kind}). Set AWS_DEFAULT_REGION, or add ?region=."
    elif isinstance(error, aws.ProfileNotFound):
        message = f"The AWS profile of this process does not exist ({kind}). Correct AWS_PROFILE."
    elif isinstance(error, aws.ParamValidationError):
        message = f"AWS would not take it for a name ({kind}). Correct the reference."
    else:
        message = f"{call.action} could not be asked ({kind}). Correct the AWS configuration of this process."
    return ConfigError(message)


def _subject(call: Call) -> str:
    names = ", ".join(str(secret) for secret in call.secrets[:3])
    more = f" and {len(call.secrets) - 3} more" if len(call.secrets) > 3 else ""  # noqa: PLR2004 - as the line above
    return f"{call.operation} of {_TITLES[call.service]} for {names}{more}"


def _kind(call: Call) -> str:
    return "secret" if call.service == "secretsmanager" else "parameter"


def _code(code: str) -> str:
    """Return *code* where it can be one: a server that lies puts anything there."""
    return code if re.fullmatch(r"[A-Za-z.:]{1,80}", code) else ""
