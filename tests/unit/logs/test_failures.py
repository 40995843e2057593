"""One failure, one ERROR, with all that is known about it, and no locals."""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, NoReturn

import pytest

from controlroom.errors import APIStatusError, Attempt, ControlRoomError, DataError, Disposition, StorageFullError
from controlroom.logs import get_logger, register_secret, setup_logging
from controlroom.logs.failures import failure_facts

log = get_logger("app")


def throw(error: BaseException, cause: BaseException | None = None) -> NoReturn:
    raise error from cause


def raised(error: BaseException, cause: BaseException | None = None) -> Any:
    """*error* with a traceback and a cause."""
    try:
        throw(error, cause)
    except BaseException as caught:
        return caught


def fail(lines: Any, error: BaseException, **facts: Any) -> dict[str, Any]:
    log.failure("ingest_failed", error, **facts)
    return lines()[-1]


def test_an_error_of_ours_is_told_with_all_it_carries(lines: Any) -> None:
    error = raised(
        StorageFullError("disk full", attempts=[Attempt(1, "OSError: no space", 2.0, "retryable")], retry_after_s=3.0),
        OSError(28, "No space left"),
    )
    error.add_note("while writing a.csv")

    line = fail(lines, error, key="a.csv")

    assert (line["level"], line["event"], line["key"]) == ("ERROR", "ingest_failed", "a.csv")
    assert line["error"] == "StorageFullError: disk full"
    assert (line["code"], line["disposition"]) == ("storage-full", error.disposition)
    told = line["exception"]
    assert told["attempts"] == [{"number": 1, "error": "OSError: no space", "wait_s": 2.0, "reason": "retryable"}]
    assert told["notes"] == ["while writing a.csv"]
    assert told["retry_after_s"] == 3.0
    assert told["causes"][0]["type"] == "OSError"


def test_a_foreign_exception_is_told_too_and_marked_as_unforeseen(lines: Any) -> None:
    line = fail(lines, raised(ZeroDivisionError("by zero")))

    assert (line["code"], line["disposition"]) == ("unforeseen", Disposition.STOP)
    assert line["error"] == "ZeroDivisionError: by zero"


def test_frames_say_where_and_never_what_the_variables_held(lines: Any) -> None:
    def inner() -> NoReturn:
        local = "a-local-value"
        raise ValueError(len(local))

    try:
        inner()
    except ValueError as error:
        line = fail(lines, error)

    frame = line["exception"]["frames"][-1]
    assert frame["file"] == __file__
    assert frame["function"].endswith("inner")
    assert frame["line"] > 0
    assert "a-local-value" not in str(line)


def test_a_very_deep_traceback_keeps_both_ends(lines: Any) -> None:
    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        else:
            raise ValueError

    try:
        dive(200)
    except ValueError as error:
        frames = fail(lines, error)["exception"]["frames"]

    assert len(frames) == 51
    assert frames[10] == {"omitted": 202 - 50}


def test_members_of_a_group_are_told_with_their_causes_and_frames(lines: Any) -> None:
    member = raised(DataError("bad row"), KeyError("id"))
    line = fail(lines, raised(ExceptionGroup("two failed", [member, ValueError("x")])))

    told = line["exception"]
    assert told["members_total"] == 2
    assert [one["type"] for one in told["members"]] == ["DataError", "ValueError"]
    assert told["members"][0]["causes"][0]["type"] == "KeyError"
    assert told["members"][0]["frames"]


def test_groups_of_groups_stay_one_line_of_bounded_size(lines: Any) -> None:
    group: Exception = ValueError("leaf")
    for _ in range(4):
        group = ExceptionGroup("level", [copy.copy(group) for _ in range(12)])

    assert str(failure_facts(group)).count("'type'") <= 100
    assert len(str(fail(lines, group))) < 50_000


def test_implicit_causes_are_told_unless_they_were_suppressed(lines: Any) -> None:
    try:
        try:
            throw(KeyError("first"))
        except KeyError:
            raise ValueError("second")  # noqa: B904 - the implicit cause is the point
    except ValueError as error:
        implicit = fail(lines, error)["exception"]
    try:
        try:
            throw(KeyError("first"))
        except KeyError:
            raise ValueError("second") from None
    except ValueError as error:
        suppressed = fail(lines, error)["exception"]

    assert [cause["type"] for cause in implicit["causes"]] == ["KeyError"]
    assert "causes" not in suppressed


def test_a_loop_of_causes_ends(lines: Any) -> None:
    first, second = ValueError("first"), DataError("second")
    first.__cause__, second.__cause__ = second, first

    assert [cause["type"] for cause in fail(lines, first)["exception"]["causes"]] == ["DataError"]


