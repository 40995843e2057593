"""The servers that stateful tests start."""

from __future__ import annotations

from tests.servers.ministack import ministack_server
from tests.servers.postgres import postgres_cluster
from tests.servers.seaweedfs import seaweedfs_server

__all__ = ["ministack_server", "postgres_cluster", "seaweedfs_server"]
