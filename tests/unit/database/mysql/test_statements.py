"""What commits by itself, what only looks, and what the server's counts say."""

from __future__ import annotations

import pytest

from controlroom.database.mysql.statements import Told, commits, only_looks, told


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (id INT)",
        "create or replace view v as select 1",
        "  -- why\n/* not */ # now\nDROP TABLE t",
        "/*!50000 TRUNCATE t */",
        "ALTER TABLE t ADD c INT",
        "RENAME TABLE a TO b",
        "LOCK TABLES t WRITE",
        "UNLOCK TABLES",
        "GRANT SELECT ON t TO u",
        "SET autocommit = 1",
        "SET @@session.autocommit = 1",
        "ANALYZE TABLE t",
        "START TRANSACTION",
        "XA START 'x'",
    ],
)
def test_what_commits_before_it_runs_is_known(sql):
    assert commits(sql)
    assert not only_looks(sql) or sql.lower().startswith("set")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TEMPORARY TABLE s (id INT)",
        "CREATE OR REPLACE TEMPORARY TABLE s (id INT)",
        "DROP TEMPORARY TABLE s",
        "INSERT INTO created VALUES (1)",
        "UPDATE t SET a = 'DROP TABLE t'",
        "SELECT 1 /* DROP TABLE t */",
        "ROLLBACK TO SAVEPOINT a",
        "SET @a = 1",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "CALL alters()",
    ],
)
def test_what_does_not_commit_is_not_refused(sql):
    assert not commits(sql)


@pytest.mark.parametrize("sql", ["SELECT 1", "SHOW TABLES", "DESCRIBE `t`", "EXPLAIN SELECT 1", "SET @a = 1"])
def test_what_only_looks_may_come_before_a_definition(sql):
    assert only_looks(sql)


@pytest.mark.parametrize(
    "sql", ["INSERT INTO t VALUES (1)", "SELECT * FROM t FOR UPDATE", "SELECT 1 LOCK IN SHARE MODE", "CALL p()"]
)
def test_what_writes_or_locks_does_more_than_look(sql):
    assert not only_looks(sql)


@pytest.mark.parametrize(
    ("message", "affected", "expected"),
    [
        (b"(Rows matched: 2  Changed: 1  Warnings: 0", 1, Told(2, 0)),
        (b"&Records: 3  Duplicates: 1  Warnings: 0", 3, Told(None, 1)),
        (b"", 2, Told(None, 1)),
        (b"", 1, Told(None, 0)),
        (b"", 0, Told(None, 0)),
        (None, 5, Told(None, 0)),
    ],
)
def test_the_servers_words_tell_new_rows_from_changed_ones(message, affected, expected):
    assert told(message, affected) == expected
