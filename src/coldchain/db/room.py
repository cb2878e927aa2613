"""How much room a database takes on its disk, and how to give some of it back."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy import Engine


def room(engine: Engine) -> tuple[int, int | None]:
    """Bytes of the database, and how many of them are free for what comes next; None where it does not say."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            size = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
            return int(size), None
        page, pages, free = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_size", "page_count", "freelist_count")
        )
        return page * pages, page * free


def give_back(engine: Engine) -> None:
    """SQLite's file has no free pages afterwards. Nobody writes meanwhile, and the disk holds a second one for a while.

    On PostgreSQL nothing happens: autovacuum frees what was deleted for what comes next, without a lock.
    """
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:  # VACUUM takes no transaction around it
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.close()
