"""The servers that integration tests start."""

from tests.servers.postgres import postgres_cluster, postgres_url

__all__ = ["postgres_cluster", "postgres_url"]
