from __future__ import annotations

import inspect
import itertools
import pickle
import socket
import ssl
import string
from types import SimpleNamespace
from typing import Any

import aiohttp
import botocore.exceptions
import botocore.parsers
import pytest
import urllib3.exceptions

from controlroom.errors import (
    ChecksumMismatchError,
    ConfigError,
    ControlRoomError,
    FileOperationError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageFullError,
    StorageUnavailableError,
    UnsafePathError,
)
from controlroom.policy.object_calls import code_of
from controlroom.redaction import register_secret
from controlroom.storage.s3.classify import classified
from controlroom.storage.s3.error_codes import BY_CODE, BY_EXCEPTION, BY_STATUS, UNKNOWN_EXCEPTION
from tests.unit.storage.s3.scripted import refusal

# Answers carry a code of their own; warnings are not raised; the root says nothing.
NOT_IN_THE_TABLE = {"BotoCoreError", "ImminentRemovalWarning", "UnsupportedTLSVersionWarning"}


def ours(error: BaseException, operation: str = "PutObject") -> ControlRoomError:
    return classified(error, ref="s3://bucket/key", operation=operation)


def sample_of(kind: type[BaseException]) -> BaseException:
    """An instance of *kind*, whatever its message needs."""
    if issubclass(kind, botocore.exceptions.ClientError):
        return kind(
            {"Error": {"Code": "Odd", "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": 418}}, "PutObject"
        )  # type: ignore[call-arg]  # as botocore makes it
    fields = {name for _, name, _, _ in string.Formatter().parse(getattr(kind, "fmt", "")) if name}
    try:
        return kind(**dict.fromkeys(fields, "x"))  # type: ignore[arg-type]  # as above
    except TypeError:
        return kind.__new__(kind)


EVERY_KIND = [
    kind
    for _, kind in sorted(vars(botocore.exceptions).items())
    if inspect.isclass(kind) and issubclass(kind, Exception) and not issubclass(kind, Warning)
]


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_every_exception_of_botocore_has_a_meaning(kind: type[Exception]) -> None:
    names = {one.__name__ for one in kind.__mro__}

    assert names & set(BY_EXCEPTION) or kind.__name__ in NOT_IN_THE_TABLE, (
        f"{kind.__name__} needs a line in error_codes"
    )
    error = ours(sample_of(kind))
    assert error.__cause__ is not None
    assert isinstance(pickle.loads(pickle.dumps(error)), type(error))


EVERY_CLIENT_ERROR = [
    kind for _, kind in inspect.getmembers(aiohttp, inspect.isclass) if issubclass(kind, aiohttp.ClientError)
]


@pytest.mark.parametrize("kind", EVERY_CLIENT_ERROR, ids=lambda kind: kind.__name__)
def test_every_exception_of_aiohttp_has_a_meaning(kind: type[Exception]) -> None:
    assert {one.__name__ for one in kind.__mro__} & set(BY_EXCEPTION)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, ObjectNotFoundError),
        ("NoSuchVersion", 404, ObjectNotFoundError),
        ("NoSuchUpload", 404, ObjectNotFoundError),
        ("404", 404, ObjectNotFoundError),
        ("NoSuchBucket", 404, ConfigError),
        ("PreconditionFailed", 412, ObjectChangedError),
        ("412", 412, ObjectChangedError),
        ("AccessDenied", 403, StorageAccessError),
        ("403", 403, StorageAccessError),
        ("InvalidAccessKeyId", 403, StorageAccessError),
        ("SignatureDoesNotMatch", 403, StorageAccessError),
        ("KMS.DisabledException", 400, StorageAccessError),
        ("KMS.ThrottlingException", 400, StorageUnavailableError),
        ("BadDigest", 400, ChecksumMismatchError),
        ("XAmzContentSHA256Mismatch", 400, ChecksumMismatchError),
        ("QuotaExceeded", 403, StorageFullError),
        ("507", 507, StorageFullError),
        ("KeyTooLongError", 400, UnsafePathError),
        ("SlowDown", 503, StorageUnavailableError),
        ("TooManyRequests", 429, StorageUnavailableError),
        ("OperationAborted", 409, StorageUnavailableError),
        ("InternalError", 500, StorageUnavailableError),
        ("InternalError", 200, StorageUnavailableError),
        ("NotImplemented", 501, FileOperationError),
        ("InvalidObjectState", 403, FileOperationError),
        ("PermanentRedirect", 301, ConfigError),
        ("SomethingNew", 400, FileOperationError),
        ("SomethingNew", 599, StorageUnavailableError),
        ("", 0, FileOperationError),
    ],
)
def test_an_answer_becomes_the_error_that_says_what_to_do(code: str, status: int, kind: type[ControlRoomError]) -> None:
    error = ours(refusal(code, status))

    assert type(error) is kind
    assert error.message.startswith("s3://bucket/key: PutObject ")
    assert error.message.endswith(".")
    assert code_of(error) == (code or str(status))
    assert code in error.message or not code


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (
            botocore.exceptions.EndpointConnectionError(
                endpoint_url="u", error=urllib3.exceptions.NewConnectionError(SimpleNamespace(host="u"), "x")
            ),
            "no",
        ),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="u", error=socket.gaierror("x")), "no"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="u"), "no"),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="u", error=aiohttp.ClientOSError(104, "reset")),
            "unknown",
        ),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="u", error=aiohttp.ClientConnectionError("x")),
            "unknown",
        ),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="u", error=aiohttp.ConnectionTimeoutError("x")), "no"),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="u"), "unknown"),
        (botocore.exceptions.ConnectionClosedError(endpoint_url="u"), "unknown"),
        (botocore.parsers.ResponseParserError("x"), "unknown"),
        (TimeoutError(), "unknown"),
        (ConnectionResetError(), "unknown"),
        (aiohttp.ClientPayloadError("x"), "unknown"),
        (urllib3.exceptions.ProtocolError("x"), "unknown"),
        (ValueError("invalid literal for int()"), "unknown"),
    ],
    ids=itertools.count(),
)
def test_whether_anything_was_sent_is_said_only_where_it_is_known(error: Exception, sent: str) -> None:
    found = ours(error)

    assert isinstance(found, StorageUnavailableError)
    assert found.sent == sent
    assert ("may have taken effect" in found.message) == (sent == "unknown")
    assert "Nothing was changed" in ours(error, "GetObject").message


