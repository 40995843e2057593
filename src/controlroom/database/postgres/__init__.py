"""PostgreSQL, by psycopg (sync and async) or asyncpg."""
