"""The control plane for data jobs: what to do when the network, the disk or the database says no.

Every public name can be imported from here; it is loaded on first use (PEP 562), so that ``import controlroom`` costs
nothing and a job loads only what it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controlroom.clock import (
        current_deadline,
        deadline,
    )
    from controlroom.database import (
        AsyncDatabase,
        AsyncLease,
        AsyncUnitOfWork,
        Claim,
        ColumnInfo,
        Database,
        Hold,
        Identifier,
        Lease,
        LockInfo,
        Message,
        Pruned,
        Relayed,
        Sql,
        TableFacts,
        TableInfo,
        UnitOfWork,
        WriteCount,
        identifier,
        sql,
    )
    from controlroom.errors import (
        APIAuthError,
        APIConnectionError,
        APIContractError,
        APIRateLimitError,
        APIStatusError,
        APITimeoutError,
        Attempt,
        CheckpointRejectedError,
        ChecksumMismatchError,
        CircuitOpenError,
        CommitInDoubtError,
        ConfigError,
        ControlRoomError,
        DatabaseError,
        DatabaseUnavailableError,
        DataError,
        DeadlineExceededError,
        Disposition,
        DoomedTransactionError,
        ExternalAPIError,
        FileOperationError,
        IncompletePaginationError,
        IntegrityViolationError,
        InvalidRecordError,
        LeaseLostError,
        NothingToDo,
        ObjectChangedError,
        ObjectExistsError,
        ObjectNotFoundError,
        PaginationError,
        PaginationLoopError,
        PoolExhaustedError,
        PublicationInDoubtError,
        QuarantineThresholdError,
        QueryError,
        ShutdownRequested,
        StorageAccessError,
        StorageFullError,
        StorageUnavailableError,
        TransactionConflictError,
        UnsafePathError,
    )
    from controlroom.http import (
        ApiClient,
        ApiKeyAuth,
        AsyncApiClient,
        Auth,
        AwsSigV4Auth,
        BasicAuth,
        BearerAuth,
        CircuitBreaker,
        CursorPagination,
        Endpoint,
        HeaderCursorPagination,
        Headers,
        KeysetPagination,
        LinkHeaderPagination,
        NextUrlPagination,
        OAuth2ClientCredentials,
        OAuth2RefreshToken,
        OffsetPagination,
        Page,
        PageNumberPagination,
        PageRequest,
        PageResponse,
        Pagination,
        RateLimit,
        RejectedRecord,
        Request,
        Response,
        SinglePage,
        Timeouts,
        WalkReport,
    )
    from controlroom.ingestion import (
        AsyncDelivery,
        AsyncInbox,
        AsyncWork,
        Delivery,
        Inbox,
        InboxReport,
        Work,
    )
    from controlroom.jobs import (
        Job,
        Run,
        job,
    )
    from controlroom.logs import (
        Logger,
        LoggingReport,
        bound,
        get_logger,
        setup_logging,
        spawn,
    )
    from controlroom.policy import (
        Backoff,
        Deadline,
        GiveUp,
        RetryAfter,
        RetryBudget,
    )
    from controlroom.redaction import (
        register_secret,
    )
    from controlroom.retrying import (
        RetryPolicy,
    )
    from controlroom.settings import (
        BaseSettings,
        CloudPolicy,
        Explanation,
        SettingDescribed,
        SettingExplained,
        SettingsReference,
        aload_settings,
        aretry_on_rotation,
        explain_settings,
        forget_cached_secrets,
        keeping_secrets,
        load_settings,
        override,
        retry_on_rotation,
        settings_reference,
        shows_rotation,
    )
    from controlroom.storage import (
        AsyncLocalStore,
        AsyncObjectStore,
        AsyncS3Store,
        DatePartition,
        Durability,
        LocalStore,
        Manifest,
        ManifestEntry,
        ObjectEvent,
        ObjectInfo,
        ObjectStore,
        Partition,
        Receipt,
        S3Encryption,
        S3Store,
        S3Timeouts,
        StaleUpload,
        atomic_batch,
        atomic_writer,
        open_store,
        open_store_async,
        parse_s3_events,
        publish_manifest,
        publish_manifest_async,
        read_manifest,
        read_manifest_async,
        sweep_manifest,
        sweep_manifest_async,
        transfer,
        transfer_async,
        write_bytes,
        write_json,
        write_text,
    )
    from controlroom.testing import (
        AsyncMemoryStore,
        CommitProxy,
        FaultPlan,
        FlakyTransport,
        HttpProxy,
        ManualClock,
        MemoryStore,
        SimulatedCrash,
        crash_everywhere,
    )

__version__ = "0.1.0"

# A list to look things up in, not one to scroll through.
# fmt: off
__all__ = [
    "APIAuthError", "APIConnectionError", "APIContractError", "APIRateLimitError", "APIStatusError", "APITimeoutError",
    "ApiClient", "ApiKeyAuth", "AsyncApiClient", "AsyncDatabase", "AsyncDelivery", "AsyncInbox", "AsyncLease",
    "AsyncLocalStore", "AsyncMemoryStore", "AsyncObjectStore", "AsyncS3Store", "AsyncUnitOfWork", "AsyncWork",
    "Attempt", "Auth", "AwsSigV4Auth", "Backoff", "BaseSettings", "BasicAuth", "BearerAuth", "CheckpointRejectedError",
    "ChecksumMismatchError", "CircuitBreaker", "CircuitOpenError", "Claim", "CloudPolicy", "ColumnInfo",
    "CommitInDoubtError", "CommitProxy", "ConfigError", "ControlRoomError", "CursorPagination", "DataError", "Database",
    "DatabaseError", "DatabaseUnavailableError", "DatePartition", "Deadline", "DeadlineExceededError", "Delivery",
    "Disposition", "DoomedTransactionError", "Durability", "Endpoint", "Explanation", "ExternalAPIError", "FaultPlan",
    "FileOperationError", "FlakyTransport", "GiveUp", "HeaderCursorPagination", "Headers", "Hold", "HttpProxy",
    "Identifier", "Inbox", "InboxReport", "IncompletePaginationError", "IntegrityViolationError", "InvalidRecordError",
    "Job", "KeysetPagination", "Lease", "LeaseLostError", "LinkHeaderPagination", "LocalStore", "LockInfo", "Logger",
    "LoggingReport", "Manifest", "ManifestEntry", "ManualClock", "MemoryStore", "Message", "NextUrlPagination",
    "NothingToDo", "OAuth2ClientCredentials", "OAuth2RefreshToken", "ObjectChangedError", "ObjectEvent",
    "ObjectExistsError", "ObjectInfo", "ObjectNotFoundError", "ObjectStore", "OffsetPagination", "Page",
    "PageNumberPagination", "PageRequest", "PageResponse", "Pagination", "PaginationError", "PaginationLoopError",
    "Partition", "PoolExhaustedError", "Pruned", "PublicationInDoubtError", "QuarantineThresholdError", "QueryError",
    "RateLimit", "Receipt", "RejectedRecord", "Relayed", "Request", "Response", "RetryAfter", "RetryBudget",
    "RetryPolicy", "Run", "S3Encryption", "S3Store", "S3Timeouts", "SettingDescribed", "SettingExplained",
    "SettingsReference", "ShutdownRequested", "SimulatedCrash", "SinglePage", "Sql", "StaleUpload",
    "StorageAccessError", "StorageFullError", "StorageUnavailableError", "TableFacts", "TableInfo", "Timeouts",
    "TransactionConflictError", "UnitOfWork", "UnsafePathError", "WalkReport", "Work", "WriteCount", "__version__",
    "aload_settings", "aretry_on_rotation", "atomic_batch", "atomic_writer", "bound", "crash_everywhere",
    "current_deadline", "deadline", "explain_settings", "forget_cached_secrets", "get_logger", "identifier", "job",
    "keeping_secrets", "load_settings", "open_store", "open_store_async", "override", "parse_s3_events",
    "publish_manifest", "publish_manifest_async", "read_manifest", "read_manifest_async", "register_secret",
    "retry_on_rotation", "settings_reference", "setup_logging", "shows_rotation", "spawn", "sql", "sweep_manifest",
    "sweep_manifest_async", "transfer", "transfer_async", "write_bytes", "write_json", "write_text",
]
# fmt: on

# Module → the public names it defines: what the imports above say to type checkers, said to the interpreter.
_HOMES = {
    "controlroom.clock": "current_deadline deadline",
    "controlroom.database": "AsyncDatabase AsyncLease AsyncUnitOfWork Claim ColumnInfo Database Hold Identifier Lease LockInfo Message Pruned Relayed Sql TableFacts TableInfo UnitOfWork WriteCount identifier sql",
    "controlroom.errors": "APIAuthError APIConnectionError APIContractError APIRateLimitError APIStatusError APITimeoutError Attempt CheckpointRejectedError ChecksumMismatchError CircuitOpenError CommitInDoubtError ConfigError ControlRoomError DataError DatabaseError DatabaseUnavailableError DeadlineExceededError Disposition DoomedTransactionError ExternalAPIError FileOperationError IncompletePaginationError IntegrityViolationError InvalidRecordError LeaseLostError NothingToDo ObjectChangedError ObjectExistsError ObjectNotFoundError PaginationError PaginationLoopError PoolExhaustedError PublicationInDoubtError QuarantineThresholdError QueryError ShutdownRequested StorageAccessError StorageFullError StorageUnavailableError TransactionConflictError UnsafePathError",
    "controlroom.http": "ApiClient ApiKeyAuth AsyncApiClient Auth AwsSigV4Auth BasicAuth BearerAuth CircuitBreaker CursorPagination Endpoint HeaderCursorPagination Headers KeysetPagination LinkHeaderPagination NextUrlPagination OAuth2ClientCredentials OAuth2RefreshToken OffsetPagination Page PageNumberPagination PageRequest PageResponse Pagination RateLimit RejectedRecord Request Response SinglePage Timeouts WalkReport",
    "controlroom.ingestion": "AsyncDelivery AsyncInbox AsyncWork Delivery Inbox InboxReport Work",
    "controlroom.jobs": "Job Run job",
    "controlroom.logs": "Logger LoggingReport bound get_logger setup_logging spawn",
    "controlroom.policy": "Backoff Deadline GiveUp RetryAfter RetryBudget",
    "controlroom.redaction": "register_secret",
    "controlroom.retrying": "RetryPolicy",
    "controlroom.settings": "BaseSettings CloudPolicy Explanation SettingDescribed SettingExplained SettingsReference aload_settings aretry_on_rotation explain_settings forget_cached_secrets keeping_secrets load_settings override retry_on_rotation settings_reference shows_rotation",
    "controlroom.storage": "AsyncLocalStore AsyncObjectStore AsyncS3Store DatePartition Durability LocalStore Manifest ManifestEntry ObjectEvent ObjectInfo ObjectStore Partition Receipt S3Encryption S3Store S3Timeouts StaleUpload atomic_batch atomic_writer open_store open_store_async parse_s3_events publish_manifest publish_manifest_async read_manifest read_manifest_async sweep_manifest sweep_manifest_async transfer transfer_async write_bytes write_json write_text",
    "controlroom.testing": "AsyncMemoryStore CommitProxy FaultPlan FlakyTransport HttpProxy ManualClock MemoryStore SimulatedCrash crash_everywhere",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if (module := _HOME_OF.get(name)) is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415 - on first use, like everything else

    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
