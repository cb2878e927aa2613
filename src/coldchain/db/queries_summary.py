"""A run in figures: readings stored, and the findings that stand now."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, func, select

from coldchain.db.queries_continuity import recorded_rules
from coldchain.db.series_rows import spoken
from coldchain.db.tables.events import event_unit, finding
from coldchain.db.tables.telemetry import device, rule_pack, rule_profile, series, series_packed
from coldchain.domain.findings import WITHDRAWN
from coldchain.domain.rulepacks import PACK_KIND
from coldchain.services.moments import rfc3339, rfc3339_or_none
from coldchain_ledger.entry import parse_entry, scan_entry
from coldchain_ledger.store import Snapshot


def reading_count(connection: Connection) -> int:
    counts = [select(func.coalesce(func.sum(table.c.count), 0)) for table in (series, series_packed)]
    return sum(int(connection.scalar(count) or 0) for count in counts)


def late_messages(connection: Connection, snapshot: Snapshot, late_us: int) -> list[dict[str, Any]]:
    """By device, its messages received more than `late_us` after their newest sample: how many, of when, and when."""
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for one in spoken(connection):
        key = one.device_no, one.entry
        oldest, newest = spans.get(key, (one.first_us, one.last_us))
        spans[key] = min(oldest, one.first_us), max(newest, one.last_us)
    names = {row.device_no: row.device for row in connection.execute(select(device.c.device_no, device.c.device))}
    found: dict[str, list[tuple[int, int, int]]] = {}
    for (device_no, entry), (oldest, newest) in sorted(spans.items(), key=lambda item: (names[item[0][0]], item[0])):
        at_us = scan_entry(snapshot.entry(entry))[0]
        if at_us - newest > late_us:
            found.setdefault(names[device_no], []).append((oldest, newest, at_us))
    return [
        {
            "device": name,
            "messages": len(late),
            "from": rfc3339(min(oldest for oldest, _, _ in late)),
            "to": rfc3339(max(newest for _, newest, _ in late)),
            "received_from": rfc3339(min(at_us for _, _, at_us in late)),
            "received_to": rfc3339(max(at_us for _, _, at_us in late)),
        }
        for name, late in found.items()
    ]


def first_case(connection: Connection) -> str:
    """The first case of goods any event names."""
    unit = event_unit.c.unit
    return str(connection.execute(select(unit).where(unit.startswith("case:")).order_by(unit).limit(1)).scalar_one())


def rule_packs(connection: Connection) -> list[dict[str, Any]]:
    """Temperature packs, profiles and continuity rules as recorded in the ledger, each with its `kind`."""
    packs, profiles = (
        [json.loads(body) for body in connection.scalars(select(t.c.body).order_by(t.c.name, t.c.version))]
        for t in (rule_pack, rule_profile)
    )
    return [*({"kind": PACK_KIND, **pack} for pack in packs), *profiles, *recorded_rules(connection)]


def findings_now(connection: Connection, snapshot: Snapshot) -> list[dict[str, Any]]:
    """The newest entry of every finding that was not withdrawn, by start, rule and subject. Times are RFC 3339, UTC."""
    c = finding.c
    query = select(finding).where(c.current, c.state != WITHDRAWN).order_by(c.from_us, c.rule, c.subject, c.channel)
    return [
        {
            "id": row.finding,
            "rule": row.rule,
            "subject": row.subject,
            "channel": row.channel,
            "verdict": row.verdict,
            "state": row.state,
            "from": rfc3339(row.from_us),
            "to": rfc3339_or_none(row.to_us),
            "entries": _evidence(snapshot, row.entry),
            "detail": json.loads(row.detail),
        }
        for row in connection.execute(query)
    ]


def _evidence(snapshot: Snapshot, index: int) -> list[int]:
    """The entries the finding rests on, as its own ledger entry names them."""
    body = json.loads(parse_entry(snapshot.entry(index)).payload)
    return [int(one) for one in body["entries"]]
