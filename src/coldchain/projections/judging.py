"""Opportunities -> verdict rows, segments and deadlines; only rows that differ are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, and_, delete, insert, select

from coldchain.db import queries_events as q
from coldchain.db.bulk import fetch
from coldchain.db.tables.events import continuity_deadline, door_mount, door_sample, unit_segment
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.containment import Interval
from coldchain.domain.continuity import Opportunity
from coldchain.domain.doors import Window, uncovered
from coldchain.domain.exceptions import Claim, Decision
from coldchain.domain.findings import Judgement, judge
from coldchain.domain.segments import Segment, Touching, segments
from coldchain.projections.doors import Span
from coldchain.projections.events import weakest
from coldchain.projections.pallets import RULES, Folded
from coldchain.services.chores import canonical

SOURCE = "continuity"
Row = dict[str, Any]
Judge = Callable[[Opportunity], Judgement]


class Opening(NamedTuple):
    """A door of a vehicle seen open, and on what grade of evidence."""

    device: str
    grade: str
    door: str
    window: Window


def judge_doors(connection: Connection, spans: Iterable[Span], ledger_time_us: int) -> set[str]:
    """Verdicts on the openings of each vehicle in its span; the units aboard at those that changed."""
    affected: set[str] = set()
    for span in spans:
        from_us, to_us = span.from_us - RULES.cover_us, span.to_us + RULES.cover_us
        openings = _openings(connection, span.place, from_us, to_us)
        starts = {opening.window.from_us for opening in openings}
        before = {
            _key(row): row
            for row in q.verdicts(connection, [span.place], SOURCE)
            if from_us <= row["from_us"] <= to_us or row["from_us"] in starts
        }
        found = {_key(row): row for row in _door_rows(connection, span.place, openings, ledger_time_us)}
        for row in _replace(connection, before, found):
            affected.update(json.loads(row["detail"])["units"])
    return affected


def _openings(connection: Connection, place: str, from_us: int, to_us: int) -> list[Opening]:
    query = (
        "SELECT door_mount.device, grade, door, from_us, to_us, seen_us"
        " FROM door_mount JOIN door_window ON door_window.device = door_mount.device"
        " WHERE place = ? AND from_us <= ? AND coalesce(to_us, seen_us) >= ?"
    )
    return [
        Opening(device, grade, door, Window(*times))
        for device, grade, door, *times in fetch(connection, query, place, to_us, from_us)
    ]


def _door_rows(connection: Connection, vehicle: str, openings: Sequence[Opening], ledger_time_us: int) -> list[Row]:
    rows = []
    for device, grade, door, window in openings:
        end_us = window.seen_us if window.to_us is None else window.to_us
        units = sorted({interval.child for interval in q.aboard(connection, vehicle, window.from_us, end_us)})
        if not units:
            continue  # of all openings nearly every one: no need to ask what events there were
        times = q.event_times(connection, [vehicle, *units], window.from_us - RULES.cover_us, end_us + RULES.cover_us)
        it = uncovered(vehicle, f"{device} {door}", window, units, times, RULES)
        if it is not None:
            judgement = _judge(connection, [it], {}, ledger_time_us)(it)
            c = door_sample.c
            samples = select(c.entry).where(c.device == device, c.door == door)
            samples = samples.where(c.t_us.in_([window.from_us, end_us]))
            rows.append(_row(judgement, grade, connection.scalars(samples)))
    return rows


def judge_pallets(connection: Connection, folded: Folded, ledger_time_us: int) -> None:
    """Verdicts, segments and deadlines of each pallet whose history was folded anew."""
    found = {unit: history.opportunities for unit, (history, _) in folded.items()}
    rides = q.containments_within(connection, folded, "veh:")
    orgs = _operators(connection, {ride.parent for stays in rides.values() for ride in stays})
    held = {unit: [_with_holder(it, rides.get(unit, ()), orgs) for it in its] for unit, its in found.items()}
    asks = q.asks_about(connection, (unit for unit, its in held.items() if its))
    judged_by = _judge(connection, [it for its in held.values() for it in its], asks, ledger_time_us)
    judgements = {unit: [judged_by(it) for it in its] for unit, its in held.items()}
    before = {_key(row): row for row in q.verdicts(connection, folded, SOURCE)}
    rows = [_row(one, *_evidence(one, folded[unit][1])) for unit, several in judgements.items() for one in several]
    _replace(connection, before, {_key(row): row for row in rows})
    _replace_deadlines(connection, judgements)
    doors = _door_touches(connection, rides)
    _replace_segments(
        connection,
        {
            unit: segments(history, [*map(_touching, judgements[unit]), *doors.get(unit, ())])
            for unit, (history, _) in folded.items()
        },
    )


def _judge(connection: Connection, its: Sequence[Opportunity], asks: Mapping[str, Any], ledger_time_us: int) -> Judge:
    """`judge` with the questions, claims and rulings that bear on any of these opportunities."""
    claims: list[Claim] = []
    decisions: list[Decision] = []
    if its:
        from_us = min(it.from_us for it in its) - RULES.cover_us
        to_us = max(it.from_us if it.to_us is None else it.to_us for it in its) + RULES.cover_us
        claims = q.claims_between(connection, from_us, to_us)
        decisions = q.decisions_on(connection, (claim.claim_id for claim in claims))
    return lambda it: judge(it, asks.get(it.subject, ()), claims, decisions, ledger_time_us, RULES)


def _with_holder(it: Opportunity, rides: Iterable[Interval], orgs: Mapping[str, str]) -> Opportunity:
    """Whoever runs the vehicle it was in meanwhile held it; else whoever recorded it last."""
    for ride in sorted(rides, key=lambda ride: ride.from_us):
        overlaps = (it.to_us is None or ride.from_us < it.to_us) and (ride.to_us is None or it.from_us < ride.to_us)
        if overlaps and orgs.get(ride.parent):
            return it._replace(holder=orgs[ride.parent])
    return it


def _operators(connection: Connection, vehicles: Iterable[str]) -> dict[str, str]:
    c = door_mount.c
    return {
        row.place: row.org
        for part in q.chunks(vehicles)
        for row in connection.execute(select(c.place, c.org).where(c.place.in_(part)).order_by(c.device.desc()))
    }


def _evidence(one: Judgement, events: Mapping[str, q.Stored]) -> tuple[str, list[int]]:
    """Weakest grade and ledger indices of the events it rests on."""
    known = [events[key] for key in one.opportunity.why]
    return weakest([stored.grade for stored in known]), [stored.entry for stored in known]


def _touching(one: Judgement) -> Touching:
    it = one.opportunity
    return Touching(one.rule, it.subject, it.channel, it.from_us, it.to_us, one.verdict)


def _door_touches(connection: Connection, rides: Mapping[str, Sequence[Interval]]) -> dict[str, list[Touching]]:
    """What the doors of its vehicles say about each pallet."""
    found: dict[str, list[Touching]] = {}
    for row in q.verdicts(connection, {ride.parent for stays in rides.values() for ride in stays}, SOURCE):
        touch = Touching(*(row[name] for name in ("rule", "subject", "channel", "from_us", "to_us", "verdict")))
        for unit in json.loads(row["detail"])["units"]:
            found.setdefault(unit, []).append(touch)
    return found


# Writing


def _row(one: Judgement, grade: str, entries: Iterable[int]) -> Row:
    it = one.opportunity
    return {
        "source": SOURCE,
        "rule": one.rule,
        "subject": it.subject,
        "channel": it.channel,
        "from_us": it.from_us,
        "to_us": it.to_us,
        "verdict": one.verdict,
        "state": one.state,
        "detail": canonical(one.detail()).decode(),
        "weakest_grade": grade,
        "basis_index": json.dumps(sorted({*entries, *one.entries})),
    }


def _segment_row(segment: Segment) -> Row:
    return {**segment._asdict(), "because": json.dumps(segment.because)}


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in verdict.primary_key.columns)


def _replace(connection: Connection, before: dict[Any, Row], after: dict[Any, Row]) -> list[Row]:
    """Bring verdict rows from one state to another; the rows that differ, old and new."""
    gone = [row for key, row in before.items() if after.get(key) != row]
    fresh = [row for key, row in after.items() if before.get(key) != row]
    for row in gone:
        connection.execute(delete(verdict).where(and_(*(c == row[c.name] for c in verdict.primary_key.columns))))
    if fresh:
        connection.execute(insert(verdict), fresh)
    return gone + fresh


def _replace_deadlines(connection: Connection, judgements: Mapping[str, Iterable[Judgement]]) -> None:
    _clear(connection, continuity_deadline, "subject", judgements)
    rows = [
        {"subject": unit, "from_us": one.opportunity.from_us, "due_us": one.due_us}
        for unit, several in judgements.items()
        for one in several
        if one.due_us is not None
    ]
    if rows:
        connection.execute(insert(continuity_deadline), rows)


def _replace_segments(connection: Connection, found: Mapping[str, Sequence[Segment]]) -> None:
    c = unit_segment.c
    known: dict[str, list[Row]] = {}
    for part in q.chunks(found):
        for row in connection.execute(select(unit_segment).where(c.unit.in_(part)).order_by(c.from_us)):
            known.setdefault(row.unit, []).append(dict(row._mapping))
    wanted = {unit: [_segment_row(segment) for segment in its] for unit, its in found.items()}
    changed = [unit for unit, rows in wanted.items() if rows != known.get(unit, [])]
    _clear(connection, unit_segment, "unit", changed)
    rows = [row for unit in changed for row in wanted[unit]]
    if rows:
        connection.execute(insert(unit_segment), rows)


def _clear(connection: Connection, table: Table, column: str, values: Iterable[str]) -> None:
    for part in q.chunks(values):
        connection.execute(delete(table).where(table.c[column].in_(part)))
