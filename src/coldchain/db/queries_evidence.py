"""Which entries a dossier about something carries: those naming it, and, over containment, those that bear on it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from coldchain.db.queries_events import intervals
from coldchain.db.series_rows import FOREVER_US, spoken
from coldchain.db.tables import continuity, events, telemetry
from coldchain.domain.containment import Interval
from coldchain_ledger.store import Snapshot

MAX_CLIMB = 16
"""Levels of packing followed outward: case, pallet, container, truck, ferry … nothing real comes near."""


def evidence_about(connection: Connection, snapshot: Snapshot, about: str) -> set[int]:
    """Ledger indices about a subject name, or about a finding id and its subject; empty where nothing is known of it.

    A unit brings what it was in while it was there: the events of its pallets, the messages of the devices of its
    trucks and rooms (design §5).
    """
    named = _finding(connection, about)
    subjects = subjects_of(connection, about)
    indices = {entry for _, entry in named}
    for subject in subjects:
        indices.update(snapshot.indices(subject))
    if not indices:
        return set()
    stays = _stays(connection, subjects)
    for stay in stays:
        indices.update(_entries_of_unit(connection, stay))
        indices.update(_messages_at(connection, stay))
    return indices | _rules(connection)


def subjects_of(connection: Connection, about: str) -> set[str]:
    """The subjects that evidence about it is about: its own name, or whom the finding of this id is on."""
    return {subject for subject, _ in _finding(connection, about)} or {about}


def _finding(connection: Connection, finding: str) -> list[tuple[str, int]]:
    """(subject, entry) of everything published under this id."""
    table = events.finding
    query = select(table.c.subject, table.c.entry).where(table.c.finding == finding)
    return [(row.subject, row.entry) for row in connection.execute(query)]


def _stays(connection: Connection, units: Iterable[str]) -> list[Interval]:
    """Where the units were, climbing outward; a container's stays are cut to those of what it contained."""
    found: list[Interval] = []
    layer = [Interval(unit, unit, -(2**62), None, ()) for unit in units]
    for _ in range(MAX_CLIMB):
        inner: dict[str, list[Interval]] = {}
        for stay in layer:
            inner.setdefault(stay.parent, []).append(stay)
        outward = intervals(connection, events.containment.c.child, inner)
        layer = [cut for above in outward for stay in inner[above.child] if (cut := _overlap(above, stay)) is not None]
        if not layer:
            break
        found += layer
    return found


def _overlap(stay: Interval, within: Interval) -> Interval | None:
    from_us = max(stay.from_us, within.from_us)
    ends = [end for end in (stay.to_us, within.to_us) if end is not None]
    to_us = min(ends) if ends else None
    if to_us is not None and to_us <= from_us:
        return None
    return stay._replace(from_us=from_us, to_us=to_us)


def _entries_of_unit(connection: Connection, stay: Interval) -> set[int]:
    """Entries of the events that name the container while the unit was in it."""
    unit, event = events.event_unit, events.event
    query = (
        select(event.c.entry)
        .join(unit, unit.c.key == event.c.key)
        .where(unit.c.unit == stay.parent, unit.c.time_us >= stay.from_us)
    )
    if stay.to_us is not None:
        query = query.where(unit.c.time_us <= stay.to_us)
    return {row.entry for row in connection.execute(query)}


def _messages_at(connection: Connection, stay: Interval) -> set[int]:
    """Entries of the messages of devices mounted at the place, with samples within the stay."""
    device = telemetry.device.c
    mounted = connection.scalars(select(device.device_no).where(device.place == stay.parent)).all()
    to_us = FOREVER_US if stay.to_us is None else stay.to_us
    return {one.entry for one in spoken(connection, mounted, stay.from_us, to_us)}


def _rules(connection: Connection) -> set[int]:
    tables = (telemetry.rule_pack, telemetry.rule_profile, continuity.continuity_rule)
    return {entry for table in tables for entry in connection.scalars(select(table.c.entry))}
