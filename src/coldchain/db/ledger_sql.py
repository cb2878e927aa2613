"""The few statements that SQLite and PostgreSQL want spelled differently to be fast.

Statements are written with `?`; the hot ones go to the driver as they are, without SQLAlchemy's compiler in between.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, inspect

from coldchain.db import sqlite_rows
from coldchain.db.bulk import fetch

Rows = Sequence[tuple[Any, ...]]


class LedgerSql(ABC):
    """One database's way to say what the store needs."""

    key_tables: Sequence[str]
    """Where idempotency keys are; new ones go to the first."""
    _bundles = False

    def has_bundles(self, connection: Connection) -> bool:
        """Not where an older version made the database: it can be checked before it is migrated."""
        self._bundles = self._bundles or inspect(connection).has_table("bundle")
        return self._bundles

    @abstractmethod
    def octets(self, column: str) -> str:
        """The column's value as bytes, whatever somebody with another program made of it: to be judged, not to fail."""

    @abstractmethod
    def is_text(self, column: str) -> str:
        """The condition that the column still is the text that it was declared as."""

    @abstractmethod
    def begin_snapshot(self, connection: Connection) -> None:
        """All reads of the connection's transaction show the state at its first read."""

    @abstractmethod
    def exclude_writers(self, connection: Connection, log: int) -> None:
        """No other transaction writes this log until the end of this one; reads from here on show the newest commit."""

    @abstractmethod
    def query(self, connection: Connection, statement: str, values: tuple[Any, ...]) -> CursorResult[Any]: ...

    @abstractmethod
    def matching(
        self, connection: Connection, table: str, columns: Sequence[str], log: int, names: Collection[str]
    ) -> Rows:
        """These columns of the log's rows whose first column is one of the names, in one query."""

    @abstractmethod
    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None: ...

    @abstractmethod
    def upsert(
        self, connection: Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Rows
    ) -> None: ...

    @abstractmethod
    def advance_heads(self, connection: Connection, rows: Rows) -> None:
        """rows: (log, no, name, count, last, digest) of subjects already stored."""


def sql_for(engine: Engine) -> LedgerSql:
    return _Postgres() if engine.dialect.name == "postgresql" else _Sqlite()


def _on_conflict(key: Sequence[str], columns: Sequence[str]) -> str:
    new = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {new}"


class _Sqlite(LedgerSql):
    key_tables = ("recent_key", "entry_key")

    def octets(self, column: str) -> str:
        """`||` and `replace` make text of a BLOB, and not always text that could be decoded."""
        return f"coalesce(CAST({column} AS BLOB), x'')"

    def is_text(self, column: str) -> str:
        return f"typeof({column}) = 'text'"

    def begin_snapshot(self, connection: Connection) -> None:
        """Plain BEGIN: in WAL mode the first read fixes the state."""

    def exclude_writers(self, connection: Connection, log: int) -> None:
        """BEGIN IMMEDIATE did (`coldchain.db.engine.writing`)."""

    def query(self, connection: Connection, statement: str, values: tuple[Any, ...]) -> CursorResult[Any]:
        return connection.exec_driver_sql(statement, values)

    def matching(
        self, connection: Connection, table: str, columns: Sequence[str], log: int, names: Collection[str]
    ) -> Rows:
        statement = (
            f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 (names of ours)
            f" WHERE log = ? AND {columns[0]} IN (SELECT value FROM json_each(?))"
        )
        return fetch(connection, statement, log, json.dumps(list(names)))

    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        """OR FAIL: the transaction rolls back anyway, and SQLite keeps no journal to undo each statement by itself."""
        sqlite_rows.write_values(connection, f"INSERT OR FAIL INTO {table} ({', '.join(columns)})", "", rows)

    def upsert(
        self, connection: Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Rows
    ) -> None:
        sqlite_rows.insert_rows(connection, table, [*key, *columns], rows, _on_conflict(key, columns))

    def advance_heads(self, connection: Connection, rows: Rows) -> None:
        known = [(log, number, count, last, digest) for log, number, _, count, last, digest in rows]
        sqlite_rows.update_rows(connection, "subject", ("log", "no"), ("count", "last", "digest"), known)


class _Postgres(LedgerSql):
    key_tables = ("entry_key",)
    """Its log of changes holds rows, not pages: keys all over a large table cost no more than side by side."""

    _LOCK = 0x636F6C64
    """First half of the advisory lock's number, "cold"; the log's number is the other."""

    def octets(self, column: str) -> str:
        """Types hold here."""
        return column

    def is_text(self, column: str) -> str:
        return "TRUE"

    def begin_snapshot(self, connection: Connection) -> None:
        connection.execution_options(isolation_level="REPEATABLE READ")

    def exclude_writers(self, connection: Connection, log: int) -> None:
        self.query(connection, "SELECT pg_advisory_xact_lock(?, ?)", (self._LOCK, log))

    def query(self, connection: Connection, statement: str, values: tuple[Any, ...]) -> CursorResult[Any]:
        return connection.exec_driver_sql(statement.replace("?", "%s"), values)

    def matching(
        self, connection: Connection, table: str, columns: Sequence[str], log: int, names: Collection[str]
    ) -> Rows:
        # LIMIT 1 makes it a look-up for each name; a plain join or `= ANY` may become a scan of a million rows.
        statement = f"""
            SELECT found.* FROM unnest(?::text[]) AS wanted (name) CROSS JOIN LATERAL (
                SELECT {", ".join(columns)} FROM {table} WHERE log = ? AND {columns[0]} = wanted.name LIMIT 1
            ) AS found"""  # noqa: S608 (names of ours)
        return fetch(connection, statement, list(names), log)

    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        driver: Any = connection.connection
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def upsert(
        self, connection: Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Rows
    ) -> None:
        names = [*key, *columns]
        statement = (
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608 (names of ours)
            f" {_on_conflict(key, columns)}"
        )
        if rows:
            connection.exec_driver_sql(statement, list(rows))

    def advance_heads(self, connection: Connection, rows: Rows) -> None:
        if rows:
            statement = """
                INSERT INTO subject (log, no, name, count, last, digest)
                SELECT * FROM unnest(?::smallint[], ?::int[], ?::text[], ?::bigint[], ?::bigint[], ?::bytea[])
                ON CONFLICT (log, no) DO UPDATE
                    SET count = excluded.count, last = excluded.last, digest = excluded.digest"""
            self.query(connection, statement, tuple(map(list, zip(*rows, strict=True))))
