"""Which words of PostgreSQL and of its drivers may be shown: those that name things, not what stands in them.

Any text may hold a value: the input that is no number, the key that exists already, the argument that a driver cannot send,
whatever a trigger raises under whichever SQLSTATE. So what may be shown is listed. What is not listed, in another language
say, is left out; the SQLSTATE and the names that the server gives apart from its text are there in any case.
"""

from __future__ import annotations

from typing import Final

from controlroom.database.meanings import Phrases

__all__ = ["OF_CLIENTS", "OF_SERVERS"]

_NAME = r'"(?:[^"]|"")*"'
_TYPE = r"[\w \[\]\".()]+"
_ARGUMENT = r"invalid input for query argument \$\d+(?: in element #\d+ of executemany\(\) sequence)?"
_WHY = (
    r"expected \w+, got \w+|value out of \w+ range|an integer is required[^()]*|a bytes-like object is required[^()]*"
    r"|'\w+' object (?:cannot be interpreted as an integer|has no attribute '\w+')"
)

OF_SERVERS: Final = Phrases(
    (
        # 23: constraints
        rf"duplicate key value violates unique constraint {_NAME}",
        rf"null value in column {_NAME}(?: of relation {_NAME})? violates not-null constraint",
        rf"insert or update on table {_NAME} violates foreign key constraint {_NAME}",
        rf"update or delete on table {_NAME} violates (?:RESTRICT setting of )?foreign key constraint {_NAME} on table {_NAME}",
        rf"new row for (?:relation|domain) {_NAME} violates check constraint {_NAME}",
        rf"value for domain \S+ violates check constraint {_NAME}",
        rf"domain \S+ does not allow null values|no partition of relation {_NAME} found for row",
        rf"new row for relation {_NAME} violates partition constraint",
        rf"new row violates (?:check option for view|row-level security policy for table) {_NAME}",
        rf"conflicting key value violates exclusion constraint {_NAME}",
        # 22: values; of these, only what stands before the value
        r"value too long for type [\w ]+\(\d+\)|bit string (?:too long|length \d+ does not match type) .*",
        r"(?:smallint|integer|bigint|date|timestamp|interval|numeric|real|double precision) (?:field )?out of range",
        rf"numeric field overflow|division by zero|(?P<said>invalid input syntax for type {_TYPE})(?:: .*)?",
        r"(?P<said>date/time field value out of range): .*|(?P<same>invalid input value for enum) .*",
        r"(?P<said>invalid byte sequence for encoding \"\w+\"): .*",
        rf"(?P<said>value) .* (?P<is>is out of range for type {_TYPE})|unsupported Unicode escape sequence",
        r"(?P<said>malformed array literal): .*|incorrect binary data format in bind parameter \d+",
        rf"missing data for column {_NAME}|extra data after last expected column|unexpected EOF in COPY data",
        rf"column {_NAME} of relation {_NAME} contains null values",
        r"index row (?:size|requires) .* maximum .*|row is too big: size \d+, maximum size \d+",
        # 42, 0A, 21, 26, 34: the statement
        rf"(?:column|relation|table|view|schema|type|index|sequence|role|cursor|savepoint|constraint) {_NAME} does not exist",
        rf"(?:column|constraint) {_NAME} (?:of|for) (?:relation|table) {_NAME} does not exist",
        rf"(?:column|relation) [\w.]+ does not exist|missing FROM-clause entry for table {_NAME}",
        rf"function {_TYPE}(?:, {_TYPE})* does not exist|operator does not exist: {_TYPE} [^\w\s]+ {_TYPE}",
        r"(?:function|procedure) [\w.]+\([\w ,\[\]\".]*\) (?:does not exist|is not unique)",
        rf"invalid reference to FROM-clause entry for table {_NAME}",
        r'syntax error at or near "[\w.,;()*=<>%$]+"|syntax error at end of input',
        rf"(?:relation|column|table|schema|function|type|constraint|index) {_NAME}(?: (?:of|for) relation {_NAME})? already exists",
        rf"column {_NAME} is of type {_TYPE} but expression is of type {_TYPE}",
        rf"column reference {_NAME} is ambiguous|column {_NAME} specified more than once",
        r"column \S+ must appear in the GROUP BY clause or be used in an aggregate function",
        rf"cannot (?:insert a non-DEFAULT value into|insert into|update) column {_NAME}|column {_NAME} can only be updated to DEFAULT",
        r"INSERT has more (?:expressions than target columns|target columns than expressions)",
        r"there is no unique or exclusion constraint matching the ON CONFLICT specification",
        r"ON CONFLICT DO UPDATE command cannot affect row a second time|more than one row returned by a subquery .*",
        r"there is no parameter \$\d+|could not determine data type of parameter \$\d+",
        rf"(?:permission denied for|must be owner of) [\w ]+? (?:{_NAME}|[\w.]+)|permission denied to .*",
        r"cannot insert multiple commands into a prepared statement|cached plan must not change result type",
        rf"prepared statement {_NAME} (?:does not exist|already exists)",
        r"cannot drop (?:table|type|schema|view|column) .* because other objects depend on it",
        # 25, 40, 55, 57, 53, 54: the transaction, the session, the server
        r"cannot execute [A-Z ]+ in a read-only transaction|cannot set transaction read-write mode during recovery",
        r"current transaction is aborted, commands ignored until end of transaction block|deadlock detected",
        r"could not serialize access due to (?:concurrent (?:update|delete)|read/write dependencies among transactions)",
        rf"could not obtain lock on (?:row in )?relation {_NAME}",
        r"canceling (?:statement|autovacuum task) due to [\w ]+|canceling statement due to conflict with recovery",
        r"terminating (?:connection|background worker) (?:due|because) [\w \-]+",
        r"the database system is [\w ]+|sorry, too many clients already|remaining connection slots are reserved .*",
        rf"too many connections for (?:role|database) {_NAME}|database {_NAME} does not exist",
        r"out of (?:shared )?memory|could not extend file .*: No space left on device|stack depth limit exceeded",
    )
)

OF_CLIENTS: Final = Phrases(
    (
        r"PostgreSQL text fields cannot contain NUL \(0x00\) bytes",
        r"cannot (?:adapt|dump) (?:type|lists? of) .+ using placeholder .+",
        r"cannot (?:adapt|dump) (?:type )?'\w+'.*|the query has \d+ placeholders? but \d+ parameters? (?:was|were) passed",
        r"the server expects \d+ arguments? for this query, \d+ (?:was|were) passed",
        r"the number of query arguments cannot exceed \d+",
        r"query parameter missing: [\w, ]+|the (?:connection|cursor) (?:is )?closed|cursor is closed",
        r"(?:cannot perform operation: )?connection is closed",
        r"cannot perform operation: another operation is (?:in progress|cancelling)",
        r"(?:the )?(?:underlying )?connection (?:was|is) closed.*",
        rf"(?P<said>{_ARGUMENT}): (?s:.*) \((?P<why>{_WHY})(?: \(got type '\w+'\))?\)",
        rf"(?P<said>{_ARGUMENT}): (?s:.*)",
    )
)