@pytest.mark.parametrize("untrusted", [ssl.SSLCertVerificationError("self-signed"), ssl.CertificateError("other name")])
def test_a_certificate_that_nobody_vouches_for_is_a_matter_of_configuration(untrusted: Exception) -> None:
    error = ours(botocore.exceptions.SSLError(endpoint_url="u", error=urllib3.exceptions.SSLError(untrusted)))

    assert isinstance(error, ConfigError)
    assert "verify=" in error.message


def test_certificates_that_are_not_there_are_a_matter_of_configuration() -> None:
    missing = FileNotFoundError(2, "No such file or directory")

    for error in (
        botocore.exceptions.HTTPClientError(error=missing),
        botocore.exceptions.SSLError(endpoint_url="u", error=urllib3.exceptions.SSLError(missing)),
    ):
        assert isinstance(ours(error), ConfigError)
        assert "Nothing was changed" in ours(error).message


def test_a_failed_handshake_has_sent_nothing_and_other_failures_of_tls_may_have() -> None:
    incoming = ssl.MemoryBIO()
    incoming.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    client = ssl.create_default_context().wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="s3.test")
    with pytest.raises(ssl.SSLError) as failed:
        client.do_handshake()
    connecting = aiohttp.ClientConnectorSSLError(SimpleNamespace(host="u", port=443, ssl=True), OSError("x"))  # type: ignore[arg-type]  # all it shows

    def sent(inner: Exception) -> Any:
        found = ours(botocore.exceptions.SSLError(endpoint_url="u", error=inner))
        assert isinstance(found, StorageUnavailableError)
        return found.sent, "endpoint_url" in found.message

    assert sent(urllib3.exceptions.SSLError(failed.value)) == sent(connecting) == ("no", True)
    assert sent(urllib3.exceptions.SSLError(ssl.SSLError("bad record mac"))) == ("unknown", False)


def test_what_nobody_foresaw_is_still_one_of_ours() -> None:
    error = ours(ZeroDivisionError("odd"))

    assert type(error) is UNKNOWN_EXCEPTION.kind
    assert "ZeroDivisionError" in error.message
    assert "may have taken effect" in error.message


def test_an_object_that_was_deleted_in_a_versioned_bucket_is_not_there() -> None:
    assert isinstance(ours(refusal("MethodNotAllowed", 405, x_amz_delete_marker="true")), ObjectNotFoundError)


def test_the_region_of_a_bucket_that_is_elsewhere_is_named() -> None:
    error = ours(refusal("PermanentRedirect", 301, x_amz_bucket_region="us-west-2"))

    assert "The bucket is in us-west-2" in error.message


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry_after": "3"}, 3.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:30 GMT"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "nan"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_was_asked_for_is_read_in_both_forms(headers: dict[str, str], wait_s: float | None) -> None:
    assert ours(refusal("SlowDown", 503, **headers)).retry_after_s == wait_s


def test_what_a_server_says_cannot_bring_a_secret_or_a_flood_into_the_message() -> None:
    register_secret("hush-hush-hush")
    said = refusal("AccessDenied", 403)
    said.response["Error"]["Message"] = "hush-hush-hush\n\n" + "x" * 10_000
    said.response["ResponseMetadata"]["RequestId"] = "a\nb"

    error = ours(said)

    assert "hush" not in str(error)
    assert "\n" not in error.message
    assert len(error.message) < 700


@pytest.mark.parametrize(
    "response", [{}, {"Error": None}, {"Error": "x", "ResponseMetadata": []}, {"Error": {"Code": "a b\n"}}]
)
def test_an_answer_of_any_shape_is_read(response: dict[str, Any]) -> None:
    error = botocore.exceptions.ClientError.__new__(botocore.exceptions.ClientError)
    error.response = response

    assert isinstance(ours(error), FileOperationError)


def test_no_code_stands_in_the_table_twice_and_each_sentence_is_one() -> None:
    for meaning in {*BY_CODE.values(), *BY_STATUS.values(), *BY_EXCEPTION.values()}:
        assert meaning.advice.endswith(".")
        assert not meaning.fact.endswith(".")
