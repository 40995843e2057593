"""SQLite: a file as a database, with one writer at a time."""
