"""What a trace and an inspection read, from the projections' tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from coldchain.db import queries_containment as qc
from coldchain.db import queries_events as q
from coldchain.db.queries_api import CLOSED
from coldchain.db.queries_fittings import fittings_of
from coldchain.db.tables import events as t
from coldchain.db.tables import telemetry as m
from coldchain.db.tables.containment import quantity_span
from coldchain.domain.containment import Interval
from coldchain.domain.events import in_force
from coldchain.domain.fittings import calibration_at
from coldchain.domain.tracing import FOREVER_US, Flow, Handling

_JUDGED = ("channel", "from_us", "to_us", "state", "reason", "max_mc", "min_mc", "confirmed_us", "critical_us")
"""What a segment tells, beside the limit it is beyond."""


class UnitQueries:
    """`services.inspect.InspectSource`, and with it `services.trace.TraceSource`, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def named(self, name: str) -> bool:
        """By an event, as what an event put others into (a lot is often known by its cases alone), or as the place of a
        device."""
        unit, parent, place = t.event_unit.c.unit, t.containment.c.parent, m.device.c.place
        return any(
            self._connection.scalar(select(column).where(column == name).limit(1)) is not None
            for column in (unit, parent, place)
        )

    # Movements

    def above(self, units: Iterable[str]) -> Sequence[Interval]:
        return q.intervals(self._connection, t.containment.c.child, units)

    def within(self, units: Iterable[str]) -> Sequence[Interval]:
        return q.intervals(self._connection, t.containment.c.parent, units)

    def portions_of(self, units: Iterable[str]) -> Sequence[Interval]:
        return qc.portions(self._connection, quantity_span.c.item, units)

    def portions_in(self, units: Iterable[str]) -> Sequence[Interval]:
        return qc.portions(self._connection, quantity_span.c.parent, units)

    def flows(self, units: Iterable[str]) -> Sequence[Flow]:
        found = q.events_naming(self._connection, units, ("input", "output"))
        standing, disputed = in_force(stored.event for stored in found.values())
        return [Flow(e.time_us, e.inputs, e.outputs, e.key) for e in standing if e.inputs and e.key not in disputed]

    def handlings(self, units: Iterable[str], places: Iterable[str]) -> Sequence[Handling]:
        wanted, there = set(units), set(places)
        found = q.events_naming(self._connection, wanted, ("parent", "child"))
        standing, _ = in_force(stored.event for stored in found.values())
        return [
            Handling(event.time_us, unit, place, event.key)
            for event in standing
            for place in there.intersection((event.parent, event.location, event.read_point))
            for unit in wanted.intersection((event.parent, *event.units))
        ]

    # Events

    def events(self, keys: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        found = q.events_by_key(self._connection, keys)
        without = q.barred(self._connection, found)
        return {key: _event(stored, key in without) for key, stored in found.items()}

    def history(self, name: str, limit: int, until_us: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
        c = t.event_unit.c
        mine = (c.unit == name) & (c.time_us <= until_us)
        total = self._connection.scalar(select(func.count(c.key.distinct())).where(mine)) or 0
        newest = select(c.time_us, c.key).distinct().where(mine)
        keys = self._connection.execute(newest.order_by(c.time_us.desc(), c.key).limit(limit)).all()
        events = self.events(row.key for row in keys)
        return total, [events[row.key] for row in keys]

    # Verdicts

    def segments(self, units: Collection[str]) -> Sequence[Mapping[str, Any]]:
        c = t.unit_segment.c
        return [
            {**row._mapping, "because": json.loads(row.because)}
            for part in q.chunks(units)
            for row in self._connection.execute(
                select(t.unit_segment).where(c.unit.in_(part)).order_by(c.from_us, c.unit)
            )
        ]

    def verdicts_on(self, subjects: Collection[str]) -> Sequence[Mapping[str, Any]]:
        c = t.continuity_deadline.c
        due = {
            (row.subject, row.rule, row.channel, row.from_us): row.due_us
            for part in q.chunks(subjects)
            for row in self._connection.execute(select(t.continuity_deadline).where(c.subject.in_(part)))
        }
        return [
            {
                **{name: row[name] for name in ("source", "rule", "subject", "channel", "from_us", "to_us")},
                **{name: row[name] for name in ("verdict", "state", "weakest_grade")},
                "due_us": due.get((row["subject"], row["rule"], row["channel"], row["from_us"])),
                "detail": json.loads(row["detail"]),
                "entries": json.loads(row["basis_index"]),
            }
            for row in q.verdicts(self._connection, subjects)
        ]

    def findings_on(self, subjects: Collection[str]) -> Sequence[Mapping[str, Any]]:
        f = t.finding.c
        columns = (f.finding, f.n, f.rule, f.subject, f.channel, f.from_us, f.to_us, f.verdict, f.state, f.current)
        return [
            {**row._mapping, "open": bool(row.current) and row.state not in CLOSED}
            for part in q.chunks(subjects)
            for row in self._connection.execute(
                select(*columns, f.at_us, f.entry).where(f.subject.in_(part)).order_by(f.entry)
            )
        ]

    def temperatures(self, place: str, from_us: int, to_us: int) -> Sequence[Mapping[str, Any]]:
        """Segments of the probes mounted there, each with the mark of its calibration when it began there."""
        rows: list[Mapping[str, Any]] = []
        mounted = self._mounted(place)
        fitted = fittings_of(self._connection, {number for number, *_ in mounted})
        for number, device, since_us, until_us in mounted:
            s = m.segment.c
            low, high = max(from_us, since_us), min(to_us, until_us)
            query = (
                select(*(s[name] for name in _JUDGED), s.beyond_limit.label("limit"))
                .where(s.device_no == number, s.from_us < high, or_(s.to_us.is_(None), s.to_us > low))
                .order_by(s.from_us, s.channel)
            )
            for row in self._connection.execute(query):
                mark = calibration_at(fitted.get(number, ()), max(row.from_us, low))
                said = {"calibration": mark.mark, "certificate": mark.certificate, "certified_to": mark.last_day}
                rows.append({"device": device, **row._mapping, **said})
        return rows

    def _mounted(self, place: str) -> list[tuple[int, str, int, int]]:
        """(device number, device, from, to) of every stay of a device there; its first mounting also holds before."""
        c, later = m.device_mounting.c, m.device_mounting.alias()
        after = and_(later.c.device_no == c.device_no, later.c.at_us > c.at_us)
        before = and_(later.c.device_no == c.device_no, later.c.at_us < c.at_us)
        query = select(
            c.device_no,
            m.device.c.device,
            c.at_us,
            select(func.min(later.c.at_us)).where(after).scalar_subquery().label("until_us"),
            select(func.count()).select_from(later).where(before).scalar_subquery().label("earlier"),
        ).join(m.device, m.device.c.device_no == c.device_no)
        return [
            (row.device_no, row.device, row.at_us if row.earlier else -FOREVER_US, row.until_us or FOREVER_US)
            for row in self._connection.execute(query.where(c.place == place).order_by(m.device.c.device))
        ]


def _event(stored: q.Stored, unentitled: bool) -> dict[str, Any]:
    event, grade, entry = stored
    return {
        "event": event.event_id,
        "kind": event.kind,
        "action": event.action,
        "step": event.biz_step,
        "disposition": event.disposition,
        "time_us": event.time_us,
        "by": event.by,
        "parent": event.parent,
        "units": len(event.units),
        "read_point": event.read_point,
        "location": event.location,
        "error": event.error,
        "unentitled": unentitled,
        "grade": grade,
        "entry": entry,
    }
