"""What continuity reads beside events and verdicts: ties, facts in our own fields, supervision, what rules saw."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, or_, select

from coldchain.db.queries_events import Stored, chunks, entitled, events_by_key, with_copies
from coldchain.db.tables import continuity as t
from coldchain.db.tables.events import containment, event, event_unit
from coldchain.domain.continuity import Opportunity
from coldchain.domain.continuity.supervision import Act, Span, supervised

decode_opportunity = msgspec.json.Decoder(Opportunity).decode
encode_opportunity = msgspec.json.Encoder().encode


def keys_naming(connection: Connection, names: Iterable[str], roles: Collection[str]) -> set[str]:
    """Of events that list one of the names in one of the roles."""
    c = event_unit.c
    return {
        key
        for part in chunks(names)
        for key in connection.scalars(select(c.key).distinct().where(c.unit.in_(part), c.role.in_(roles)))
    }


def keys_beside(connection: Connection, names: Iterable[str]) -> set[str]:
    """Of events that name one of these in our own extension fields."""
    c = t.event_fact.c
    return {
        key for part in chunks(names) for key in connection.scalars(select(c.key).distinct().where(c.name.in_(part)))
    }


def moving(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Those of the events that pack what they list, use it up or end it."""
    e = event.c
    kinds = or_(
        and_(e.kind == "AggregationEvent", e.action == "ADD"),
        e.kind == "TransformationEvent",
        and_(e.kind == "ObjectEvent", e.action == "DELETE"),
    )
    return {key for part in chunks(keys) for key in connection.scalars(select(e.key).where(e.key.in_(part), kinds))}


def stored_events(connection: Connection, keys: Iterable[str]) -> dict[str, Stored]:
    """The events that count, with every copy under the same ids, by key."""
    return entitled(connection, with_copies(connection, events_by_key(connection, keys)))


def issued_again(connection: Connection, cases: Iterable[str]) -> set[str]:
    """Those of the cases whose ids more than one event issues."""
    c, e = event_unit.c, event.c
    issues = select(c.unit, c.key).join(event, e.key == c.key)
    issues = issues.where(c.role == "child", e.kind == "ObjectEvent", e.action == "ADD")
    found: dict[str, set[str]] = {}
    for part in chunks(cases):
        for row in connection.execute(issues.where(c.unit.in_(part))):
            found.setdefault(row.unit, set()).add(row.key)
    return {case for case, keys in found.items() if len(keys) > 1}


def tied_to(connection: Connection, names: Iterable[str]) -> set[str]:
    """Subjects that events naming one of the names bear on."""
    c = t.continuity_tie.c
    query = select(c.subject).distinct()
    return {one for part in chunks(names) for one in connection.scalars(query.where(c.name.in_(part)))}


def units_at(connection: Connection, site: str) -> set[str]:
    """What any event named together with a place of the site."""
    c = event_unit.c
    there = or_(*(and_(c.unit >= f"{kind}:{site}/", c.unit < f"{kind}:{site}0") for kind in ("loc", "room")))
    keys = set(connection.scalars(select(c.key).where(or_(c.unit == f"loc:{site}", there))))
    return {one for part in chunks(keys) for one in connection.scalars(select(c.unit).where(c.key.in_(part)))}


def all_subjects(connection: Connection) -> set[str]:
    """Every pallet, container and vehicle any event names."""
    c = event_unit.c
    prefixes = or_(*(and_(c.unit >= f"{kind}:", c.unit < f"{kind};") for kind in ("sscc", "hu", "cont", "veh")))
    return set(connection.scalars(select(c.unit).distinct().where(prefixes)))


def sealed_places(connection: Connection, places: Iterable[str]) -> set[str]:
    """Those of the vehicles that ever wore a seal, or ever carried a container."""
    f, c = t.event_fact.c, containment.c
    found: set[str] = set()
    for part in chunks(places):
        found.update(connection.scalars(select(f.name).distinct().where(f.name.in_(part))))
        carrying = select(c.parent).distinct().where(c.parent.in_(part), c.child.startswith("cont:"))
        found.update(connection.scalars(carrying))
    return found


def positions(connection: Connection, device: str, from_us: int, to_us: int) -> list[tuple[int, int]]:
    """Where a device was while its door stood open: latitude and longitude, 1e-7 degree."""
    c = t.door_position.c
    query = select(c.lat_e7, c.lon_e7).where(c.device == device, c.t_us.between(from_us, to_us))
    return [(row.lat_e7, row.lon_e7) for row in connection.execute(query.order_by(c.t_us))]


def opening_times(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """By name `opening <site>`: when that was."""
    f = t.event_fact.c
    keys: dict[str, set[str]] = {}
    for part in chunks(names):
        for row in connection.execute(select(f.name, f.key).where(f.name.in_(part))):
            keys.setdefault(row.name, set()).add(row.key)
    stored = stored_events(connection, {key for some in keys.values() for key in some})
    withdrawn = {one.event.event_id for one in stored.values() if one.event.error}
    return {
        name: min(times)
        for name, some in keys.items()
        if (
            times := [
                stored[k].event.time_us for k in some if k in stored and stored[k].event.event_id not in withdrawn
            ]
        )
    }


def supervisions(connection: Connection, units: Iterable[str]) -> tuple[Span, ...]:
    """When each of the units was supervised."""
    c = t.supervision_act.c
    columns = (c.unit, c.time_us, c.act, c.kind, c.key, c.by)
    return supervised(
        Act(*row) for part in chunks(units) for row in connection.execute(select(*columns).where(c.unit.in_(part)))
    )


def opportunities(connection: Connection, subjects: Iterable[str]) -> dict[str, list[Opportunity]]:
    """What the rules saw on each subject by itself."""
    c = t.continuity_opportunity.c
    found: dict[str, list[Opportunity]] = {}
    for part in chunks(subjects):
        for row in connection.execute(select(c.subject, c.data).where(c.subject.in_(part))):
            found.setdefault(row.subject, []).append(decode_opportunity(row.data))
    return {subject: sorted(its) for subject, its in found.items()}


def recorded_rules(connection: Connection) -> list[dict[str, Any]]:
    """Versions of the continuity rules recorded in the ledger, as stated there."""
    c = t.continuity_rule.c
    return [json.loads(body) for body in connection.scalars(select(c.body).order_by(c.name, c.version))]
