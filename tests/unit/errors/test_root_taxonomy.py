"""Names, codes, dispositions and exit codes are frozen: schedulers and alarms match on them."""

from __future__ import annotations

import pytest

import controlroom.errors
from controlroom.errors import (
    APIAuthError,
    APIStatusError,
    ControlRoomError,
    DataError,
    Disposition,
    NothingToDo,
    ShutdownRequested,
)
from tests.unit.errors.every_class import EVERY_CLASS, SAMPLES, keywords_of, sample_of

FROZEN = """
ControlRoomError            Exception            controlroom            stop        70
ConfigError                 ControlRoomError     config                 stop        78
DataError                   ControlRoomError     data                   quarantine  65
InvalidRecordError          DataError            invalid-record         quarantine  65
QuarantineThresholdError    DataError            quarantine-threshold   stop        65
DeadlineExceededError       ControlRoomError     deadline-exceeded      retry       75
LeaseLostError              ControlRoomError     lease-lost             stop        69
NothingToDo                 ControlRoomError     nothing-to-do          skip        99
ShutdownRequested           ControlRoomError     shutdown-requested     retry       143
ExternalAPIError            ControlRoomError     external-api           stop        69
APIConnectionError          ExternalAPIError     api-connection         retry       75
APITimeoutError             ExternalAPIError     api-timeout            retry       75
APIStatusError              ExternalAPIError     api-status             stop        69
APIAuthError                APIStatusError       api-auth               stop        77
APIRateLimitError           APIStatusError       api-rate-limit         retry       75
APIContractError            ExternalAPIError     api-contract           stop        65
PaginationError             APIContractError     pagination             stop        65
CheckpointRejectedError     PaginationError      checkpoint-rejected    stop        65
PaginationLoopError         PaginationError      pagination-loop        stop        65
IncompletePaginationError   PaginationError      incomplete-pagination  stop        65
CircuitOpenError            ExternalAPIError     circuit-open           retry       75
FileOperationError          ControlRoomError     file-operation         stop        74
ObjectNotFoundError         FileOperationError   object-not-found       stop        74
ObjectExistsError           FileOperationError   object-exists          stop        74
ObjectChangedError          FileOperationError   object-changed         stop        74
ChecksumMismatchError       FileOperationError   checksum-mismatch      stop        74
StorageFullError            FileOperationError   storage-full           stop        74
StorageAccessError          FileOperationError   storage-access         stop        77
UnsafePathError             FileOperationError   unsafe-path            stop        74
StorageUnavailableError     FileOperationError   storage-unavailable    retry       75
PublicationInDoubtError     FileOperationError   publication-in-doubt   reconcile   74
DatabaseError               ControlRoomError     database               stop        74
DatabaseUnavailableError    DatabaseError        database-unavailable   retry       75
TransactionConflictError    DatabaseError        transaction-conflict   retry       75
IntegrityViolationError     DatabaseError        integrity-violation    quarantine  65
QueryError                  DatabaseError        query                  stop        70
DoomedTransactionError      DatabaseError        doomed-transaction     stop        70
PoolExhaustedError          DatabaseError        pool-exhausted         retry       75
CommitInDoubtError          DatabaseError        commit-in-doubt        reconcile   74
"""
IDS = [cls.__name__ for cls in EVERY_CLASS]


def test_names_bases_codes_dispositions_and_exit_codes_are_frozen() -> None:
    found = {
        (cls.__name__, cls.__base__.__name__, cls.code, cls.default_disposition.value, str(cls("x").exit_code))
        for cls in EVERY_CLASS
    }

    assert len(found) > 35
    assert found == {tuple(line.split()) for line in FROZEN.strip().splitlines()}


def test_every_class_is_public_where_the_contract_says() -> None:
    assert {cls.__name__ for cls in EVERY_CLASS} <= set(controlroom.errors.__all__)
    assert {cls.__module__ for cls in EVERY_CLASS} == {"controlroom.errors"}
    assert {getattr(controlroom.errors, name).__module__ for name in controlroom.errors.__all__} == {
        "controlroom.errors"
    }


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_the_default_disposition_is_what_an_instance_has(cls: type[ControlRoomError]) -> None:
    assert cls("x").disposition is cls.default_disposition


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_trying_again_is_75_for_every_class_but_a_signal(cls: type[ControlRoomError]) -> None:
    error = cls("x", disposition=Disposition.RETRY)

    assert error.exit_code == (143 if cls is ShutdownRequested else 75)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_nothing_to_do_is_99_for_every_class_but_a_signal(cls: type[ControlRoomError]) -> None:
    error = cls("x", disposition=Disposition.SKIP)

    assert error.exit_code == (143 if cls is ShutdownRequested else 99)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
@pytest.mark.parametrize("disposition", [Disposition.STOP, Disposition.QUARANTINE, Disposition.RECONCILE])
def test_what_cannot_be_repeated_has_the_exit_code_of_its_class(
    cls: type[ControlRoomError], disposition: Disposition
) -> None:
    error = cls("x", disposition=disposition)

    assert error.exit_code == (143 if cls is ShutdownRequested else cls.final_exit_code)
    assert error.exit_code not in {0, 1, 2, 75, 99}


