"""The servers that integration tests start, and the databases that they share."""

from __future__ import annotations

from tests.integration.database_colours import kind, module_database, place
from tests.integration.s3_pairs import one_loop, pair
from tests.servers.mariadb import mariadb_server, mariadb_url
from tests.servers.ministack import ministack_server
from tests.servers.postgres import postgres_cluster, postgres_url
from tests.servers.seaweedfs import seaweedfs_server

__all__ = [
    "kind",
    "mariadb_server",
    "mariadb_url",
    "ministack_server",
    "module_database",
    "one_loop",
    "pair",
    "place",
    "postgres_cluster",
    "postgres_url",
    "seaweedfs_server",
]
