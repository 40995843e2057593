"""A small unit of work on SQLite against SQLAlchemy's engine.begin(), the same statement in both."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from _side_by_side import compare
from sqlalchemy import create_engine, text

from controlroom import Database

UNITS = 300
MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory: the disk is not what is compared
STATEMENT = "INSERT INTO t (id, v) VALUES (:id, :v) ON CONFLICT (id) DO UPDATE SET v = excluded.v"


def main() -> None:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        engine = create_engine(f"sqlite:///{folder}/peer.db")
        with engine.begin() as connection:
            connection.execute(text("PRAGMA journal_mode=WAL"))
            connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"))
        database = Database(f"sqlite:///{folder}/ours.db")
        with database.unit_of_work() as uow:
            uow.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
        statement = text(STATEMENT)

        def peer() -> None:
            for number in range(UNITS):
                with engine.begin() as connection:
                    connection.execute(statement, {"id": number % 10, "v": str(number)})

        def ours() -> None:
            for number in range(UNITS):
                with database.unit_of_work() as uow:
                    uow.execute(statement, {"id": number % 10, "v": str(number)})

        compare(f"{UNITS} units of one upsert", {"SQLAlchemy engine.begin()": peer, "controlroom unit_of_work()": ours})
        database.close()
        engine.dispose()


if __name__ == "__main__":
    main()
