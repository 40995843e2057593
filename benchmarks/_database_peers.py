"""Peers of the database benchmarks that may not be installed, and the memory that some work takes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Table
from sqlalchemy.orm import registry

from tests.servers.postgres import Cluster

__all__ = ["advanced_alchemy_repository", "django_model", "growth_kb"]


def django_model(cluster: Cluster, table: str, columns: Mapping[str, str]) -> Any:
    """Return a Django model of *table*, in the database ``postgres``; None, said loudly, where there is no Django."""
    try:
        import django
        from django.conf import settings
        from django.db import models
    except ImportError:
        print("SKIPPED: Django is not installed")
        return None
    place = {"HOST": "127.0.0.1", "PORT": cluster.port, "NAME": "postgres", "USER": "tests"}
    settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **place}})
    django.setup()
    kinds: dict[str, Any] = {
        "integer": models.IntegerField,
        "bigint": models.BigIntegerField,
        "text": models.TextField,
        "double precision": models.FloatField,
        "boolean": models.BooleanField,
    }
    fields = {name: kinds[kind](primary_key=name == "id") for name, kind in columns.items()}
    meta = type("Meta", (), {"app_label": "peers", "db_table": table})
    return type(table, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


def advanced_alchemy_repository(table: Table) -> Any:
    """Return a repository of *table* and its model; None, said loudly, where there is no advanced-alchemy."""
    try:
        from advanced_alchemy.repository import SQLAlchemySyncRepository
    except ImportError:
        print("SKIPPED: advanced-alchemy is not installed")
        return None
    model = type("Model", (registry().generate_base(),), {"__table__": table})
    return type("Repository", (SQLAlchemySyncRepository,), {"model_type": model})


def growth_kb(work: Callable[..., object], url: str) -> int:
    """Return by how much ``work(url, short=False)`` raises the memory's high water above that of ``short=True`` before it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown_kb, (work, url))


def _grown_kb(work: Callable[..., object], url: str) -> int:
    work(url, short=True)
    Path("/proc/self/clear_refs").write_text("5")  # the high water is what is used now: proc(5)
    before_kb = _high_water_kb()
    work(url, short=False)
    return _high_water_kb() - before_kb


def _high_water_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
