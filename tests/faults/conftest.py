"""The servers that fault tests start."""

from __future__ import annotations

from tests.servers.postgres import postgres_cluster, postgres_url

__all__ = ["postgres_cluster", "postgres_url"]
