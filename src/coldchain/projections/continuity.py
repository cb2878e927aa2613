"""Continuity verdicts on pallets, cartons and containers, and on doors and seals of what they ride in (domain §3).

Follows `Events`, `Containment` and the series of telemetry: run it after them on the same batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, or_, select

from coldchain.db import queries_continuity as qc
from coldchain.db import queries_events as q
from coldchain.db.queries_parties import directory
from coldchain.db.tables.events import containment, continuity_deadline, door_mount
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.containment import Interval, takes_all
from coldchain.domain.continuity import is_carrier, is_pallet
from coldchain.domain.continuity.places import Sites
from coldchain.domain.continuity.subjects import World
from coldchain.domain.events import Event
from coldchain.domain.seals import seals_in
from coldchain.projections.doors import ALWAYS_US, Openings, Span
from coldchain.projections.judging import Bench, carried, judge_segments, judge_units
from coldchain.projections.openings import judge_openings
from coldchain.projections.pallets import bearing, rules_in_force
from coldchain.projections.papers import Papers, record_papers
from coldchain.projections.subjects import Judged, find, record_facts, record_opportunities, touched_subjects
from coldchain.projections.verdict_rows import SOURCE
from coldchain.services.recorded import Recorded, beside_telemetry

Moment = tuple[str, int, int]
"""A subject, and from when to when something about it changed."""


class Continuity:
    """Fills `verdict` (source `continuity`) and `unit_segment` for what the batch touched and what time decided."""

    name = "continuity"
    tables: Sequence[str] = (
        "verdict",
        "unit_segment",
        "claim",
        "claim_decision",
        "ask",
        "supervision_act",
        "continuity_rule",
        "continuity_tie",
        "continuity_opportunity",
        "continuity_deadline",
        "event_fact",
        "door_mount",
        "door_sample",
        "door_window",
        "door_position",
        "scale",
    )
    takes_telemetry = True

    def __init__(self) -> None:
        self._openings = Openings()
        self._world: World | None = None

    def reset(self) -> None:
        self._openings.reset()
        self._world = None

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        rest = beside_telemetry(batch)
        record_facts(connection, rest)
        spans = self._openings.apply(connection, batch, rest)
        papers = record_papers(connection, rest)
        events = bearing(connection, rest)
        subjects = touched_subjects(connection, events) if events else set()
        subjects |= self._openings.doubted(connection, {name for event in events for name in event.names})
        before = self._world
        if before is None or any(item.entry.kind in ("identity", "rules") for item in rest):
            self._world = World(rules_in_force(connection), Sites(directory(connection)))
            moved, fenced = _registered(connection, rest, before.sites if before else None, self._world.sites)
            subjects |= moved
            spans += [Span(place, -ALWAYS_US, ALWAYS_US) for place in _mounted(connection)] if fenced else []
        assert self._world is not None
        moments = [
            *_asked(papers),
            *_due(connection, ledger_time_us),
            *_spoken_of(connection, papers.spans, self._world),
        ]
        if events or subjects or spans or moments or papers.supervised:
            bench = Bench(connection, self._world, ledger_time_us)
            _judge(bench, events, subjects, spans, moments, papers.supervised)


def _judge(
    bench: Bench,
    events: Sequence[Event],
    touched: set[str],
    spans: list[Span],
    moments: Sequence[Moment],
    supervised: set[str],
) -> None:
    """Everything these facts may have changed: what was found, then openings, then what carries, then what rides."""
    connection, cover_us = bench.connection, bench.world.rules.widest_cover_us
    touched = touched | _emptied(connection, events)
    judged = find(connection, touched, bench.world)
    changed = record_opportunities(connection, judged)
    inside = {interval.child for interval in q.intervals(connection, containment.c.parent, supervised)}
    units = {*touched, *supervised, *inside, *(subject for subject, _, _ in moments)}
    rides = carried(connection, units | {it.subject for it in changed})
    spans += [Span(subject, from_us, to_us) for subject, from_us, to_us in moments]
    spans += [Span(it.subject, it.from_us, it.end_us) for it in changed]
    spans += [
        Span(ride.parent, it.from_us, it.end_us)
        for it in changed
        for ride in rides.get(it.subject, ())
        if ride.from_us <= it.end_us and (ride.to_us is None or it.from_us <= ride.to_us)
    ]
    spans += [Span(unit, -ALWAYS_US, ALWAYS_US) for unit in supervised]
    spans += [
        Span(ride.parent, ride.from_us, ALWAYS_US if ride.to_us is None else ride.to_us)
        for unit in supervised | inside
        for ride in rides.get(unit, ())
    ]
    spans += _event_spans(events, judged, rides, cover_us)
    rows = judge_openings(bench, _by_vehicle(spans))
    for prefix in ("veh:", "cont:"):
        units |= {unit for row in rows for unit in json.loads(row["detail"])["units"]}
        rows = judge_units(bench, {unit for unit in units if unit.startswith(prefix)})
    units |= {unit for row in rows for unit in json.loads(row["detail"])["units"]}
    judge_units(bench, {unit for unit in units if not is_carrier(unit)})
    loads = {unit for unit in units if is_pallet(unit) or unit.startswith("cont:")}
    judge_segments(bench, judged | find(connection, loads - judged.keys(), bench.world))


def _emptied(connection: Connection, events: Iterable[Event]) -> set[str]:
    """What was in a unit when an event took out everything: it is not named."""
    return {
        interval.child
        for event in events
        if takes_all(event) and is_carrier(event.parent)
        for interval in q.aboard(connection, event.parent, event.time_us - 1, event.time_us)
        if is_pallet(interval.child) or interval.child.startswith("cont:")
    }


def _registered(
    connection: Connection, batch: Sequence[Recorded], before: Sites | None, after: Sites
) -> tuple[set[str], bool]:
    """Units that were at sites the batch registers, and whether any site was registered at all. With the first site
    ever, places begin to be judged, everywhere."""
    sites = {
        item.body["id"]
        for item in batch
        if item.entry.kind == "identity"
        and isinstance(item.body, Mapping)
        and item.body.get("op") == "site"
        and isinstance(item.body.get("id"), str)
    }
    if not sites:
        return set(), False
    if before is None or before.since_us != after.since_us:
        return qc.all_subjects(connection), True
    named = {unit for site in sites for unit in qc.units_at(connection, site)}
    followed = qc.tied_to(connection, (unit for unit in named if unit.startswith("case:")))
    return {unit for unit in named if is_pallet(unit) or unit.startswith("cont:")} | followed, True


def _mounted(connection: Connection) -> list[str]:
    return list(connection.scalars(select(door_mount.c.place).distinct()))


def _asked(papers: Papers) -> list[Moment]:
    return [(subject, from_us, from_us) for subject, from_us in papers.asked]


def _due(connection: Connection, ledger_time_us: int) -> list[Moment]:
    """Whose deadline ledger time has passed: no new fact names them, time alone changes their verdict."""
    c = continuity_deadline.c
    query = select(c.subject, c.from_us).where(c.due_us < ledger_time_us)
    return [(row.subject, row.from_us, row.from_us) for row in connection.execute(query)]


def _spoken_of(connection: Connection, spans: Iterable[tuple[int, int]], world: World) -> set[Moment]:
    """Verdicts at a time that a claim speaks of."""
    c = verdict.c
    cover_us = world.rules.widest_cover_us
    found: set[Moment] = set()
    for from_us, to_us in spans:
        query = select(c.subject, c.from_us, c.to_us).where(c.source == SOURCE, c.from_us <= to_us + cover_us)
        query = query.where(or_(c.to_us.is_(None), c.to_us >= from_us - cover_us))
        found.update((row.subject, row.from_us, row.from_us) for row in connection.execute(query))
    return found


def _event_spans(
    events: Iterable[Event], judged: Mapping[str, Judged], rides: Mapping[str, Sequence[Interval]], cover_us: int
) -> list[Span]:
    """Where and when these events may cover an opening, or change what was aboard or sealed."""
    spans = [Span(name, event.time_us, event.time_us) for event in events for name in event.names]
    for event in events:
        sealed = {fact.unit for fact in seals_in(event)}
        spans += [Span(unit, event.time_us, ALWAYS_US) for unit in sealed]
        for unit in {event.parent, *event.units, *sealed} & judged.keys():
            spans += [
                Span(ride.parent, event.time_us, ALWAYS_US if unit in sealed else event.time_us)
                for ride in rides.get(unit, ())
                if ride.from_us <= event.time_us + cover_us
                and (unit in sealed or ride.to_us is None or event.time_us - cover_us <= ride.to_us)
            ]
            if event.action != "OBSERVE" or event.error:
                vehicles = {stored.event.parent for stored in judged[unit].events.values()}
                spans += [Span(vehicle, event.time_us, ALWAYS_US) for vehicle in vehicles]
    return spans


def _by_vehicle(spans: Iterable[Span]) -> list[Span]:
    """One span for each vehicle, from the first to the last moment concerned."""
    merged: dict[str, Span] = {}
    for span in spans:
        if span.place.startswith("veh:"):
            known = merged.get(span.place, span)
            merged[span.place] = Span(span.place, min(known.from_us, span.from_us), max(known.to_us, span.to_us))
    return [merged[place] for place in sorted(merged)]
