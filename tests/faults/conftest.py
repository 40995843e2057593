"""The servers that fault tests start."""

from __future__ import annotations

from tests.servers.ministack import ministack_server
from tests.servers.postgres import postgres_cluster, postgres_url
from tests.servers.seaweedfs import seaweedfs_server

__all__ = ["ministack_server", "postgres_cluster", "postgres_url", "seaweedfs_server"]
