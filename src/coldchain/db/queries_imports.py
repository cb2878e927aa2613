"""What an import asks of the tables: which events of a sender are recorded already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from coldchain.db.queries_events import chunks
from coldchain.db.tables.events import event


class SqlKnownEvents:
    """`services.imports.KnownEvents` over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def contents_of(self, by: str, event_ids: Sequence[str]) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for part in chunks(event_ids):
            query = select(event.c.event_id, event.c.key).where(event.c.event_id.in_(part), event.c.by == by)
            for row in self._connection.execute(query):
                found.setdefault(row.event_id, set()).add(row.key)
        return found
