"""B5: verdicts on the openings and stops of vehicles, by the span of time in which something changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import select

from coldchain.db import queries_continuity as qc
from coldchain.db import queries_events as q
from coldchain.db.bulk import fetch
from coldchain.db.tables.events import door_sample
from coldchain.domain.continuity import Opportunity
from coldchain.domain.continuity.corroboration import corroborated
from coldchain.domain.continuity.sealing import sealed_spans
from coldchain.domain.doors import STOP_NAMES, Window, idled, stops, uncovered
from coldchain.domain.events import in_force
from coldchain.domain.halts import SUFFIX, Position, halted, halts
from coldchain.projections.doors import ALWAYS_US, Span
from coldchain.projections.judging import Bench, is_opening, judged_rows, operators
from coldchain.projections.series import readings
from coldchain.projections.verdict_rows import Row, replace_verdicts

Evidence = dict[Opportunity, tuple[str, Sequence[int]]]
_Leg = tuple[str, int, int]
"""(what wore the seal, from, to)"""


class _Opening(NamedTuple):
    """A door of a vehicle seen open, and on what grade of evidence."""

    device: str
    grade: str
    door: str
    window: Window


def judge_openings(bench: Bench, spans: Iterable[Span]) -> list[Row]:
    """Verdicts on the openings and stops of each vehicle in its span; the rows that changed."""
    changed: list[Row] = []
    cover_us = bench.world.rules.widest_cover_us
    spans = list(spans)
    sealed = qc.sealed_places(bench.connection, {span.place for span in spans})
    for span in spans:
        wide = Span(span.place, span.from_us - cover_us, span.to_us + cover_us)
        openings = _openings(bench, wide)
        found = _doors(bench, span.place, openings)
        legs = _sealed_legs(bench, wide) if span.place in sealed else []
        found |= _stops(bench, span.place, legs)
        found |= _halts(bench, span.place, legs)
        borne_out = _borne_out(bench, span.place, found) if found else {}  # of all openings nearly every one: nothing
        rows = [row for _, row in judged_rows(bench, list(borne_out), _around, borne_out)]
        starts = {opening.window.from_us for opening in openings}
        legs_us = [(from_us, to_us) for _, from_us, to_us in legs]
        mine = partial(_is_rejudged, wide=wide, starts=starts, legs_us=legs_us)
        changed += replace_verdicts(bench.connection, [span.place], rows, mine)
    return changed


def _borne_out(bench: Bench, place: str, found: Evidence) -> Evidence:
    """The same with whoever runs the vehicle, and with what else was seen that makes suspicions more than that."""
    beside = qc.opportunities(bench.connection, {place, *(unit for it in found for unit in it.units)})
    operator = operators(bench.connection, [place]).get(place, "")
    borne_out: Evidence = {}
    for it, evidence in found.items():
        others = [other for name in (place, *it.units) for other in beside.get(name, ())]
        borne_out[corroborated([it._replace(holder=operator)], others)[0]] = evidence
    return borne_out


def _is_rejudged(row: Row, *, wide: Span, starts: set[int], legs_us: Sequence[tuple[int, int]]) -> bool:
    """A stop is judged with its whole leg, an opening with those that touch the span."""
    if not is_opening(row):
        return False
    from_us = row["from_us"]
    if row["channel"].endswith((" reefer", SUFFIX)):
        return wide.from_us <= from_us <= wide.to_us or any(a <= from_us <= b for a, b in legs_us)
    return wide.from_us <= from_us <= wide.to_us or from_us in starts


def _around(it: Opportunity) -> tuple[str, ...]:
    return (it.subject, *it.units)


def _openings(bench: Bench, span: Span) -> list[_Opening]:
    query = (
        "SELECT door_mount.device, grade, door, from_us, to_us, seen_us"
        " FROM door_mount JOIN door_window ON door_window.device = door_mount.device"
        " WHERE place = ? AND from_us <= ? AND coalesce(to_us, seen_us) >= ?"
        " AND since_us <= from_us AND (until_us IS NULL OR from_us < until_us)"
    )
    rows = fetch(bench.connection, query, span.place, span.to_us, span.from_us)
    return [_Opening(device, grade, door, Window(*times)) for device, grade, door, *times in rows]


def _doors(bench: Bench, vehicle: str, openings: Sequence[_Opening]) -> Evidence:
    found: Evidence = {}
    connection, world = bench.connection, bench.world
    for device, grade, door, window in openings:
        end_us = window.seen_us if window.to_us is None else window.to_us
        units = sorted({interval.child for interval in q.aboard(connection, vehicle, window.from_us, end_us)})
        if not units:
            continue  # of all openings nearly every one: no need to ask what events there were
        rules = world.rules.at(window.from_us)
        times = q.event_times(connection, [vehicle, *units], window.from_us - rules.cover_us, end_us + rules.cover_us)
        outside = _outside(bench, device, window)
        it = uncovered(vehicle, f"{device} {door}", window, units, times, rules, outside=outside)
        if it is not None:
            c = door_sample.c
            samples = select(c.entry).where(c.device == device, c.door == door)
            samples = samples.where(c.t_us.in_([window.from_us, end_us]))
            found[it] = grade, list(connection.scalars(samples))
    return found


def _outside(bench: Bench, device: str, window: Window) -> bool:
    """Of every registered site, as far as the device said where it was; unknown is inside."""
    sites = bench.world.sites
    if not sites.fenced(window.from_us):
        return False
    seen = qc.positions(bench.connection, device, window.from_us, window.seen_us)
    return bool(seen) and not any(sites.inside_any(lat, lon, window.from_us) for lat, lon in seen)


def _sealed_legs(bench: Bench, span: Span) -> list[_Leg]:
    """(what wore the seal, from, to) of the vehicle and of containers on it, as far as they touch the span."""
    connection = bench.connection
    aboard = {
        i.child for i in q.aboard(connection, span.place, span.from_us, span.to_us) if i.child.startswith("cont:")
    }
    stored = qc.stored_events(connection, qc.keys_beside(connection, {span.place, *aboard}))
    standing, _ = in_force(one.event for one in stored.values())
    return [
        (unit, from_us, ALWAYS_US if to_us is None else to_us)
        for unit in (span.place, *sorted(aboard))
        for from_us, to_us in sealed_spans(unit, standing)
        if from_us <= span.to_us and (to_us is None or span.from_us <= to_us)
    ]


def _stops(bench: Bench, vehicle: str, legs: Sequence[_Leg]) -> Evidence:
    """One for each stop, whichever of several seals it was under."""
    seen: dict[tuple[str, int], tuple[Opportunity, tuple[str, Sequence[int]]]] = {}
    for device, grade, unit, from_us, to_us in _rides(bench, vehicle, legs):
        samples = _samples(bench, device, from_us, to_us, STOP_NAMES)
        for stop in stops((name, t_us, value) for name, t_us, value, _ in samples):
            aboard = _aboard(bench, vehicle, unit, stop)
            rules = bench.world.rules.at(stop[0])
            it = idled(vehicle, device, stop, aboard, [(from_us, to_us)], rules)
            if it is not None:
                ends = {entry for _, t_us, _, entry in samples if t_us in stop}
                seen.setdefault((it.channel, it.from_us), (it, (grade, sorted(ends))))
    return dict(seen.values())


def _halts(bench: Bench, vehicle: str, legs: Sequence[_Leg]) -> Evidence:
    """The same for each time it stood outside every registered place."""
    seen: dict[tuple[str, int], tuple[Opportunity, tuple[str, Sequence[int]]]] = {}
    for device, grade, unit, from_us, to_us in _rides(bench, vehicle, legs):
        samples = _samples(bench, device, from_us, to_us, ("lat", "lon"))
        east = {t_us: value for name, t_us, value, _ in samples if name == "lon" and isinstance(value, int)}
        positions = [
            Position(t_us, value, east[t_us])
            for name, t_us, value, _ in samples
            if name == "lat" and isinstance(value, int) and t_us in east
        ]
        for halt in halts(positions, bench.world.rules.at(from_us).idle_us):
            span = halt[0].t_us, halt[-1].t_us
            aboard = _aboard(bench, vehicle, unit, span)
            it = halted(vehicle, device, halt, aboard, bench.world.sites, bench.world.rules.at(span[0]))
            if it is not None:
                ends = {entry for _, t_us, _, entry in samples if t_us in span}
                seen.setdefault((it.channel, it.from_us), (it, (grade, sorted(ends))))
    return dict(seen.values())


def _rides(bench: Bench, vehicle: str, legs: Sequence[_Leg]) -> Iterator[tuple[str, str, str, int, int]]:
    """(device, grade, what wore the seal, from, to) of each leg, while the device hung in the vehicle."""
    query = "SELECT device, grade, since_us, until_us FROM door_mount WHERE place = ? ORDER BY device, since_us"
    for device, grade, since_us, until_us in fetch(bench.connection, query, vehicle) if legs else ():
        for unit, from_us, to_us in legs:
            from_us, to_us = max(from_us, since_us), to_us if until_us is None else min(to_us, until_us)
            if from_us <= to_us:
                yield device, grade, unit, from_us, to_us


def _samples(
    bench: Bench, device: str, from_us: int, to_us: int, names: Iterable[str]
) -> list[tuple[str, int, object, int]]:
    """(name, time, value, entry) of what can be read of these names."""
    return [
        (name, reading.t_us, reading.value, reading.entry)
        for name in names
        for reading in readings(bench.connection, device, from_us, to_us + 1, name)
        if reading.name == name and reading.quality not in ("fault", "bad-time", "bad-type", "not-finite")
    ]


def _aboard(bench: Bench, vehicle: str, sealed: str, span: tuple[int, int]) -> list[str]:
    """What was in the vehicle then, sorted; nothing where what wore the seal was not in it."""
    aboard = {interval.child for interval in q.aboard(bench.connection, vehicle, *span)}
    return sorted(aboard) if sealed == vehicle or sealed in aboard else []
