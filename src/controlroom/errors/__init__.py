"""The taxonomy: what happened, who acts on it, and nothing that cannot leave the process. Standard library only.

Rules of this package:

* The class says what happened, the disposition says what to do. Hosts, exit codes and retries read the disposition
  and never a message.
* An error is plain data. It pickles, deep-copies and crosses a process pool whole; live responses, connections and
  tracebacks stay behind. The chain of causes is copied as data, because ``__cause__`` does not survive pickling.
* No text leaves unmasked. `controlroom.redaction`, one floor up, installs itself here when it is loaded, and whatever
  can register a secret loads it.
* Class names and codes are frozen: Step Functions and alarms match on them.
"""

from __future__ import annotations

from controlroom.errors.api import (
    APIAuthError,
    APIConnectionError,
    APIContractError,
    APIErrorContext,
    APIRateLimitError,
    APIStatusError,
    APITimeoutError,
    CheckpointRejectedError,
    CircuitOpenError,
    ExternalAPIError,
    IncompletePaginationError,
    PaginationError,
    PaginationLoopError,
)
from controlroom.errors.database import (
    CommitInDoubtError,
    DatabaseError,
    DatabaseErrorContext,
    DatabaseUnavailableError,
    DoomedTransactionError,
    IntegrityViolationError,
    PoolExhaustedError,
    QueryError,
    TransactionConflictError,
)
from controlroom.errors.files import (
    ChecksumMismatchError,
    FileErrorContext,
    FileOperationError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    PublicationInDoubtError,
    StorageAccessError,
    StorageFullError,
    StorageUnavailableError,
    UnsafePathError,
)
from controlroom.errors.outcomes import (
    ConfigError,
    DataError,
    DeadlineExceededError,
    InvalidRecordError,
    LeaseLostError,
    NothingToDo,
    QuarantineThresholdError,
    ShutdownRequested,
)
from controlroom.errors.root import ControlRoomError, ErrorContext, cause_chain
from controlroom.errors.values import Attempt, Disposition

__all__ = [
    "APIAuthError",
    "APIConnectionError",
    "APIContractError",
    "APIErrorContext",
    "APIRateLimitError",
    "APIStatusError",
    "APITimeoutError",
    "Attempt",
    "CheckpointRejectedError",
    "ChecksumMismatchError",
    "CircuitOpenError",
    "CommitInDoubtError",
    "ConfigError",
    "ControlRoomError",
    "DataError",
    "DatabaseError",
    "DatabaseErrorContext",
    "DatabaseUnavailableError",
    "DeadlineExceededError",
    "Disposition",
    "DoomedTransactionError",
    "ErrorContext",
    "ExternalAPIError",
    "FileErrorContext",
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
    "cause_chain",
]

# The frozen address of every class, in pickles and logs too, is this package: files inside it may move.
for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
