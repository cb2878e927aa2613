"""The few statements that SQLite and PostgreSQL want spelled differently to be fast.

Statements are written with `?`; the hot ones go to the driver as they are, without SQLAlchemy's compiler in between.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine

Rows = Sequence[tuple[Any, ...]]


class LedgerSql(ABC):
    """One database's way to say what the store needs."""

    @abstractmethod
    def begin_snapshot(self, connection: Connection) -> None:
        """All reads of the connection's transaction show the state at its first read."""

    @abstractmethod
    def exclude_writers(self, connection: Connection, log: int) -> None:
        """No other transaction writes this log until the end of this one; reads from here on show the newest commit."""

    @abstractmethod
    def query(self, connection: Connection, statement: str, values: tuple[Any, ...]) -> CursorResult[Any]: ...

    @abstractmethod
    def matching(self, connection: Connection, select: str, column: str, log: int, names: Collection[str]) -> Rows:
        """The rows of the log whose column is one of the names, in one query."""

    @abstractmethod
    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None: ...

    @abstractmethod
    def upsert(
        self, connection: Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Rows
    ) -> None: ...

    @abstractmethod
    def advance_heads(self, connection: Connection, rows: Rows) -> None:
        """rows: (log, no, count, last, digest) of subjects already stored."""


def sql_for(engine: Engine) -> LedgerSql:
    return _Postgres() if engine.dialect.name == "postgresql" else _Sqlite()


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"  # noqa: S608 (names of ours)


def _upsert(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    new = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return f"{_insert(table, [*key, *columns])} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {new}"


class _Sqlite(LedgerSql):
    def begin_snapshot(self, connection: Connection) -> None:
        """Plain BEGIN: in WAL mode the first read fixes the state."""

    def exclude_writers(self, connection: Connection, log: int) -> None:
        """BEGIN IMMEDIATE did (`coldchain.db.engine.writing`)."""

    def query(self, connection: Connection, statement: str, values: tuple[Any, ...]) -> CursorResult[Any]:
        return connection.exec_driver_sql(statement, values)

    def matching(self, connection: Connection, select: str, column: str, log: int, names: Collection[str]) -> Rows:
        statement = f"{select} WHERE log = ? AND {column} IN (SELECT value FROM json_each(?))"  # noqa: S608 (names of ours)
        return connection.exec_driver_sql(statement, (log, json.dumps(list(names)))).fetchall()

    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        if rows:
            connection.exec_driver_sql(_insert(table, columns), list(rows))

    def upsert(
        self, connection: Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Rows
    ) -> None:
        if rows:
            connection.exec_driver_sql(_upsert(table, key, columns), list(rows))

    def advance_heads(self, connection: Connection, rows: Rows) -> None:
        if rows:
            statement = "UPDATE subject SET count = ?3, last = ?4, digest = ?5 WHERE log = ?1 AND no = ?2"
            connection.exec_driver_sql(statement, list(rows))


class _Postgres(LedgerSql):
    _LOCK = 0x636F6C64
    """First half of the advisory lock's number, "cold"; the log's number is the other."""

    def begin_snapshot(self, connection: Connection) -> None:
        connection.execution_options(isolation_level="REPEATABLE READ")

    def exclude_writers(self, connection: Connection, log: int) -> None:
        self.query(connection, "SELECT pg_advisory_xact_lock(?, ?)", (self._LOCK, log))

    def query(self, connection: Connection, statement: str, values: tuple[Any, ...]) -> CursorResult[Any]:
        return connection.exec_driver_sql(statement.replace("?", "%s"), values)

    def matching(self, connection: Connection, select: str, column: str, log: int, names: Collection[str]) -> Rows:
        return self.query(connection, f"{select} WHERE log = ? AND {column} = ANY(?)", (log, list(names))).fetchall()

    def insert(self, connection: Connection, table: str, columns: Sequence[str], rows: Rows) -> None:
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        driver: Any = connection.connection
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def upsert(
        self, connection: Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Rows
    ) -> None:
        statement = _upsert(table, key, columns).replace("?", "%s")
        if rows:
            connection.exec_driver_sql(statement, list(rows))

    def advance_heads(self, connection: Connection, rows: Rows) -> None:
        if rows:
            statement = """
                UPDATE subject SET count = new.count, last = new.last, digest = new.digest
                FROM unnest(?::smallint[], ?::int[], ?::bigint[], ?::bigint[], ?::bytea[])
                    AS new (log, no, count, last, digest)
                WHERE subject.log = new.log AND subject.no = new.no"""
            self.query(connection, statement, tuple(map(list, zip(*rows, strict=True))))
