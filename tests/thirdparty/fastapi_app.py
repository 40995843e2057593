"""A FastAPI application with the paginations of fastapi-pagination."""

from __future__ import annotations

import os

from fastapi import FastAPI
from fastapi_pagination import LimitOffsetPage, Page, add_pagination, paginate
from fastapi_pagination.cursor import CursorPage
from fastapi_pagination.ext.sqlalchemy import paginate as paginate_select
from fastapi_pagination.links import LimitOffsetPage as LinkedLimitOffsetPage
from fastapi_pagination.links import Page as LinkedPage
from pydantic import BaseModel
from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

TOTAL = 237


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Item(BaseModel, from_attributes=True):
    id: int
    name: str


engine = create_engine(f"sqlite:///{os.environ['APP_DATABASE']}", connect_args={"check_same_thread": False})
Base.metadata.create_all(engine)
ITEMS = [{"id": n, "name": f"item {n}"} for n in range(1, TOTAL + 1)]
with Session(engine) as session:
    session.execute(insert(Row), ITEMS)
    session.commit()

application = FastAPI()


@application.get("/page")
def by_page() -> Page[Item]:
    return paginate(ITEMS)


@application.get("/offset")
def by_offset() -> LimitOffsetPage[Item]:
    return paginate(ITEMS)


@application.get("/linked-page")
def by_linked_page() -> LinkedPage[Item]:
    return paginate(ITEMS)


@application.get("/linked-offset")
def by_linked_offset() -> LinkedLimitOffsetPage[Item]:
    return paginate(ITEMS)


@application.get("/cursor")
def by_cursor() -> CursorPage[Item]:
    with Session(engine) as session:
        return paginate_select(session, select(Row).order_by(Row.id))


add_pagination(application)
