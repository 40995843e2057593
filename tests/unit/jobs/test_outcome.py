from __future__ import annotations

from asyncio import CancelledError

import pytest

from controlroom import errors
from controlroom.errors import ControlRoomError, Disposition
from controlroom.jobs import Outcome, exit_code_of, outcome_of

PUBLIC = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ControlRoomError)]


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_an_error_of_ours_ends_the_process_with_its_own_code(kind: type[ControlRoomError]) -> None:
    error = kind("x")

    assert exit_code_of(error) == error.exit_code
    assert exit_code_of(error) not in (0, 1, 2)


@pytest.mark.parametrize(
    ("error", "code", "outcome"),
    [
        (None, 0, Outcome.SUCCEEDED),
        (errors.NothingToDo("x"), 99, Outcome.SKIPPED),
        (errors.DataError("x", disposition=Disposition.SKIP), 99, Outcome.SKIPPED),
        (errors.ShutdownRequested("x", signal=15), 143, Outcome.STOPPED),
        (errors.ShutdownRequested("x", signal=2), 130, Outcome.STOPPED),
        (KeyboardInterrupt(), 130, Outcome.STOPPED),
        (CancelledError(), 75, Outcome.STOPPED),
        (SystemExit(), 0, Outcome.SUCCEEDED),
        (SystemExit(0), 0, Outcome.SUCCEEDED),
        (SystemExit(False), 0, Outcome.SUCCEEDED),
        (SystemExit(3), 3, Outcome.FAILED),
        (SystemExit(255), 255, Outcome.FAILED),
        (SystemExit(256), 70, Outcome.FAILED),
        (SystemExit(-1), 70, Outcome.FAILED),
        (SystemExit("cannot find it"), 70, Outcome.FAILED),
        (ValueError("x"), 70, Outcome.FAILED),
        (MemoryError(), 70, Outcome.FAILED),
        (errors.DataError("x"), 65, Outcome.FAILED),
        (errors.DataError("x", disposition=Disposition.RETRY), 75, Outcome.FAILED),
    ],
    ids=repr,
)
def test_every_end_has_one_code_and_one_outcome(error: BaseException | None, code: int, outcome: Outcome) -> None:
    assert (exit_code_of(error), outcome_of(error)) == (code, outcome)


STOP, RETRY, SHUTDOWN, SKIP = (
    errors.ConfigError("x"),
    errors.APITimeoutError("x"),
    errors.ShutdownRequested("x", signal=15),
    errors.NothingToDo("x"),
)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ([RETRY, STOP], 78),
        ([SHUTDOWN, RETRY, ValueError()], 70),
        ([SHUTDOWN, RETRY], 75),
        ([SHUTDOWN, SHUTDOWN], 143),
        ([SKIP, SHUTDOWN], 143),
        ([SKIP, SKIP], 99),
        ([RETRY, ExceptionGroup("inner", [SKIP, STOP])], 78),
    ],
    ids=str,
)
def test_a_group_is_worth_retrying_only_if_all_of_it_is(members: list[Exception], code: int) -> None:
    assert exit_code_of(ExceptionGroup("g", members)) == code
