"""Rows of the `verdict` table about goods; only rows that differ are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from coldchain.db import queries_events as q
from coldchain.db.bulk import append_rows, remove_rows
from coldchain.db.lanes import mark_rows
from coldchain.db.tables.verdicts import verdict

SOURCE = "consignment"
Row = dict[str, Any]


def replace_rows(
    connection: Connection, subjects: Iterable[str], mine: Callable[[Row], bool], after: Iterable[Row]
) -> None:
    """The subjects' rows for which `mine` holds are those given, and no others."""
    before = {_key(row): row for row in q.verdicts(connection, subjects, SOURCE) if mine(row)}
    wanted = {_key(row): row for row in after}
    gone = [row for key, row in before.items() if wanted.get(key) != row]
    fresh = [row for key, row in wanted.items() if before.get(key) != row]
    remove_rows(connection, verdict, [_key(row) for row in gone])
    append_rows(connection, verdict, [tuple(row[column.name] for column in verdict.columns) for row in fresh])
    mark_rows(connection, gone + fresh)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in verdict.primary_key.columns)
