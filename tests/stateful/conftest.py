"""The servers that stateful tests start."""

from __future__ import annotations

from tests.servers.postgres import postgres_cluster

__all__ = ["postgres_cluster"]
