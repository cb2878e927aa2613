"""Questions about the ledger's keys that the Store protocol does not ask."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Connection, func, select

from coldchain.db.tables.ledger import entry_key, recent_key, subject


def count_keys(connection: Connection, prefix: str, log: int = 1) -> int:
    """How many entries have a key that starts so."""
    return sum(
        connection.scalar(select(func.count()).where(table.c.log == log, *_between(table.c.key, prefix))) or 0
        for table in (entry_key, recent_key)
    )


def newest_index_root(connection: Connection, log: int = 1) -> int | None:
    """Ledger index of the newest `index` entry (ledger §5.5)."""
    newest = [
        connection.scalar(select(func.max(table.c.idx)).where(table.c.log == log, *_between(table.c.key, "index/")))
        for table in (entry_key, recent_key)
    ]
    return max((index for index in newest if index is not None), default=None)


def indices_of_keys(connection: Connection, prefix: str, log: int = 1) -> list[int]:
    """Ledger indices of the entries whose key starts so, ascending."""
    found: list[int] = []
    for table in (entry_key, recent_key):
        found += connection.scalars(select(table.c.idx).where(table.c.log == log, *_between(table.c.key, prefix)))
    return sorted(found)


def _between(column: Column[str], prefix: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return column >= prefix, column < after


def subjects_below(connection: Connection, prefix: str, log: int = 1) -> list[tuple[str, int, int]]:
    """(name, entries, newest entry) of every subject whose name starts so, by name."""
    query = select(subject.c.name, subject.c.count, subject.c.last)
    query = query.where(subject.c.log == log, *_between(subject.c.name, prefix)).order_by(subject.c.name)
    return [(name, count, last) for name, count, last in connection.execute(query)]
