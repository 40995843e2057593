"""What S3 answers, and what its library raises, by name: data for `classify`.

Sources: "Error responses" of the Amazon S3 API Reference; botocore's ``exceptions.py``; aiohttp's ``client_exceptions.py``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

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
from controlroom.errors.api import Sent

__all__ = [
    "BY_CODE",
    "BY_EXCEPTION",
    "BY_STATUS",
    "KMS",
    "NO_TLS",
    "UNKNOWN_CODE",
    "UNKNOWN_EXCEPTION",
    "WRONG_REGION",
    "Meaning",
]


class Meaning(NamedTuple):
    """What an answer or an exception means.

    Attributes:
        kind: Which of our errors it is.
        fact: What happened, as the continuation of "PutObject".
        advice: The next act.
        sent: Of a `StorageUnavailableError`: whether the store can have done what was asked.
    """

    kind: type[ControlRoomError]
    fact: str
    advice: str
    sent: Sent = "yes"


_LATER: Final = "Running it again later can help."
_ABSENT: Final = Meaning(ObjectNotFoundError, "found no such object", "Create it first, or correct the key.")
_CHANGED: Final = Meaning(ObjectChangedError, "found another object than was expected", "Look at it, then decide.")
_DENIED: Final = Meaning(
    StorageAccessError,
    "was denied",
    "Allow these credentials this operation, or use others; see also the key's policy.",
)
_CREDENTIALS: Final = Meaning(StorageAccessError, "was refused for its credentials", "Renew the credentials.")
_BUSY: Final = Meaning(StorageUnavailableError, "was throttled", f"{_LATER} Ask for less at once.")
_BROKEN: Final = Meaning(StorageUnavailableError, "failed on the side of the store", _LATER, "unknown")
_FULL: Final = Meaning(StorageFullError, "found no room", "Make room or raise the quota, then run it again.")
_DAMAGED: Final = Meaning(ChecksumMismatchError, "arrived damaged", "Run it again; if it stays, check the way there.")
_TOO_LARGE: Final = Meaning(
    FileOperationError, "was refused for its size", "Write less, or in larger parts (part_size_bytes)."
)
_WRONG_PLACE: Final = Meaning(ConfigError, "asked in the wrong region", "Give the region of the bucket as region=….")
_UNSUPPORTED: Final = Meaning(
    FileOperationError, "is more than this server can do", "Do without, or use another server."
)
_MALFORMED: Final = Meaning(FileOperationError, "was refused as it was put", "Read what the server said; correct that.")
_NO_PLACE: Final = Meaning(ConfigError, "found no such bucket", "Create it, or correct its name and the endpoint.")
_STORED_KEYS: Final = Meaning(
    StorageAccessError, "could not use the key of the encryption", "Allow these credentials the KMS key, or enable it."
)

UNKNOWN_CODE: Final = Meaning(FileOperationError, "was refused", "Read what the server said; correct that.")
WRONG_REGION: Final = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "TemporaryRedirect"}
)
KMS: Final = _STORED_KEYS

_CODES: Final[dict[Meaning, str]] = {
    _ABSENT: "NoSuchKey NoSuchVersion NotFound NoSuchTagSet",
    Meaning(ObjectNotFoundError, "found no such upload", "Begin it again."): "NoSuchUpload",
    _NO_PLACE: "NoSuchBucket NoSuchAccessPoint NoSuchAccessPointAlias InvalidAccessPoint InvalidAccessPointAliasError"
    " InvalidBucketName NoSuchOutpost NoSuchRegion",
    _CHANGED: "PreconditionFailed",
    _DENIED: "AccessDenied AccountProblem AllAccessDisabled AuthorizationQueryParametersError CrossLocationLoggingProhibited"
    " Forbidden InvalidPayer MethodNotAllowedByPolicy NotSignedUp OperationNotPermitted UnauthorizedAccess"
    " UnauthorizedAccessError Unauthorized",
    _CREDENTIALS: "ExpiredToken ExpiredTokenException InvalidAccessKeyId InvalidClientTokenId InvalidSecurity InvalidToken"
    " MissingAuthenticationToken MissingSecurityHeader RequestExpired SignatureDoesNotMatch TokenRefreshRequired"
    " UnrecognizedClientException XAmzExpiredToken",
    Meaning(
        StorageAccessError,
        "was refused: this machine's clock and the server's are too far apart",
        "Set the clock of this machine.",
    ): "RequestTimeTooSkewed RequestInTheFuture",
    _BUSY: "BandwidthLimitExceeded EC2ThrottledException LimitExceededException PriorRequestNotComplete"
    " ProvisionedThroughputExceededException ReduceRequestRate RequestLimitExceeded RequestThrottled"
    " RequestThrottledException ServiceUnavailable SlowDown SlowDownRead SlowDownWrite Throttling ThrottledException"
    " ThrottlingException TooManyRequests TooManyRequestsException TransactionInProgressException",
    Meaning(
        StorageUnavailableError, "met another write of the same object", _LATER
    ): "ConditionalRequestConflict OperationAborted Conflict",
    Meaning(
        StorageUnavailableError, "did not arrive in time, or not whole", _LATER
    ): "RequestTimeout RequestTimeoutException IncompleteBody",
    _BROKEN: "InternalError InternalFailure InternalServerError ServiceException XMinioServerNotInitialized",
    _FULL: "InsufficientStorage QuotaExceeded XMinioAdminBucketQuotaExceeded XMinioStorageFull StorageFull EntityQuotaExceeded"
    " ServiceQuotaExceededException",
    _DAMAGED: "BadDigest ContentSHA256Mismatch InvalidDigest XAmzContentChecksumMismatch XAmzContentSHA256Mismatch",
    Meaning(
        UnsafePathError, "was refused for its key", "Choose another name."
    ): "InvalidObjectName InvalidURI KeyTooLong KeyTooLongError ParentIsObject XMinioInvalidObjectName",
    _TOO_LARGE: "EntityTooLarge EntityTooSmall MaxMessageLengthExceeded MetadataTooLarge RequestHeaderSectionTooLarge",
    Meaning(
        FileOperationError, "found the object archived", "Restore it first (RestoreObject); that takes hours."
    ): "InvalidObjectState ObjectNotInActiveTierError",
    Meaning(
        FileOperationError, "found the object locked", "Wait for the end of its retention, or write beside it."
    ): "InvalidRetentionPeriod ObjectLocked",
    _WRONG_PLACE: " ".join(sorted(WRONG_REGION)),
    _UNSUPPORTED: "MethodNotAllowed NotImplemented UnsupportedOperation UnsupportedSignature",
    _MALFORMED: "BadRequest IllegalVersioningConfigurationException InvalidArgument InvalidEncryptionAlgorithmError InvalidPart"
    " InvalidPartOrder InvalidRange InvalidRequest InvalidTag MalformedACLError MalformedPOSTRequest MalformedXML"
    " MissingContentLength MissingRequestBodyError UnexpectedContent",
}
BY_CODE: Final = {code: meaning for meaning, codes in _CODES.items() for code in codes.split()}
"""Codes in the body of an answer."""

BY_STATUS: Final = {
    301: _WRONG_PLACE,
    307: _WRONG_PLACE,
    400: _MALFORMED,
    401: _DENIED,
    403: _DENIED,
    404: _ABSENT,
    405: _UNSUPPORTED,
    408: BY_CODE["RequestTimeout"],
    409: BY_CODE["OperationAborted"],
    411: _MALFORMED,
    412: _CHANGED,
    413: _TOO_LARGE,
    414: BY_CODE["KeyTooLongError"],
    416: BY_CODE["InvalidRange"],
    429: _BUSY,
    431: _TOO_LARGE,
    500: _BROKEN,
    501: _UNSUPPORTED,
    502: _BROKEN,
    503: _BROKEN,  # without a code of S3 nobody knows who said it, and what happened behind
    504: _BROKEN,
    507: _FULL,
}
"""Statuses of answers whose code says nothing, or that have none: those to HEAD."""

_NO_CREDENTIALS: Final = Meaning(
    ConfigError,
    "has no credentials to sign with",
    "Run 'aws configure', give this process a role, set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or open"
    " the store with anonymous=True.",
)
_NO_REGION: Final = Meaning(ConfigError, "knows no region", "Give region=…, or set AWS_DEFAULT_REGION.")
_MISCONFIGURED: Final = Meaning(
    ConfigError, "cannot be asked as AWS is configured here", "Correct ~/.aws/config, the environment or the arguments."
)
_BAD_PLACE: Final = Meaning(
    ConfigError, "cannot be asked of this bucket or endpoint", "Correct bucket, endpoint_url, region and addressing."
)
_REFUSED_HERE: Final = Meaning(ConfigError, "was refused before it was sent", "Correct the argument it names.")
_MISUSED: Final = Meaning(FileOperationError, "cannot be asked like this", "Report it: this is a fault of the package.")
_NOT_INSTALLED: Final = Meaning(
    ConfigError, "needs what is not installed here", "Install it, or do without what needs it."
)

NO_TLS: Final = Meaning(
    StorageUnavailableError,
    "agreed with the server on no secure connection",
    "See whether https:// or http:// is right in endpoint_url; else running it again later can help.",
    "no",
)
UNKNOWN_EXCEPTION: Final = Meaning(
    FileOperationError, "ended in a way that is not foreseen", "Look at the cause before running it again.", "unknown"
)

_EXCEPTIONS: Final[dict[Meaning, str]] = {
    Meaning(StorageUnavailableError, "found no connection", _LATER, "no"): "EndpointConnectionError ConnectTimeoutError"
    " ConnectionError ProxyConnectionError CapacityNotAvailableError NewConnectionError NameResolutionError"
    " ClientConnectorError ClientConnectorDNSError ClientConnectorSSLError ClientProxyConnectionError ClientHttpProxyError"
    " ConnectionTimeoutError gaierror",
    Meaning(StorageUnavailableError, "got no answer in time", _LATER, "unknown"): "ReadTimeoutError TimeoutError"
    " ServerTimeoutError SocketTimeoutError",
    Meaning(StorageUnavailableError, "lost its connection", _LATER, "unknown"): "HTTPClientError ConnectionClosedError"
    " ResponseStreamingError IncompleteReadError OSError ClientError ClientPayloadError ProtocolError IncompleteRead"
    " HTTPError HTTPException HttpProcessingError EventStreamError",
    Meaning(StorageUnavailableError, "lost its secure connection", _LATER, "unknown"): "SSLError ClientSSLError",
    Meaning(
        ConfigError,
        "met a server whose certificate cannot be verified",
        "Give its authority as verify=<file>, or correct the endpoint.",
    ): "SSLCertVerificationError ClientConnectorCertificateError ServerFingerprintMismatch CertificateError",
    Meaning(
        StorageUnavailableError, "was answered with something that cannot be read", _LATER, "unknown"
    ): "ResponseParserError UnseekableStreamError ValueError",
    Meaning(
        ChecksumMismatchError, "was answered with damaged bytes", "Run it again; if it stays, check the way there."
    ): "ChecksumError FlexibleChecksumError",
    _NO_CREDENTIALS: "NoCredentialsError PartialCredentialsError UnknownCredentialError NoAuthTokenError"
    " RefreshWithMFAUnsupportedError UnknownTokenProviderError",
    Meaning(
        ConfigError,
        "could not fetch its credentials",
        "Look at the cause; renew the login ('aws sso login'), role or token.",
    ): "CredentialRetrievalError TokenRetrievalError SSOError SSOTokenLoadError UnauthorizedSSOTokenError LoginError"
    " LoginAuthorizationCodeError LoginInsufficientPermissions LoginRefreshRequired LoginTokenLoadError",
    Meaning(
        StorageUnavailableError, "could not reach the service that gives it credentials", _LATER, "no"
    ): "MetadataRetrievalError",
    _NO_REGION: "NoRegionError InvalidRegionError UnknownRegionError ServiceNotInRegionError",
    _MISCONFIGURED: "ConfigNotFound ConfigParseError ProfileNotFound InvalidConfigError InfiniteLoopConfigError"
    " InvalidChecksumConfigError InvalidDefaultsMode InvalidEndpointDiscoveryConfigurationError InvalidIMDSEndpointError"
    " InvalidIMDSEndpointModeError InvalidMaxRetryAttemptsError InvalidProxiesConfigError InvalidRetryConfigurationError"
    " InvalidRetryModeError InvalidS3AddressingStyleError InvalidS3UsEast1RegionalEndpointConfigError"
    " InvalidSTSRegionalEndpointsConfigError UnknownSignatureVersionError UnsupportedSignatureVersionError"
    " UnsupportedServiceProtocolsError",
    _BAD_PLACE: "BaseEndpointResolverError EndpointProviderError EndpointResolutionError EndpointVariantError InvalidDNSNameError"
    " InvalidEndpointConfigurationError InvalidHostLabelError InvalidURL InvalidUrlClientError NonHttpUrlClientError"
    " LocationParseError LocationValueError UnknownEndpointError UnknownEndpointResolutionBuiltInName"
    " UnknownFIPSEndpointError UnsupportedOutpostResourceError UnsupportedS3AccesspointConfigurationError"
    " UnsupportedS3ArnError UnsupportedS3ConfigurationError UnsupportedS3ControlArnError"
    " UnsupportedS3ControlConfigurationError",
    _REFUSED_HERE: "ParamValidationError ValidationError RangeError UnknownKeyError UnknownParameterError"
    " AliasConflictParameterError MissingParametersError AwsChunkedWrapperError",
    _NOT_INSTALLED: "MissingDependencyException MD5UnavailableError DataNotFoundError ApiVersionNotFoundError"
    " UnknownServiceError UnknownServiceStyle ImportError",
    _MISUSED: "InvalidExpressionError MissingServiceIdError OperationNotPageableError PaginationError StubAssertionError"
    " StubResponseError UnStubbedResponseError UndefinedModelAttributeError UnknownClientMethodError WaiterConfigError"
    " WaiterError",
}
BY_EXCEPTION: Final = {name: meaning for meaning, names in _EXCEPTIONS.items() for name in names.split()}
"""Exceptions of botocore, aiobotocore, aiohttp and urllib3, by the names of their classes: not every release has each."""
