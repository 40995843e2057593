"""Each error number means one thing, and no text of a server shows what stands in a row."""

from __future__ import annotations

import pytest

from controlroom.database.classify import Situation, translated
from controlroom.database.mysql.meanings import MysqlMeanings
from controlroom.errors import (
    CommitInDoubtError,
    DatabaseUnavailableError,
    IntegrityViolationError,
    QueryError,
    TransactionConflictError,
)

err = pytest.importorskip("pymysql.err", reason="the extra mysql is not installed")
MEANINGS = MysqlMeanings()
SECRET = "geheim' for key 'x"


def raised(number, text="", phase="statement", sqlstate=None):
    error = err.OperationalError(number, text)
    error.sqlstate = sqlstate
    return translated(error, Situation("INSERT t", phase), MEANINGS)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((number, TransactionConflictError) for number in (1205, 1213, 3101, 3572, 1684)),
        *((number, DatabaseUnavailableError) for number in (0, 1040, 1053, 1927, 2003, 2006, 2013, 4031)),
        *(
            (number, IntegrityViolationError)
            for number in (1048, 1062, 1264, 1292, 1366, 1406, 1451, 1452, 1644, 3819, 4025)
        ),
        *((number, QueryError) for number in (1054, 1064, 1146, 1142, 1290, 1317, 1792)),
    ],
)
def test_a_number_means(number, kind):
    assert type(raised(number)) is kind


@pytest.mark.parametrize(("state", "kind"), [("23000", IntegrityViolationError), ("40001", TransactionConflictError)])
def test_an_unknown_number_goes_by_its_sqlstate(state, kind):
    assert type(raised(1999, sqlstate=state)) is kind


@pytest.mark.parametrize("number", [2006, 2013, 1053, 1927, 1317, 1180, 1969, 4031, 9999])
def test_a_commit_that_was_not_clearly_refused_is_in_doubt(number):
    assert type(raised(number, phase="commit")) is CommitInDoubtError


@pytest.mark.parametrize("number", [1205, 1213, 1290, 3101, 0])
def test_a_commit_that_was_refused_is_not(number):
    assert type(raised(number, phase="commit")) is not CommitInDoubtError


@pytest.mark.parametrize(
    ("number", "text", "facts"),
    [
        (1062, f"Duplicate entry '{SECRET}' for key 't.by_name'", ("t", None, "by_name")),
        (1062, f"Duplicate entry '{SECRET}' for key 'PRIMARY'", (None, None, "PRIMARY")),
        (1366, f"Incorrect integer value: '{SECRET}' for column `d`.`t`.`c` at row 3", ("t", "c", None)),
        (1292, f"Truncated incorrect DOUBLE value: '{SECRET}'", (None, None, None)),
        (1064, f"You have an error in your SQL syntax; check the manual … near '{SECRET}' at line 1", (None, None, None)),
        (1690, f"BIGINT UNSIGNED value is out of range in '({SECRET} - 5)'", (None, None, None)),
        (1644, SECRET, (None, None, None)),
        (1406, "Data too long for column 'c' at row 1", (None, "c", None)),
        (4025, "CONSTRAINT `positive` failed for `d`.`t`", ("t", None, "positive")),
        (1452, "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `fk` FOREIGN KEY (`p`) REFERENCES `q` (`id`))", ("t", None, "fk")),
    ],
)  # fmt: skip
def test_what_is_named_is_kept_and_no_value_is_shown_in_the_cause_either(number, text, facts):
    error = raised(number, text)
    assert (error.table, error.column, error.constraint) == facts
    assert "geheim" not in f"{error}{error.__cause__}{error.__cause__!r}{error.__cause__.args}"


def test_missing_control_tables_and_processes_that_start_together_are_told_apart():
    assert "create_control_tables" in str(raised(1146, "Table 'd.controlroom_ledger' doesn't exist"))
    assert type(raised(1050, "Table 'controlroom_ledger' already exists")) is TransactionConflictError
    assert type(raised(1050, "Table 'mine' already exists")) is QueryError


@pytest.mark.parametrize("number", [1044, 1045, 1049, 1698])
def test_a_wrong_login_or_database_is_a_matter_of_configuration(number):
    assert MEANINGS.misconfigured(err.OperationalError(number, "Unknown database 'x'")) is not None
    assert MEANINGS.misconfigured(err.OperationalError(2003, "Can't connect")) is None
