"""What a type checker says of statements that do not stand in the source. Checked, never executed.

mypy takes `LiteralString` for `str`. basedpyright does not: the checks of the first line are on, and an ignore that is needed
no more is an error of its own.
"""
# pyright: basic, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from controlroom.database import AsyncDatabase, Database, Sql, Statement, identifier, sql


@dataclass
class Order:
    id: int


def composed(database: Database, name: str, statement: Statement) -> None:
    database.rows(f"SELECT * FROM {name}")  # pyright: ignore[reportArgumentType]
    database.stream("SELECT * FROM " + name)  # pyright: ignore[reportArgumentType]
    with database.unit_of_work() as uow:
        uow.execute(name)  # pyright: ignore[reportCallIssue, reportArgumentType]
        uow.scalar(name)  # pyright: ignore[reportArgumentType]
        uow.execute("DELETE FROM t" + " WHERE id = :id", {"id": 7})
        uow.execute(sql(name))
        uow.execute(sa.text(name))
        uow.execute(statement)
        assert_type(sql("SELECT * FROM {t}", t=identifier(name)), Sql)
        assert_type(uow.session, Session)


async def composed_async(database: AsyncDatabase, name: str) -> None:
    await database.rows(name)  # pyright: ignore[reportArgumentType]
    async with database.unit_of_work() as uow:
        await uow.execute(name)  # pyright: ignore[reportCallIssue, reportArgumentType]
        await uow.execute(sql(name))
        assert_type(uow.session, AsyncSession)
    assert_type(await database.rows("SELECT id FROM orders", into=Order), list[Order])
    async for order in database.stream("SELECT id FROM orders", into=Order):
        assert_type(order, Order)


def mapped(database: Database) -> None:
    assert_type(database.rows("SELECT id FROM orders", into=Order), list[Order])
    assert_type(database.rows("SELECT id FROM orders"), list[sa.Row[Any]])
    for order in database.stream("SELECT id FROM orders", into=Order, resume_by=["id"]):
        assert_type(order, Order)
    with database.unit_of_work() as uow:
        assert_type(uow.execute("SELECT id FROM orders", into=Order), list[Order])
        assert_type(uow.execute("SELECT id FROM orders"), sa.CursorResult[Any])
        assert_type(uow.execute(sa.select(sa.literal(1))), sa.Result[Any])
