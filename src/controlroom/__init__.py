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
    from controlroom.errors import (
        APIAuthError,
        APIConnectionError,
        APIContractError,
        APIRateLimitError,
        APIStatusError,
        APITimeoutError,
        Attempt,
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

__version__ = "0.1.0"

__all__ = [
    "APIAuthError",
    "APIConnectionError",
    "APIContractError",
    "APIRateLimitError",
    "APIStatusError",
    "APITimeoutError",
    "Attempt",
    "ChecksumMismatchError",
    "CircuitOpenError",
    "CommitInDoubtError",
    "ConfigError",
    "ControlRoomError",
    "DataError",
    "DatabaseError",
    "DatabaseUnavailableError",
    "DeadlineExceededError",
    "Disposition",
    "DoomedTransactionError",
    "ExternalAPIError",
    "FileOperationError",
    "IncompletePaginationError",
    "IntegrityViolationError",
    "InvalidRecordError",
    "LeaseLostError",
    "NothingToDo",
    "ObjectChangedError",
    "ObjectExistsError",
    "ObjectNotFoundError",
    "PaginationError",
    "PaginationLoopError",
    "PoolExhaustedError",
    "PublicationInDoubtError",
    "QuarantineThresholdError",
    "QueryError",
    "ShutdownRequested",
    "StorageAccessError",
    "StorageFullError",
    "StorageUnavailableError",
    "TransactionConflictError",
    "UnsafePathError",
    "__version__",
    "current_deadline",
    "deadline",
]

# Module → the public names it defines: what the imports above say to type checkers, said to the interpreter.
_HOMES = {
    "controlroom.clock": "current_deadline deadline",
    "controlroom.errors": "APIAuthError APIConnectionError APIContractError APIRateLimitError APIStatusError APITimeoutError Attempt ChecksumMismatchError CircuitOpenError CommitInDoubtError ConfigError ControlRoomError DataError DatabaseError DatabaseUnavailableError DeadlineExceededError Disposition DoomedTransactionError ExternalAPIError FileOperationError IncompletePaginationError IntegrityViolationError InvalidRecordError LeaseLostError NothingToDo ObjectChangedError ObjectExistsError ObjectNotFoundError PaginationError PaginationLoopError PoolExhaustedError PublicationInDoubtError QuarantineThresholdError QueryError ShutdownRequested StorageAccessError StorageFullError StorageUnavailableError TransactionConflictError UnsafePathError",
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
    return sorted({*globals(), *__all__})
