"""What is read of parties: registrations, who may see what, handovers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, or_, select

from coldchain.db.queries_api import NotKnown, Only, decode_cursor, encode_cursor
from coldchain.db.queries_events import barred, chunks
from coldchain.db.tables.events import event as event_table
from coldchain.db.tables.events import finding
from coldchain.db.tables.parties import event_decision, handover, handover_link, party, unentitled
from coldchain.db.tables.telemetry import device
from coldchain.domain.entitlement import (
    UNITS,
    Bar,
    EventDecision,
    Passage,
    Statement,
    Tenure,
    concern_until,
    tenures,
)
from coldchain.domain.parties import Directory, Registration
from coldchain.domain.tracing import FOREVER_US


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


# Handovers


def event_decisions(connection: Connection, events: Iterable[str]) -> dict[str, list[EventDecision]]:
    """Rulings on events of unentitled parties, by event key."""
    found: dict[str, list[EventDecision]] = {}
    c = event_decision.c
    for part in chunks(events):
        for row in connection.execute(select(event_decision).where(c.event.in_(part))):
            one = EventDecision(row.event, row.n, bool(row.confirmed), row.by, row.role)
            found.setdefault(row.event, []).append(one)
    return found


def bar_on(connection: Connection, key: str) -> tuple[Statement, Bar, int]:
    """A barred event, why it is barred, and the number of the next ruling on it. Raises NotKnown."""
    c = event_table.c
    row = connection.execute(
        select(c.by, c.time_us, unentitled).join(unentitled, unentitled.c.key == c.key).where(c.key == key)
    ).one_or_none()
    if row is None:
        raise NotKnown(f"no event {key!r} of an unentitled party: it counts already, or there is none")
    last = connection.scalar(select(func.max(event_decision.c.n)).where(event_decision.c.event == key)) or 0
    return Statement(key, row.by, row.time_us), Bar(row.rule, row.name, row.owner), last + 1


def tenures_of(connection: Connection, known: Directory, units: Iterable[str]) -> dict[str, tuple[Tenure, ...]]:
    """Who held each unit, of those that were ever handed over."""
    passages = _passages(connection, units)
    decisions = event_decisions(connection, (it.key for all_ in passages.values() for p in all_ for it in p.shipments))
    return {unit: tenures(known, unit, several, decisions) for unit, several in passages.items()}


def concern_of(connection: Connection, org: str, units: Iterable[str]) -> dict[str, int]:
    """Until when each of these units, which `sees` names, was this organisation's concern; without those that still
    are."""
    passages = _passages(connection, units)
    held = tenures_of(connection, directory(connection), passages) if passages else {}
    ends = {unit: concern_until(org, held[unit], several) for unit, several in passages.items()}
    return {unit: until_us for unit, until_us in ends.items() if until_us is not None}


def _passages(connection: Connection, units: Iterable[str]) -> dict[str, list[Passage]]:
    """Of each unit that was ever handed over, each handover once however many of the units it speaks of."""
    link = handover_link.c
    joined = select(link.name, handover).join(handover, handover.c.id == link.handover)
    found: dict[str, list[Passage]] = {}
    once: dict[str, Passage | None] = {}
    for part in chunks(unit for unit in units if unit.startswith(UNITS)):
        for row in connection.execute(joined.where(link.kind == "unit", link.name.in_(part))):
            if row.id not in once:
                once[row.id] = _passage(row)
            passage = once[row.id]
            found.setdefault(row.name, []).extend([passage] if passage is not None else [])
    return found


def _passage(row: Any) -> Passage | None:
    if row.shipped_us is None:
        return None
    shipped = json.loads(row.detail)["shipped"]
    named = {half[name] for half in shipped for name in ("contracting_carrier", "actual_carrier")}
    shipments = tuple(Statement(half["key"], half["by"], half["time_us"]) for half in shipped)
    return Passage(row.giver, row.taker, row.shipped_us, row.accepted_us, tuple(sorted(named - {""})), shipments)


def handovers_of(connection: Connection, unit: str) -> list[dict[str, Any]]:
    """Every handover of a unit or lot, by time: both halves, where they differ, and which events of it are barred."""
    link = handover_link.c
    query = select(handover).join(handover_link, link.handover == handover.c.id)
    rows = connection.execute(query.where(link.kind == "unit", link.name == unit)).all()
    found = _handovers(connection, rows)
    return sorted(found, key=lambda one: (one["shipped_us"] or one["received_us"], one["handover"]))


def handover_by_id(connection: Connection, name: str) -> dict[str, Any] | None:
    """One of them; None where there is none of that id."""
    rows = connection.execute(select(handover).where(handover.c.id == name)).all()
    return next(iter(_handovers(connection, rows)), None)


def _handovers(connection: Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    details = {row.id: json.loads(row.detail) for row in rows}
    stated = {name: [h["key"] for h in (*one["shipped"], *one["received"])] for name, one in details.items()}
    without = barred(connection, (key for keys in stated.values() for key in keys))
    return [
        {
            "handover": row.id,
            "state": row.state,
            "giver": row.giver,
            "taker": row.taker,
            "shipped_us": row.shipped_us,
            "received_us": row.received_us,
            **details[row.id],
            "unentitled": sorted(without.intersection(stated[row.id])),
        }
        for row in rows
    ]


def sees(connection: Connection, org: str, names: Iterable[str]) -> set[str]:
    """Those of the units that somebody else handed to this organisation, took from it, or had it carry."""
    found = _shown_to(org).subquery()
    query = select(found.c.name)
    return {name for part in chunks(names) for name in connection.scalars(query.where(found.c.name.in_(part)))}


def may_report(connection: Connection, org: str, name: str) -> Callable[[str, int, int], bool] | None:
    """Of what this organisation may have a report about that name: places of its own, and its own devices, from one
    time to another; None where it may have none. Of units that `sees` names, as far as they were in its places."""
    known = directory(connection)
    if name.startswith("dev:"):
        query = select(device.c.org).where(device.c.device == name.removeprefix("dev:"))
        return (lambda *_: True) if connection.scalar(query) == org else None
    is_place = name.startswith(("veh:", "room:"))
    may_ask = known.ever_owned(org, name) if is_place else name in sees(connection, org, [name])
    return (lambda place, from_us, to_us: known.owned(org, place, from_us, to_us)) if may_ask else None


def visible_findings(org: str) -> Only:
    """The findings a party may see: about units `sees` names, as far as they began while these were its concern, and
    about what others state of its places and units."""
    stated = select(unentitled.c.key).where(unentitled.c.owner == org)

    def shown(connection: Connection, rows: Sequence[Any]) -> Sequence[Any]:
        until_us = concern_of(connection, org, {row.subject for row in rows})
        late = [row for row in rows if row.from_us > until_us.get(row.subject, FOREVER_US)]
        parts = chunks({row.channel for row in late})
        own = {key for part in parts for key in connection.scalars(stated.where(unentitled.c.key.in_(part)))}
        hidden = {row.entry for row in late if row.channel not in own}
        return [row for row in rows if row.entry not in hidden]

    return Only(or_(finding.c.subject.in_(_shown_to(org)), finding.c.channel.in_(stated)), shown)


def _shown_to(org: str) -> Select[tuple[str]]:
    """Units, never lots, which others got of as well. A party's own word opens nothing: whoever could name a number
    would else read all about it."""
    unit, who, stated = (handover_link.alias() for _ in range(3))
    is_barred = (
        select(stated.c.name)
        .join(unentitled, unentitled.c.key == stated.c.name)
        .where(stated.c.kind == "event", stated.c.handover == unit.c.handover)
        .exists()
    )
    query = select(unit.c.name).join(who, who.c.handover == unit.c.handover)
    single = or_(*(unit.c.name.startswith(kind) for kind in UNITS))
    return query.where(unit.c.kind == "unit", single, who.c.kind == "party", who.c.name == org, ~is_barred)
