"""Which published findings which channels are to be told of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from coldchain.db.queries_parties import visible_findings
from coldchain.db.tables.events import finding
from coldchain.db.tables.telemetry import device
from coldchain.domain.notices import News, Waiting, selects
from coldchain.services.moments import rfc3339, rfc3339_or_none
from coldchain.services.notices import Channel, Queued
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.store import Store

AT_ONCE = 500
LISTED = 20
"""Units and goods named in a message; the finding has more."""


def look(
    engine: Engine, store: Store, cursor: int, channels: Sequence[Channel], now_us: int
) -> tuple[int, Sequence[Queued]]:
    """`services.notices.Look`: over the table of findings, which follows the ledger in its order, so that an entry once
    passed is never seen late."""
    start = max(cursor, min(channel.since_entry for channel in channels))
    query = select(finding).where(finding.c.entry >= start).order_by(finding.c.entry).limit(AT_ONCE)
    found: list[Queued] = []
    with engine.connect() as connection, store.snapshot() as snapshot:
        rows = connection.execute(query).all()
        for row in rows:
            body = json.loads(parse_entry(snapshot.entry(row.entry)).payload)
            news = _news(connection, row, body, channels)
            waiting = Waiting(row.finding, row.n, row.entry, news.group, row.severity, now_us)
            told = [one for one in channels if row.entry >= one.since_entry and selects(one.wanted, news)]
            item = json.dumps(_item(row, body, news), ensure_ascii=False, separators=(",", ":")) if told else ""
            found += [Queued(channel.name, waiting, item) for channel in told]
    return (rows[-1].entry + 1 if rows else max(cursor, start)), found


def _news(connection: Connection, row: Row[Any], body: Mapping[str, Any], channels: Sequence[Channel]) -> News:
    asked = {channel.wanted.org for channel in channels if channel.wanted.org}
    return News(
        finding=row.finding,
        n=row.n,
        entry=row.entry,
        rule=row.rule,
        subject=row.subject,
        severity=row.severity,
        event=row.event,
        places=_places(connection, row, body),
        orgs=frozenset(org for org in asked if _concerns(connection, org, row, body)),
    )


def _places(connection: Connection, row: Row[Any], body: Mapping[str, Any]) -> tuple[str, ...]:
    """As the entry says; of one that is withdrawn, which says nothing of it, where the device belongs by enrolment."""
    stated = body.get("affected")
    if isinstance(stated, dict) and stated.get("places"):
        return tuple(stated["places"])
    if not row.subject.startswith("dev:"):
        return ()
    name = row.subject.removeprefix("dev:")
    place = connection.scalar(select(device.c.place).where(device.c.device == name))
    return (place,) if place else ()


def _concerns(connection: Connection, org: str, row: Row[Any], body: Mapping[str, Any]) -> bool:
    """Whether it is about a device of the organisation's, asks it something, or may be seen by it."""
    detail = body.get("detail", {})
    if org in (detail.get("holder"), detail.get("asked")):
        return True
    name = row.subject.removeprefix("dev:")
    if row.subject.startswith("dev:"):
        return connection.scalar(select(device.c.org).where(device.c.device == name)) == org
    only = visible_findings(org)
    rows = connection.execute(select(finding).where(finding.c.entry == row.entry, only.where)).all()
    return bool(only.shown(connection, rows))


def _item(row: Row[Any], body: Mapping[str, Any], news: News) -> dict[str, Any]:
    """One change as a message tells it."""
    affected = body.get("affected") or {}
    same = ("n", "event", "severity", "rule", "subject", "channel", "verdict", "state")
    detail = body.get("detail", {})
    return {
        "id": row.finding,
        **{name: getattr(row, name) for name in same},
        "from": rfc3339(row.from_us),
        "to": rfc3339_or_none(row.to_us),
        "published_at": rfc3339(row.at_us),
        "index": row.entry,
        "places": list(news.places),
        "units": affected.get("units", [])[:LISTED],
        "units_total": affected.get("units_total", 0),
        "quantities": affected.get("quantities", [])[:LISTED],
        "detail": {name: value for name, value in sorted(detail.items()) if isinstance(value, int | str)},
    }
