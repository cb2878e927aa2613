"""Migrated PostgreSQL databases without a row, used again: to empty one takes 10 ms, to copy a template 130."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

_SHAPE = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
  SELECT concat_ws(' ', oid, relname, relkind) AS line FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attnotnull, atthasdef, attisdropped)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', oid, tgname, tgenabled) FROM pg_trigger
  UNION ALL SELECT concat_ws(' ', oid, conname, convalidated) FROM pg_constraint
  UNION ALL SELECT concat_ws(' ', oid, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS lines
"""
_SAID = (
    "SELECT array(SELECT version_num FROM alembic_version), array(SELECT p FROM projection_table p ORDER BY 1)::text"
)
"""What migrating leaves in two tables; all others are empty."""
_WRITTEN = """
SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
  AND relname NOT IN ('alembic_version', 'projection_table')
"""
_STRANGERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Databases:
    """Each is handed out as if it had just been migrated; one whose schema a test changed is not handed out again."""

    def __init__(self, make: Callable[[], str]) -> None:
        """make: the URL of another copy of one migrated database."""
        self._make = make
        self._idle: list[str] = []
        self._fresh: object = None

    def take(self) -> str:
        while self._idle:
            url = self._idle.pop()
            if self._emptied(url):
                return url
        url = self._make()
        with _connected(url) as connection:
            self._fresh = _shape(connection)
        return url

    def give_back(self, url: str) -> None:
        self._idle.append(url)

    def _emptied(self, url: str) -> bool:
        with _connected(url) as connection:
            connection.execute(_STRANGERS)
            if _shape(connection) != self._fresh:
                return False
            (written,) = connection.execute(_WRITTEN).fetchone() or (None,)
            if written is not None:
                connection.execute("SET session_replication_role = replica")  # past the triggers that forbid it
                connection.execute(f"TRUNCATE {written} RESTART IDENTITY CASCADE")
            connection.execute("SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence")
            return True


def _connected(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def _shape(connection: psycopg.Connection) -> object:
    """Equal for databases of one schema and one version, copied from one template."""
    return connection.execute(_SHAPE).fetchone(), _said(connection)


def _said(connection: psycopg.Connection) -> object:
    tables = connection.execute("SELECT to_regclass('alembic_version'), to_regclass('projection_table')").fetchone()
    return connection.execute(_SAID).fetchone() if tables is not None and None not in tables else None
