"""Every SQLSTATE that a driver knows has a meaning of its own or of its class, and the right one."""

from __future__ import annotations

import pytest
from asyncpg.exceptions._base import PostgresMessageMeta
from psycopg.errors import _sqlcodes

from controlroom.database.postgres.sqlstates import DECIDED, UNDECIDED, is_known, meaning_of_state
from controlroom.errors import (
    DatabaseError,
    DatabaseUnavailableError,
    Disposition,
    DoomedTransactionError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)

_CODE_LENGTH = 5
EVERY_STATE = sorted({code for code in [*_sqlcodes, *PostgresMessageMeta._message_map] if len(code) == _CODE_LENGTH})

# Written down once more, by hand: what must not change by a slip in the table.
EXPECTED = {
    **dict.fromkeys(("40001", "40P01", "55P03", "40000", "72000"), TransactionConflictError),
    **dict.fromkeys(("08000", "08003", "08006", "08P01", "57P01", "57P02", "57P03", "57P05"), DatabaseUnavailableError),
    **dict.fromkeys(("53000", "53300", "25P03", "HV00N"), DatabaseUnavailableError),
    **dict.fromkeys(("53100", "53200", "53400", "58030", "58P01", "XX000", "XX001", "XX002", "F0000"), DatabaseError),
    **dict.fromkeys(("28000", "28P01", "42501", "57P04", "HV000"), DatabaseError),
    **dict.fromkeys(("23000", "23502", "23503", "23505", "23514", "23P01", "44000"), IntegrityViolationError),
    **dict.fromkeys(("22001", "22003", "22007", "22012", "22021", "22P02", "22P05", "54000"), IntegrityViolationError),
    **dict.fromkeys(("P0001", "40002", "27000"), IntegrityViolationError),
    **dict.fromkeys(("42601", "42703", "42P01", "42883", "0A000", "21000", "26000", "34000", "3D000"), QueryError),
    **dict.fromkeys(("3F000", "54001", "54011", "57014", "25006", "25001", "55000", "P0002", "2F003"), QueryError),
    "25P02": DoomedTransactionError,
}


@pytest.mark.parametrize("state", EVERY_STATE)
def test_every_state_that_a_driver_knows_is_in_the_table(state: str) -> None:
    meaning = meaning_of_state(state)

    assert is_known(state)
    assert meaning.fact
    assert meaning.next_act.endswith(".")


@pytest.mark.parametrize("state", sorted(EXPECTED))
def test_a_state_means_what_it_has_to(state: str) -> None:
    assert meaning_of_state(state).kind is EXPECTED[state]


def test_what_is_repeated_is_a_conflict_or_a_lost_connection_and_nothing_else() -> None:
    repeated = {state for state in EVERY_STATE if meaning_of_state(state).kind.default_disposition is Disposition.RETRY}

    assert {state[:2] for state in repeated} == {"08", "25", "40", "53", "55", "57", "72", "HV"}
    assert not repeated & {"57014", "53100", "53200", "25P02", "55000", "40002", "57P04"}


def test_states_that_leave_a_commit_undecided_are_known_and_none_is_decided() -> None:
    assert set(EVERY_STATE) | {"25P04", "57P05"} >= UNDECIDED
    assert not UNDECIDED & DECIDED


def test_an_unknown_state_is_an_error_that_nobody_repeats() -> None:
    assert not is_known("ZZ999")
    assert meaning_of_state("ZZ999").kind is DatabaseError
