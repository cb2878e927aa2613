"""What was published: the `finding` entries of the ledger, each id with its newest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from coldchain.db.queries_events import chunks
from coldchain.db.tables.events import finding
from coldchain.services.ports import Recorded

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "n": int,
    "rule": str,
    "subject": str,
    "channel": str,
    "from": int,
    "to": (int, type(None)),
    "verdict": str,
    "state": str,
    "basis": int,
}


class Findings:
    """Fills `finding`: one row for each published entry, in ledger order."""

    name = "findings"
    tables: Sequence[str] = ("finding",)

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        published = [item for item in batch if item.entry.kind == "finding" and _readable(item)]
        if not published:
            return
        ids = {item.body["id"] for item in published}
        first = _first_entries(connection, ids)
        for part in chunks(ids):
            connection.execute(update(finding).where(finding.c.finding.in_(part)).values(current=False))
        newest = {item.body["id"]: item.index for item in published}
        rows = []
        for item in published:
            start = first.setdefault(item.body["id"], item.index)
            rows.append(_row(item, start, item.index == newest[item.body["id"]]))
        connection.execute(insert(finding), rows)

    def reset(self) -> None:
        return None


def _readable(item: Recorded) -> bool:
    """Whether the entry is one of the emitter's: its key and its content agree."""
    body = item.body
    return (
        isinstance(body, Mapping)
        and all(isinstance(body.get(name), kind) for name, kind in _FIELDS.items())
        and item.entry.key == f"finding/{body['id']}/{body['n']}"
    )


def _first_entries(connection: Connection, ids: set[str]) -> dict[str, int]:
    c = finding.c
    query = select(c.finding, c.first_entry).where(c.current)
    return {
        row.finding: row.first_entry
        for part in chunks(ids)
        for row in connection.execute(query.where(c.finding.in_(part)))
    }


def _row(item: Recorded, first_entry: int, current: bool) -> dict[str, Any]:
    body = item.body
    return {
        "finding": body["id"],
        "n": body["n"],
        "rule": body["rule"],
        "subject": body["subject"],
        "channel": body["channel"],
        "from_us": body["from"],
        "to_us": body["to"],
        "verdict": body["verdict"],
        "state": body["state"],
        "detail": json.dumps(body.get("detail", {}), sort_keys=True, ensure_ascii=False),
        "current": current,
        "basis": body["basis"],
        "at_us": item.entry.at_us,
        "entry": item.index,
        "first_entry": first_entry,
    }
