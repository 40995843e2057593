"""Which words of MySQL, MariaDB and their drivers may be shown: those that name things, not what stands in them.

Any text may hold a value: the key that exists already, the text that is no number, whatever a trigger signals, the piece of a
statement that is not understood. So what may be shown is listed. What is not is left out; its number is there in any case.
"""

from __future__ import annotations

from typing import Final

from controlroom.database.meanings import Phrases

__all__ = ["OF_MYSQL"]

OF_MYSQL: Final = Phrases(
    (
        r"(?P<said>Duplicate entry) '(?s:.*)' for key '[^']*'",
        r"Column '[^']*' cannot be null|Field '[^']*' doesn't have a default value",
        r"(?:Data too long|Out of range value|Data truncated) for column '[^']*' at row \d+",
        r"(?P<said>(?:Truncated )?[Ii]ncorrect [\w ]+ value): (?s:.*)",
        r"(?P<said>\w+(?: UNSIGNED)? value is out of range) in (?s:.*)",
        r"Division by 0|Column count doesn't match value count at row \d+|Row size too large\b[^']*",
        r"(?:CONSTRAINT `[^`]*` failed for `[^`]*`\.`[^`]*`|Check constraint '[^']*' is violated\.?)",
        r"Cannot (?:add or update a child|delete or update a parent) row: a foreign key constraint fails(?: \(`[^']*\))?",
        r"(?P<said>You have an error in your SQL syntax)(?s:.*)",
        r"Table '[^']*' (?:doesn't exist|already exists)|Unknown (?:database|table|storage engine|collation|character set): ?'[^']*'",
        r"Unknown (?:database|table) '[^']*'|Unknown column '[^']*' in '[^']*'|Column '[^']*' in [\w ]+ is ambiguous",
        r"(?:FUNCTION|PROCEDURE|SAVEPOINT) \S+ does not exist|Key column '[^']*' doesn't exist in table",
        r"BLOB/TEXT column '[^']*' used in key specification without a key length|Specified key was too long; max key length is \d+ bytes",
        r"Subquery returns more than 1 row|Duplicate column name '[^']*'|Invalid use of group function",
        r"Deadlock found when trying to get lock; try restarting transaction",
        r"Lock wait timeout exceeded; try restarting transaction|Record has changed since last read in table '[^']*'",
        r"Query execution was interrupted(?: \(max_statement_time exceeded\)|, maximum statement execution time exceeded)?",
        r"Statement aborted because lock\(s\) could not be acquired immediately and NOWAIT is set\.?",
        r"Cannot execute statement in a READ ONLY transaction\.?|Table definition has changed, please retry transaction",
        r"The \w+ server is running with the [\w\-/ =]+ option so it cannot execute this statement",
        r"Access denied for user '[^']*'@'[^']*' (?:to database '[^']*'|\(using password: \w+\))|Too many connections",
        r"[\w, ]+ command denied to user '[^']*'@'[^']*' for (?:table|column) [`'\w.]+.*",
        r"Host '[^']*' is (?:not allowed to connect to this \w+ server|blocked\b.*)|Got packets? (?:bigger|larger) than .*",
        r"User \S+ already has more than 'max_user_connections' active connections",
        r"Connection was killed|Server shutdown in progress|(?:MySQL|Server|The server) has gone away.*|Already closed|no answer in [\d.]+ s",
        r"Lost connection to MySQL server during query(?: \([\w \[\]]+\))?|Can't connect to MySQL server on '[^']*'(?: \(.*\))?",
        r"(?:nan|-?inf|[sq]?nan) can not be used with MySQL|a \w+ cannot be sent|not (?:enough|all) arguments .*string.*",
        r"Packet sequence number wrong - got \d+ expected \d+|Command Out of Sync|Cursor closed|Not connected",
    )
)
