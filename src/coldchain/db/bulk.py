"""Many rows at once, through the driver: few statements on SQLite, COPY and arrays on PostgreSQL (performance §1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, String, Table
from sqlalchemy.dialects import postgresql

from coldchain.db import sqlite_rows

Rows = Sequence[tuple[Any, ...]]
"""Values in the order of the table's columns."""

STREAMED = 5_000
"""Rows of a stream in memory at once."""


def append_rows(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert rows none of which is stored yet."""
    if not rows:
        return
    columns = [column.name for column in table.columns]
    if connection.dialect.name == "sqlite":
        sqlite_rows.insert_rows(connection, table.name, columns, rows)
        return
    driver: Any = connection.connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def put_rows(connection: Connection, table: Table, rows: Rows, on_conflict: str = "") -> None:
    """Insert rows, or replace those stored under the same primary key, or do as the clause `on_conflict` says. No key
    may repeat among the rows."""
    if not rows:
        return
    clause = on_conflict or _on_conflict(table)
    if connection.dialect.name == "sqlite":
        names = [column.name for column in table.columns]
        sqlite_rows.insert_rows(connection, table.name, names, rows, clause)
    else:
        columns = tuple(map(list, zip(*rows, strict=True)))
        connection.exec_driver_sql(f"{_postgres_insert(table)} {clause}", columns)


def update_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Rows) -> None:
    """Give the columns new values in rows that are stored. rows: the primary key, then the values."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        key = [column.name for column in table.primary_key]
        sqlite_rows.update_rows(connection, table.name, key, columns, rows)
    else:
        arrays = tuple(map(list, zip(*rows, strict=True)))
        connection.exec_driver_sql(_postgres_update(table, columns), arrays)


def remove_rows(connection: Connection, table: Table, keys: Rows, where: Sequence[str] = ()) -> None:
    """Delete rows by primary key, or by the comparisons given, e.g. `("device_no =", "from_us >=")`."""
    if not keys:
        return
    comparisons = where or [f"{column.name} =" for column in table.primary_key]
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    condition = " AND ".join(f"{comparison} {mark}" for comparison in comparisons)
    connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE {condition}", list(keys))  # noqa: S608 (names of ours)


def fetch(connection: Connection, query: str, *values: Any) -> list[Any]:
    """Rows of a query written with `?`, as the driver gives them, in the connection's transaction."""
    driver: Any = connection.connection
    cursor = driver.cursor()
    try:
        cursor.execute(query if connection.dialect.name == "sqlite" else query.replace("?", "%s"), values)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def stream(connection: Connection, query: str, *values: Any) -> Iterator[Any]:
    """As `fetch`, for more rows than fit in memory; nothing else is read through the connection meanwhile."""
    driver: Any = connection.connection
    if connection.dialect.name == "sqlite":
        cursor = driver.cursor()
    else:
        cursor, query = driver.cursor(name="stream"), query.replace("?", "%s")  # a named one stays on the server
    try:
        cursor.execute(query, values)
        while rows := cursor.fetchmany(STREAMED):
            yield from rows
    finally:
        cursor.close()


@lru_cache
def _postgres_insert(table: Table) -> str:
    names = ", ".join(column.name for column in table.columns)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM {_unnest(table.columns)}"  # noqa: S608


def _unnest(columns: Iterable[Column[Any]]) -> str:
    """One array per column: a statement for any number of rows."""
    return f"unnest({', '.join(f'%s::{_array_type(column)}' for column in columns)})"


def _array_type(column: Column[Any]) -> str:
    """Text without its length: a cast to VARCHAR(n) cuts what is longer, where storing it is an error."""
    if isinstance(column.type, String):
        return "text[]"
    return f"{column.type.compile(postgresql.dialect())}[]"  # type: ignore[no-untyped-call]


@lru_cache
def _postgres_update(table: Table, columns: Sequence[str]) -> str:
    key = [column.name for column in table.primary_key]
    given = _unnest(table.columns[name] for name in (*key, *columns))
    new = ", ".join(f"{name} = given.{name}" for name in columns)
    same = " AND ".join(f"{table.name}.{name} = given.{name}" for name in key)
    return f"UPDATE {table.name} SET {new} FROM {given} AS given ({', '.join((*key, *columns))}) WHERE {same}"  # noqa: S608


@lru_cache
def _on_conflict(table: Table) -> str:
    key = [column.name for column in table.primary_key]
    new = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.columns if column.name not in key)
    return f"ON CONFLICT ({', '.join(key)}) DO " + (f"UPDATE SET {new}" if new else "NOTHING")
