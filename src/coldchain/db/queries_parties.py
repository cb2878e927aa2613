"""What is read of parties: registrations, who may see what, handovers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from coldchain.db.queries_api import NotKnown, decode_cursor, encode_cursor
from coldchain.db.tables.parties import party
from coldchain.domain.parties import Directory, Registration


class PartyRow(NamedTuple):
    """One version of one registration, and its place in the ledger."""

    id: str
    n: int
    from_us: int
    stated: dict[str, Any]
    entry: int


def directory(connection: Connection) -> Directory:
    """Every registration recorded."""
    c = party.c
    return Directory(
        Registration(row.op, row.id, row.n, row.from_us, json.loads(row.body))
        for row in connection.execute(select(c.op, c.id, c.n, c.from_us, c.body))
    )


def parties(connection: Connection, op: str, after: str | None, limit: int) -> tuple[list[PartyRow], str | None]:
    """The newest version of everything of one kind, by id."""
    c = party.c
    newest = select(c.id, func.max(c.n).label("n")).where(c.op == op).group_by(c.id).subquery()
    query = select(party).join(newest, (c.id == newest.c.id) & (c.n == newest.c.n)).where(c.op == op).order_by(c.id)
    if after is not None:
        query = query.where(c.id > decode_cursor(after, str)[0])
    rows = [_row(row) for row in connection.execute(query.limit(limit + 1))]
    return rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None


def party_versions(connection: Connection, op: str, name: str) -> list[PartyRow]:
    """Every version of one thing, oldest first. Raises NotKnown."""
    query = select(party).where(party.c.op == op, party.c.id == name).order_by(party.c.n)
    rows = [_row(row) for row in connection.execute(query)]
    if not rows:
        raise NotKnown(f"no {op} {name!r} is registered")
    return rows


def _row(row: Any) -> PartyRow:
    return PartyRow(row.id, row.n, row.from_us, json.loads(row.body), row.entry)