def test_the_second_call_for_the_same_error_is_a_no_op(lines: Any) -> None:
    error = raised(DataError("bad"))
    log.failure("first_told", error)
    log.failure("second_told", error)
    get_logger("elsewhere").failure("third_told", error)

    assert [line["event"] for line in lines()] == ["first_told"]


def test_equal_errors_are_different_failures(lines: Any) -> None:
    log.failure("told", ValueError("x"))
    log.failure("told", ValueError("x"))

    assert len(lines()) == 2


def test_two_threads_with_the_same_error_log_it_once(lines: Any) -> None:
    for _ in range(20):
        error, barrier = ValueError("x"), threading.Barrier(4)

        def tell(error: BaseException = error, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            log.failure("told", error)

        threads = [threading.Thread(target=tell) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(lines()) == 20


@pytest.mark.parametrize("kind", [DataError, ValueError])
def test_the_mark_survives_pickling_and_copying(lines: Any, kind: type[Exception]) -> None:
    error = kind("bad")
    log.failure("told", error)
    log.failure("told", pickle.loads(pickle.dumps(error)))
    log.failure("told", copy.deepcopy(error))

    assert len(lines()) == 1


def test_the_mark_is_no_detail_of_the_error(lines: Any) -> None:
    error = DataError("bad")
    before = error.to_dict()
    log.failure("told", error)

    assert error.to_dict() == before
    assert {type(value) for key, value in error.__dict__.items() if "reported" in key} == {bool}
    assert str(error) == str(DataError("bad"))


def test_an_error_that_was_not_logged_is_not_marked() -> None:
    error = DataError("bad")
    report = setup_logging("CRITICAL")
    try:
        log.failure("told", error)
    finally:
        report.undo()

    assert failure_facts(error)
    assert not any("reported" in key for key in error.__dict__)


def test_a_wrapper_of_a_reported_error_is_logged_without_the_traceback_told_before(lines: Any) -> None:
    cause = raised(ValueError("first"))
    log.failure("told", cause)

    line = fail(lines, raised(DataError("wrapped"), cause))

    assert line["exception"]["frames"]
    assert line["exception"]["causes"][0]["reported"] is True
    assert "frames" not in line["exception"]["causes"][0]


def test_a_frozen_exception_is_logged_once_too(lines: Any) -> None:
    @dataclass(frozen=True, eq=False)
    class FrozenError(Exception):
        number: int

    error = FrozenError(1)
    log.failure("told", error)
    log.failure("told", error)

    assert len(lines()) == 1


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    @property
    def __notes__(self) -> list[str]:
        raise RuntimeError

    @property
    def __cause__(self) -> BaseException:
        raise RuntimeError


def test_an_exception_that_raises_when_read_is_told_by_its_class(lines: Any) -> None:
    assert fail(lines, Hostile())["exception"]["type"] == "Hostile"


class Sealed(Exception):
    @property
    def __dict__(self) -> NoReturn:
        raise RuntimeError


class Nameless(type):
    def __getattribute__(cls, name: str) -> Any:
        if name == "__name__":
            raise RuntimeError
        return super().__getattribute__(name)


@pytest.mark.parametrize("error", [ValueError, None, "a text", Sealed("x")], ids=repr)
def test_what_can_carry_no_mark_is_told_each_time(lines: Any, error: Any) -> None:
    log.failure("tried", error)
    log.failure("tried", error)

    assert [line["level"] for line in lines()] == ["ERROR", "ERROR"]


def test_what_has_not_even_a_name_costs_its_line_and_no_more(lines: Any) -> None:
    log.failure("tried", Nameless("X", (), {})())
    log.failure("tried_on", DataError("x"))

    assert [line["event"] for line in lines()] == ["tried_on"]


def test_a_failure_that_comes_as_exc_info_may_have_a_fact_called_error(lines: Any) -> None:
    log.error("tried", exc_info=DataError("x"), error="as the caller says")

    (line,) = lines()
    assert (line["error"], line["code"]) == ("as the caller says", "data")


def test_notes_of_any_kind_do_not_break_the_line(lines: Any) -> None:
    error = ValueError("x")
    error.__notes__ = [1, None, "text"]

    assert fail(lines, error)["exception"]["notes"] == ["1", "None", "text"]


def failing_in_a_worker() -> None:
    try:
        throw(KeyError("the first cause"))
    except KeyError as cause:
        raise APIStatusError("GET /x: 503", status_code=503) from cause


def test_an_error_from_a_process_pool_brings_its_causes_as_data(lines: Any) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        error = pool.submit(failing_in_a_worker).exception()

    assert isinstance(error, ControlRoomError)
    line = fail(lines, error)
    assert [cause["type"] for cause in line["exception"]["causes"]] == ["KeyError"]
    assert line["exception"]["status_code"] == 503


def test_secrets_are_masked_in_message_notes_causes_members_and_attempts(lines: Any) -> None:
    register_secret("s3cr3t-value")
    cause = ValueError("s3cr3t-value")
    cause.add_note("note s3cr3t-value")
    error = raised(ExceptionGroup("g s3cr3t-value", [DataError("m s3cr3t-value")]), cause)
    error.add_note("s3cr3t-value")

    assert "s3cr3t" not in str(fail(lines, error, password="other"))
    assert lines()[-1]["password"] == "***"


def test_what_is_no_exception_at_all_does_not_raise(lines: Any) -> None:
    log.failure("told", None)

    assert lines()[-1]["event"] == "told"


class Falsy(ValueError):
    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


def test_a_cause_that_is_false_is_a_cause(lines: Any) -> None:
    explicit = raised(ValueError("first"), Falsy("second"))
    implicit = ValueError("first")
    implicit.__context__ = Falsy("second")
    implicit.__context__.__cause__ = Falsy("third")
    alone = Falsy("alone")

    assert [cause["message"] for cause in fail(lines, explicit)["exception"]["causes"]] == ["second"]
    assert [cause["message"] for cause in fail(lines, implicit)["exception"]["causes"]] == ["second", "third"]
    assert fail(lines, alone)["exception"]["message"] == "alone"


def test_an_error_that_crossed_a_process_keeps_its_causes_when_it_is_raised_in_the_middle_of_another(
    lines: Any,
) -> None:
    error = pickle.loads(pickle.dumps(raised(DataError("bad file"), raised(ValueError("bad row"), KeyError("id")))))
    try:
        try:
            throw(RuntimeError("while waiting for the worker"))
        except RuntimeError:
            raise error  # noqa: B904 - implicitly in the middle of the other, as it happens
    except DataError as caught:
        line = fail(lines, caught)

    messages = [cause["message"] for cause in line["exception"]["causes"]]
    assert messages == ["while waiting for the worker", "bad row", "'id'"]


def test_causes_that_an_inner_error_brought_are_told_behind_it(lines: Any) -> None:
    inner = pickle.loads(pickle.dumps(raised(DataError("bad file"), ValueError("bad row"))))
    line = fail(lines, raised(RuntimeError("the load failed"), inner))

    assert [cause["message"] for cause in line["exception"]["causes"]] == ["bad file", "bad row"]


def test_a_cause_that_still_lives_is_not_told_a_second_time_as_data(lines: Any) -> None:
    cause = raised(ValueError("bad row"))
    error = pickle.loads(pickle.dumps(raised(DataError("bad file"), cause)))
    line = fail(lines, raised(error, cause))

    assert [(cause["message"], "frames" in cause) for cause in line["exception"]["causes"]] == [("bad row", True)]


@pytest.mark.parametrize("kind", [ValueError, DataError])
def test_a_message_of_ten_megabytes_arrives_cut_and_said_to_be(lines: Any, kind: type[Exception]) -> None:
    error = raised(kind("x" * 10_000_000), kind("y" * 10_000_000))
    error.add_note("z" * 10_000_000)
    line = fail(lines, error, small="kept")

    assert line["truncated"] is True
    assert line["small"] == "kept"
    assert line["error"].startswith(f"{kind.__name__}: xxx")


@pytest.mark.parametrize(("depth", "told", "omitted"), [(3, 3, None), (20, 20, None), (21, 20, True), (500, 20, True)])
def test_a_chain_that_is_cut_says_so(depth: int, told: int, omitted: bool | None) -> None:
    error: BaseException | None = None
    for number in range(depth + 1):
        cause, error = error, ValueError(number)
        error.__cause__ = cause

    exception = failure_facts(error)["exception"]

    assert len(exception["causes"]) == told
    assert exception.get("causes_omitted") is omitted


def test_causes_that_lead_back_are_told_once_and_nothing_is_omitted() -> None:
    error, cause = ValueError("effect"), KeyError("cause")
    error.__cause__, cause.__cause__ = cause, error

    exception = failure_facts(error)["exception"]

    assert [each["type"] for each in exception["causes"]] == ["KeyError"]
    assert "causes_omitted" not in exception
