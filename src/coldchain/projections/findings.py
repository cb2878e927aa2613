"""What was published: the `finding` entries of the ledger, each id with its newest; and who acknowledged them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, insert, select, update

from coldchain.db.bulk import put_rows
from coldchain.db.queries_events import chunks
from coldchain.db.tables.events import finding, finding_ack
from coldchain.domain.acknowledgements import ORDER, AckError, read_ack
from coldchain.domain.findings import EVENTS, SETTLED, WITHDRAWN
from coldchain.domain.severity import SEVERITIES, severity_of
from coldchain.services.recorded import Recorded

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
    """Fills `finding`, one row for each published entry, in ledger order, and `finding_ack`."""

    name = "findings"
    tables: Sequence[str] = ("finding", "finding_ack")
    takes_telemetry = False

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        put_rows(connection, finding_ack, _acks(batch), "ON CONFLICT DO NOTHING")
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


def _acks(batch: Sequence[Recorded]) -> list[tuple[Any, ...]]:
    """An order whose content contradicts its key, or says nothing, stays what it is: an entry."""
    found = []
    for item in batch:
        if isinstance(item.body, Mapping) and item.body.get("order") == ORDER and item.entry.kind == "order":
            with suppress(AckError):
                found.append((*read_ack(item.body, item.entry.key, item.entry.by), item.entry.at_us, item.index))
    return found


def _row(item: Recorded, first_entry: int, current: bool) -> dict[str, Any]:
    body = item.body
    detail = json.dumps(body.get("detail", {}), sort_keys=True, ensure_ascii=False)
    severity, event = body.get("severity"), body.get("event")
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
        "severity": severity if severity in SEVERITIES else severity_of(body["rule"], body["verdict"], detail),
        "event": event if event in EVENTS else _event_of(body),
        "detail": detail,
        "current": current,
        "basis": body["basis"],
        "at_us": item.entry.at_us,
        "entry": item.index,
        "first_entry": first_entry,
    }


def _event_of(body: Mapping[str, Any]) -> str:
    """Of an entry that does not say: those of the first version did not."""
    if body["state"] == WITHDRAWN:
        return "withdrawn"
    if body["n"] == 1:
        return "raised"
    return "closed" if body["state"] in SETTLED else "superseded"
