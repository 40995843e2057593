"""The outbox: no message that committed is skipped, none is handed on twice while nothing fails, and order is kept."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from controlroom import shutdown
from controlroom.database import AsyncDatabase, Database, Relayed
from controlroom.errors import ConfigError, DataError, QueryError, ShutdownRequested, TransactionConflictError
from tests.integration.coordination_places import EVERYWHERE, POSTGRES_KINDS, Place, empty_place

WRITERS, MESSAGES_EACH = 6, 150
UNORDERED = "MariaDB cannot say who may still commit: order is refused there"


@pytest.fixture(params=EVERYWHERE)
def place(request, tmp_path):
    return empty_place(request.param, request, tmp_path)


@pytest.fixture
def other(place):
    """Another client, with the control tables and a table of data."""
    with place.beside(lock_timeout_s=10) as db:
        db.create_control_tables()
        with db.unit_of_work() as uow:
            uow.execute("CREATE TABLE seen (payload INTEGER)")
        yield db


@pytest.fixture
def db(place, other):
    with place.opened(lock_timeout_s=10) as db:
        yield db


def put(db, *payloads, topic="orders", key=None):
    with db.unit_of_work() as uow:
        return [uow.outbox.put(topic, payload, key) for payload in payloads]


def payloads(db, **options):
    """What one call of relay hands on."""
    seen = []
    db.relay(lambda message: seen.append(message.payload), **options)
    return seen


@pytest.mark.parametrize("ordered", [False, True])
def test_messages_commit_with_the_data_and_are_handed_on_once(db, place, ordered):
    if ordered and place.kind.startswith("mariadb"):
        pytest.skip(UNORDERED)
    value = {"id": 7, "tags": ["ü", None, 2.5], "nested": {"a": {}}}
    (message_id,) = put(db, value, key="customer 7")
    with pytest.raises(ValueError, match="no"), db.unit_of_work() as uow:
        uow.outbox.put("orders", "never")
        raise ValueError("no")
    seen = []

    assert db.relay(seen.append, ordered=ordered) == Relayed(delivered=1)
    assert db.relay(seen.append, ordered=ordered) == Relayed()
    (message,) = seen
    assert (message.id, message.topic, message.key, message.payload) == (message_id, "orders", "customer 7", value)
    assert message.attempt == 1
    assert message.put_at.utcoffset().total_seconds() == 0


def test_only_the_topic_that_is_asked_for_and_no_more_than_the_limit(db):
    put(db, 1, 2, 3)
    put(db, 4, topic="invoices")

    assert payloads(db, topic="invoices") == [4]
    assert payloads(db, limit=2) == [1, 2]
    assert payloads(db) == [3]


def test_a_message_that_fails_is_kept_and_counted_and_the_others_go_on(db):
    put(db, 1, 2, 3)
    seen = []

    def handler(message):
        if message.payload == 2:
            raise ValueError(f"attempt {message.attempt}")
        seen.append(message.payload)

    counts = [db.relay(handler, max_attempts=3) for _ in range(4)]

    assert counts == [Relayed(2, 1, 0), Relayed(0, 1, 0), Relayed(0, 0, 1), Relayed()]
    assert seen == [1, 3]
    (row,) = db.rows("SELECT * FROM controlroom_outbox")
    assert (row.payload, row.attempts, row.reason) == ("2", 3, "ValueError: attempt 3")
    assert row.set_aside_at is not None


def test_what_repeating_cannot_help_is_set_aside_at_once(db):
    put(db, 1)
    with db.unit_of_work() as uow:
        uow.execute("UPDATE controlroom_outbox SET payload = 'written by somebody else'")
    put(db, 2)

    def handler(message):
        raise DataError("no such customer")

    assert db.relay(handler) == Relayed(set_aside=2)
    reasons = [row.reason for row in db.rows("SELECT reason FROM controlroom_outbox ORDER BY id")]
    assert "controlroom did not write it" in reasons[0]
    assert "no such customer" in reasons[1]


def test_in_order_a_message_that_fails_holds_back_those_behind_it_until_it_is_set_aside(db, place):
    if place.kind.startswith("mariadb"):
        pytest.skip(UNORDERED)
    put(db, 1, 2, 3)
    seen = []

    def handler(message):
        if message.payload == 2:
            raise ValueError
        seen.append(message.payload)

    counts = [db.relay(handler, ordered=True, max_attempts=2) for _ in range(2)]

    assert counts == [Relayed(1, 1, 0), Relayed(1, 0, 1)]
    assert seen == [1, 3]


@pytest.mark.parametrize("place", ["sqlite", "psycopg"], indirect=True)
def test_what_the_handler_writes_through_the_unit_commits_with_the_message_or_not_at_all(db):
    put(db, 1, 2)

    def handler(message):
        message.uow.execute("INSERT INTO seen VALUES (:payload)", {"payload": message.payload})
        if message.payload == 2 and message.attempt == 1:
            raise ValueError
        if message.payload == 1:
            message.uow.outbox.put("next", message.payload)

    db.relay(handler, topic="orders")
    assert [row.payload for row in db.rows("SELECT payload FROM seen")] == [1]
    db.relay(handler, topic="orders")
    assert [row.payload for row in db.rows("SELECT payload FROM seen")] == [1, 2]
    assert payloads(db) == [1]


@pytest.mark.parametrize("place", ["sqlite", "psycopg"], indirect=True)
def test_an_error_of_the_unit_that_the_handler_swallows_is_a_failure(db):
    put(db, 1)

    def handler(message):
        with pytest.raises(QueryError):
            message.uow.execute("SELECT * FROM nowhere")

    assert db.relay(handler) == Relayed(failed=1)
    assert "DoomedTransactionError" in db.rows("SELECT reason FROM controlroom_outbox")[0].reason


@pytest.mark.parametrize("kind", ["sqlite async", "psycopg async", "asyncpg", "mariadb async"])
def test_an_asynchronous_handler_is_awaited_and_writes_through_the_unit(request, tmp_path, kind):
    place = empty_place(kind, request, tmp_path)

    async def handler(message):
        await message.uow.execute("INSERT INTO seen VALUES (:payload)", {"payload": message.payload})
        if message.payload == 2:
            raise ValueError

    async def main():
        async with AsyncDatabase(place.url) as db:
            await db.create_control_tables()
            async with db.unit_of_work() as uow:
                await uow.execute("CREATE TABLE seen (payload INTEGER)")
                for payload in (1, 2):
                    await uow.outbox.put("orders", payload)
            count = await db.relay(handler)
            return count, [row.payload for row in await db.rows("SELECT payload FROM seen")]

    assert asyncio.run(main()) == (Relayed(1, 1, 0), [1])


@pytest.mark.parametrize("place", ["sqlite", "psycopg"], indirect=True)
def test_a_coroutine_function_is_refused_by_the_sync_relay_and_counts_against_nothing(db):
    put(db, 1)

    async def handler(message):
        raise AssertionError

    with pytest.raises(QueryError, match="plain function"):
        db.relay(handler)
    assert db.rows("SELECT attempts FROM controlroom_outbox")[0].attempts == 0


def test_what_is_no_handler_is_refused_and_counts_against_nothing(db):
    put(db, 1)
    for handler in (None, 7, "print"):
        with pytest.raises(ConfigError, match="Nothing was handed on"):
            db.relay(handler, max_attempts=1)
    assert payloads(db) == [1]


def test_a_shutdown_ends_it_between_two_messages_and_counts_against_nothing(db):
    put(db, 1, 2)

    def handler(message):
        shutdown.request()
        shutdown.raise_if_requested()

    try:
        with pytest.raises(ShutdownRequested):
            db.relay(handler)
        with pytest.raises(ShutdownRequested):
            db.relay(handler)
    finally:
        shutdown.reset()
    assert [row.attempts for row in db.rows("SELECT attempts FROM controlroom_outbox")] == [0, 0]


@pytest.mark.parametrize("place", ["mariadb async"], indirect=True)
def test_where_nobody_can_say_who_may_still_commit_order_is_refused_and_nothing_is_handed_on(db):
    put(db, 1)
    with pytest.raises(ConfigError, match=r"ordered=True needs PostgreSQL or SQLite.*Nothing was run"):
        db.relay(print, ordered=True)
    assert payloads(db) == [1]


def test_bad_messages_are_refused_before_anything_is_put(db):
    for topic, payload, key in (
        ("", 1, None),
        (None, 1, None),
        ("t", {1: 2}, None),
        ("t", object(), None),
        ("t", 1, ""),
    ):
        with pytest.raises(QueryError, match="Nothing was put"), db.unit_of_work() as uow:
            uow.outbox.put(topic, payload, key)
    for options in ({"limit": 0}, {"limit": 1.5}, {"limit": True}, {"max_attempts": 0}, {"topic": 7}):
        with pytest.raises(ConfigError, match="not possible"):
            db.relay(print, **options)
    assert payloads(db) == []


def written_by(url: str, writer: int, gate: threading.Barrier) -> None:
    """Put messages in units of one to three that overlap those of the other writers."""
    with Database(url, lock_timeout_s=60) as db:
        gate.wait()
        number = 0
        while number < MESSAGES_EACH:
            with db.unit_of_work() as uow:
                for _ in range(number % 3 + 1):
                    if number < MESSAGES_EACH:
                        uow.outbox.put("orders", [writer, number], key=str(writer))
                        number += 1


def relayed_until(place: Place, is_done: threading.Event, seen: list[list[int]], *, ordered: bool) -> None:
    with place.opened(lock_timeout_s=60) as db:
        while True:
            was_done = is_done.is_set()
            count = db.relay(lambda message: seen.append(message.payload), ordered=ordered, limit=1_000)
            if was_done and count == Relayed():
                return


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("place", ["sqlite", "psycopg", "asyncpg", "mariadb"], indirect=True)
def test_of_900_messages_of_concurrent_writers_two_relays_hand_each_on_once(place, other, ordered):
    if ordered and place.kind == "mariadb":
        pytest.skip(UNORDERED)
    gate, is_done, seen = threading.Barrier(WRITERS), threading.Event(), []
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        relays = [pool.submit(relayed_until, place, is_done, seen, ordered=ordered) for _ in range(2)]
        writers = [pool.submit(written_by, place.sync_url, writer, gate) for writer in range(WRITERS)]
        try:
            for each in writers:
                each.result(timeout=120)
        finally:
            is_done.set()
        for each in relays:
            each.result(timeout=120)

    assert sorted(seen) == [[writer, number] for writer in range(WRITERS) for number in range(MESSAGES_EACH)]
    if ordered:
        for writer in range(WRITERS):
            assert [number for who, number in seen if who == writer] == list(range(MESSAGES_EACH))


@pytest.mark.parametrize("kind", POSTGRES_KINDS)
def test_in_order_nothing_overtakes_a_unit_that_is_still_open(postgres_url, kind):
    place = Place(kind, postgres_url)
    with place.beside() as other, place.opened() as db:
        db.create_control_tables()
        with other.unit_of_work() as early:
            early.outbox.put("orders", "early")
            put(db, "late")
            assert payloads(db, ordered=True) == []
            put(db, "later still")
            assert payloads(db) == ["late", "later still"]  # without order, nobody waits
            put(db, "last")
        assert payloads(db, ordered=True) == ["early", "last"]


@pytest.mark.parametrize("kind", POSTGRES_KINDS)
def test_in_order_the_messages_of_units_that_overlap_come_unit_by_unit(postgres_url, kind):
    place = Place(kind, postgres_url)
    with place.beside() as other, place.opened() as db:
        db.create_control_tables()
        with db.unit_of_work() as first:
            first.outbox.put("orders", "first 1")
            put(other, "second")
            first.outbox.put("orders", "first 2")
        assert payloads(db, ordered=True) == ["first 1", "first 2", "second"]


@pytest.mark.parametrize("place", ["sqlite", "psycopg"], indirect=True)
def test_a_relay_that_dies_between_handler_and_commit_leaves_the_message_for_the_next(db):
    put(db, 1)
    seen = []

    def handler(message):
        seen.append(message.id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        db.relay(handler)
    db.relay(lambda message: seen.append(message.id))
    assert seen[0] == seen[1]
    assert db.rows("SELECT * FROM controlroom_outbox") == []


@pytest.mark.parametrize("kind", [*POSTGRES_KINDS, "mariadb"])
def test_two_relays_at_once_hand_on_different_messages(request, tmp_path, kind):
    place = empty_place(kind, request, tmp_path)
    with place.beside() as other, place.opened() as db:
        db.create_control_tables()
        put(db, 1, 2)
        nested = []

        def handler(message):
            if message.payload == 1:
                nested.append(other.relay(lambda message: nested.append(message.payload)))

        assert db.relay(handler) == Relayed(delivered=1)
        assert nested == [2, Relayed(delivered=1)]


@pytest.mark.parametrize("kind", POSTGRES_KINDS)
def test_in_order_a_second_relay_returns_at_once(postgres_url, kind):
    place = Place(kind, postgres_url)
    with place.beside() as other, place.opened() as db:
        db.create_control_tables()
        put(db, 1, 2)
        nested = []

        assert db.relay(lambda _: nested.append(other.relay(print, ordered=True)), ordered=True) == Relayed(delivered=2)
        assert nested == [Relayed(), Relayed()]


@pytest.mark.parametrize("kind", POSTGRES_KINDS)
def test_messages_restored_from_another_server_are_handed_on_too(postgres_url, kind):
    place = Place(kind, postgres_url)
    with place.opened() as db:
        db.create_control_tables()
        put(db, "restored")
        with db.unit_of_work() as uow:
            uow.execute("UPDATE controlroom_outbox SET xid = 4611686018427387904")  # that server had seen more
        assert payloads(db, ordered=True) == ["restored"]


# The receiver's side


def test_a_message_that_comes_again_is_told_by_its_name(db):
    with pytest.raises(ValueError, match="no"), db.unit_of_work() as uow:
        assert uow.received("m1") is False
        raise ValueError("no")
    with db.unit_of_work() as uow:
        assert uow.received("m1") is False
        assert uow.received("m1") is True
        assert uow.received("m2") is False
    with db.unit_of_work() as uow:
        assert uow.received("m1") is True
    for message_id in ("", None, 7):
        with pytest.raises(QueryError, match="id of a message"), db.unit_of_work() as uow:
            uow.received(message_id)


@pytest.mark.parametrize("kind", ["psycopg", "mariadb"])
def test_two_receivers_of_one_message_wait_for_each_other(request, tmp_path, kind):
    place = empty_place(kind, request, tmp_path)
    with place.beside() as other, place.opened(lock_timeout_s=0.2) as db:
        db.create_control_tables()
        with other.unit_of_work() as first:
            assert first.received("m1") is False
            with pytest.raises(TransactionConflictError), db.unit_of_work() as second:
                second.received("m1")
        with db.unit_of_work() as second:
            assert second.received("m1") is True


def test_delivered_twice_its_effect_is_there_once(db, other):
    put(db, 5)

    def receive(message):
        with other.unit_of_work() as uow:
            if not uow.received(message.id):
                uow.execute("INSERT INTO seen VALUES (:payload)", {"payload": message.payload})

    seen = []
    db.relay(seen.append)
    for _ in range(2):
        receive(seen[0])
    assert [row.payload for row in db.rows("SELECT payload FROM seen")] == [5]


def test_without_control_tables_the_next_act_is_named(place):
    with place.opened() as db:
        for use in (lambda uow: uow.outbox.put("t", 1), lambda uow: uow.received("m")):
            with pytest.raises(QueryError, match="create_control_tables"), db.unit_of_work() as uow:
                use(uow)
        with pytest.raises(QueryError, match="create_control_tables"):
            db.relay(print)
