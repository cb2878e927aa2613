"""Many rows in few statements on SQLite.

`executemany` gives the interpreter lock away at every row and has to win it back each time. Beside a thread that
computes, and a server has one, a row took 65 µs and twice its processor time that way; with 256 rows in a statement 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

Rows = Sequence[tuple[Any, ...]]

MOST = 256
"""Rows in a statement; twenty columns stay below SQLite's 32,766 values."""


def write_values(connection: Connection, before: str, after: str, rows: Rows) -> None:
    """Run `before VALUES (…), (…) after` for all rows, in order: statements of 256 of them, then of 128, 64, … 1."""
    cursor = connection.connection.cursor()
    try:
        start = 0
        while start < len(rows):
            count = min(MOST, 1 << (len(rows) - start).bit_length() - 1)
            values: list[Any] = []
            for row in rows[start : start + count]:
                values += row
            cursor.execute(_statement(before, after, len(rows[start]), count), values)
            start += count
    finally:
        cursor.close()


def insert_rows(connection: Connection, table: str, columns: Sequence[str], rows: Rows, conflict: str = "") -> None:
    """conflict: the ON CONFLICT clause, if any."""
    write_values(connection, f"INSERT INTO {table} ({', '.join(columns)})", conflict, rows)


def update_rows(connection: Connection, table: str, key: Sequence[str], columns: Sequence[str], rows: Rows) -> None:
    """rows: the key, then the new values of the columns; each is stored already."""
    new = ", ".join(f"{name} = given.column{place}" for place, name in enumerate(columns, len(key) + 1))
    same = " AND ".join(f"{table}.{name} = given.column{place}" for place, name in enumerate(key, 1))
    write_values(connection, f"UPDATE {table} SET {new} FROM (", f") AS given WHERE {same}", rows)  # noqa: S608


@lru_cache(1_024)
def _statement(before: str, after: str, width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{before} VALUES {', '.join([row] * count)} {after}"
