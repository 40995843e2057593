"""A COMMIT is seen in every way that a client can say it, and nothing else is taken for one."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from controlroom.testing.postgres_messages import ClientMessages, ends_a_transaction, frames

STARTUP = struct.pack("!II", 8, 196_608)
SSL, GSS = (struct.pack("!II", 8, code) for code in (80_877_103, 80_877_104))


class Said:
    """A socket from which *data* comes, a few bytes at a time."""

    def __init__(self, *data: bytes, at_once: int = 3) -> None:
        self.data, self.at_once = b"".join(data), at_once

    def recv(self, most: int) -> bytes:
        part, self.data = self.data[: min(most, self.at_once)], self.data[min(most, self.at_once) :]
        return part


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def query(sql: str) -> bytes:
    return message(b"Q", sql.encode() + b"\0")


def parse(name: str, sql: str) -> bytes:
    return message(b"P", f"{name}\0{sql}\0".encode() + b"\0\0")


def bind(portal: str, statement: str) -> bytes:
    return message(b"B", f"{portal}\0{statement}\0".encode() + b"\0\0" * 3)


def execute(portal: str = "") -> bytes:
    return message(b"E", portal.encode() + b"\0" + b"\0\0\0\0")


SYNC, FLUSH = message(b"S"), message(b"H")


def read(*said: bytes, answers: list[bytes] | None = None) -> list[Any]:
    client: Any = Said(*said)
    return list(ClientMessages(client).read(([] if answers is None else answers).append))


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT",
        "commit;",
        " End ",
        "COMMIT WORK",
        "COMMIT TRANSACTION",
        "/* run 7 */ COMMIT -- now",
        "COMMIT AND CHAIN",
        "INSERT INTO t VALUES (1); COMMIT",
    ],
)
def test_every_spelling_of_commit_is_seen(sql: str) -> None:
    assert ends_a_transaction(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "ROLLBACK",
        "SELECT 'COMMIT'",
        "COMMITS",
        "-- COMMIT",
        "CREATE TABLE commit (id int)",
        "",
        ";",
        "COMMIT PREPARED 'x'",
    ],
)
def test_nothing_else_is(sql: str) -> None:
    assert not ends_a_transaction(sql)


def test_a_simple_query_is_passed_on_byte_for_byte() -> None:
    said = [STARTUP, query("BEGIN"), query("COMMIT")]
    assert read(*said) == [(said[0], False), (said[1], False), (said[2], True)]


def test_encryption_is_declined_and_not_passed_on() -> None:
    answers: list[bytes] = []
    assert read(SSL, GSS, STARTUP, answers=answers) == [(STARTUP, False)]
    assert answers == [b"N", b"N"]


@pytest.mark.parametrize("end", [SYNC, FLUSH])
def test_an_extended_query_is_held_until_the_server_would_answer(end: bytes) -> None:
    said = [parse("", "COMMIT"), bind("", ""), message(b"D", b"P\0"), execute(), end]
    found = read(STARTUP, *said)
    assert [commits for _, commits in found] == [False] * 4 + [True]
    assert found[-1].data == execute() + end
    assert b"".join(data for data, _ in found) == STARTUP + b"".join(said)


def test_a_prepared_commit_is_seen_each_time_and_its_name_can_be_given_again() -> None:
    run = [bind("p", "s"), execute("p"), SYNC]
    found = read(STARTUP, parse("s", "COMMIT"), *run, *run, parse("s", "SELECT 1"), *run)
    assert [commits for _, commits in found].count(True) == 2


def test_a_client_that_hangs_up_in_the_middle_of_a_message_has_said_nothing_more() -> None:
    assert read(STARTUP, query("COMMIT")[:-2]) == [(STARTUP, False)]
    assert read(STARTUP[:5]) == []


def test_frames_are_found_however_the_bytes_arrive() -> None:
    said = [message(b"Z", b"I"), message(b"C", b"COMMIT\0"), message(b"1")]
    for at_once in (1, 2, 5, 100):
        source: Any = Said(*said, at_once=at_once)
        assert [data for _, data in frames(source)] == said