def test_an_outcome_that_a_caller_declares_a_failure_does_not_exit_as_skipped() -> None:
    assert NothingToDo("x", disposition=Disposition.STOP).exit_code == 70


@pytest.mark.parametrize(("signal", "code"), [(15, 143), (2, 130)])
def test_a_shutdown_exits_as_a_shell_reports_its_signal(signal: int, code: int) -> None:
    assert ShutdownRequested("x", signal=signal).exit_code == code


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_every_keyword_is_an_attribute_with_its_value(cls: type[ControlRoomError]) -> None:
    error = sample_of(cls)

    assert {name: getattr(error, name) for name in keywords_of(cls)} == {
        name: SAMPLES[name] for name in keywords_of(cls)
    }


NOTHING_KNOWN = {
    "actual": "",
    "attempts": (),
    "expected": "",
    "holders": (),
    "lease": "",
    "left_s": 0.0,
    "limit": 0,
    "phase": "total",
    "problems": (),
    "received": 0,
    "rejected": 0,
    "sent": "unknown",
    "signal": 15,
    "status_code": 0,
    "total": 0,
}


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_every_class_tells_its_message(cls: type[ControlRoomError]) -> None:
    error = cls("Row 7 is wrong.")

    assert error.message == "Row 7 is wrong."
    assert error.args == ("Row 7 is wrong.",)
    assert str(error) == f"Row 7 is wrong. [{cls.code}]"


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_what_the_caller_does_not_know_claims_nothing(cls: type[ControlRoomError]) -> None:
    error = cls("x")
    names = [name for name in keywords_of(cls) if name != "disposition"]
    expected = {name: NOTHING_KNOWN.get(name) for name in names}
    if "received" in expected:
        expected["expected"] = 0  # of records, not a checksum

    assert {name: getattr(error, name) for name in names} == expected


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_every_keyword_that_is_no_part_of_the_root_stands_in_to_dict(cls: type[ControlRoomError]) -> None:
    told = sample_of(cls).to_dict()

    assert set(keywords_of(cls)) <= set(told)
    assert {"type", "code", "message", "disposition", "exit_code", "attempts", "notes", "causes"} <= set(told)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=IDS)
def test_an_unknown_keyword_is_refused_by_name(cls: type[ControlRoomError]) -> None:
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\(\) got unexpected keyword arguments: colour, status$"):
        cls("x", status=404, colour="red")


@pytest.mark.parametrize("disposition", list(Disposition))
def test_a_disposition_may_be_given_as_its_text(disposition: Disposition) -> None:
    error = DataError("x", disposition=disposition.value)
    assert error.disposition is disposition

    error = DataError("x")
    error.disposition = disposition.value
    assert error.disposition is disposition


def test_an_unknown_disposition_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="perhaps"):
        DataError("x", disposition="perhaps")


@pytest.mark.parametrize("status", range(100, 600))
def test_only_statuses_that_may_pass_are_worth_repeating(status: int) -> None:
    transient = status in {408, 429} or (status >= 500 and status != 501)

    assert APIStatusError("x", status_code=status).disposition is (Disposition.RETRY if transient else Disposition.STOP)


def test_a_status_beyond_http_is_not_worth_repeating() -> None:
    assert APIStatusError("x", status_code=600).disposition is Disposition.STOP


def test_the_caller_knows_better_than_the_status() -> None:
    assert APIStatusError("x", status_code=503, disposition=Disposition.STOP).disposition is Disposition.STOP


def test_a_class_that_chose_a_disposition_keeps_it_whatever_the_status() -> None:
    class PoisonedOrderError(APIStatusError):
        default_disposition = Disposition.QUARANTINE

    assert PoisonedOrderError("x", status_code=503).disposition is Disposition.QUARANTINE
    assert APIAuthError("x", status_code=401).disposition is Disposition.STOP


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Error", "error"),
        ("HTTPGatewayError", "http-gateway"),
        ("Order2MissingError", "order2-missing"),
        ("NoSuchThing", "no-such-thing"),
    ],
)
def test_a_subclass_gets_its_code_from_its_name(name: str, code: str) -> None:
    assert type(name, (DataError,), {}).code == code


def test_a_subclass_may_name_its_code_and_its_own_subclass_does_not_inherit_it() -> None:
    named = type("Named", (DataError,), {"code": "our-code"})
    below = type("Below", (named,), {})

    assert named("x").to_dict()["code"] == "our-code"
    assert str(named("x")) == "x [our-code]"
    assert below.code == "below"


def test_arguments_of_class_creation_reach_the_other_bases() -> None:
    class Tagged:
        def __init_subclass__(cls, tag: str = "", **kwargs: object) -> None:
            super().__init_subclass__(**kwargs)
            cls.tag = tag

    class TaggedError(DataError, Tagged, tag="t"):
        pass

    assert TaggedError.tag == "t"
    assert TaggedError.code == "tagged"
