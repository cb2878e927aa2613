"""What was found on units -> verdict rows and segments: borne out, asked, answered, supervised (domain §3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from coldchain.db import queries_continuity as qc
from coldchain.db import queries_events as q
from coldchain.db.tables.events import containment, door_mount
from coldchain.domain.containment import Interval
from coldchain.domain.continuity import Opportunity, is_carrier, is_pallet
from coldchain.domain.continuity.corroboration import corroborated
from coldchain.domain.continuity.subjects import World
from coldchain.domain.continuity.supervision import Span, under, while_supervised
from coldchain.domain.exceptions import Circumstances
from coldchain.domain.findings import Judgement, judge
from coldchain.domain.segments import Touching, segments
from coldchain.projections.scales import borne_out
from coldchain.projections.subjects import Judged
from coldchain.projections.verdict_rows import SOURCE, Row, replace_segments, replace_verdicts, verdict_row

Rides = Mapping[str, Sequence[Interval]]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where judging is done: the transaction, what is known beside events, and the newest ledger time."""

    connection: Connection
    world: World
    now_us: int


def is_opening(row: Mapping[str, object]) -> bool:
    """Whether a verdict row is about a door or a stop, judged by the span of time they lie in."""
    rule, channel = str(row["rule"]), str(row["channel"])
    return rule.startswith("B5 ") or (rule.startswith("B6 ") and channel.startswith("B5 "))


def judge_units(bench: Bench, subjects: Iterable[str]) -> list[Row]:
    """Verdicts of everything but openings on these subjects; the rows that changed."""
    connection = bench.connection
    wanted = sorted(set(subjects))
    found = qc.opportunities(connection, wanted)
    rides = carried(connection, (subject for subject, its in found.items() if its and not subject.startswith("veh:")))
    beside = qc.opportunities(connection, {ride.parent for stays in rides.values() for ride in stays})
    its: list[Opportunity] = []
    for subject, own in sorted(found.items()):
        outer = [it for ride in rides.get(subject, ()) for it in beside.get(ride.parent, ()) if _aboard_at(ride, it)]
        its += corroborated(own, [*own, *(it for it in outer if it.code == "B3")])
    its = _with_holders(connection, [_with_aboard(connection, it) for it in its], rides)
    weighed = borne_out(connection, its, bench.world.rules)
    rows = [row for _, row in judged_rows(bench, list(weighed), lambda it: _around(it, rides), weighed)]
    return replace_verdicts(connection, wanted, rows, lambda row: not is_opening(row))


def judged_rows(
    bench: Bench,
    its: Sequence[Opportunity],
    around: Callable[[Opportunity], Iterable[str]],
    more: Mapping[Opportunity, tuple[str, Sequence[int]]],
) -> list[tuple[Judgement, Row]]:
    """Each opportunity as it stands, B6 beside it where it is due. around: names whose supervision is the unit's own.
    more: grade and entries of evidence that is no event."""
    connection = bench.connection
    spans = qc.supervisions(connection, {name for it in its for name in around(it)}) if its else ()
    supervised = [(b6, it) for it in its for b6 in while_supervised([it], spans, around(it))]
    pairs = [*((it, it) for it in its), *supervised]
    evidence = q.events_by_key(connection, {key for it in its for key in it.why})
    judgement = _judge(bench, [it for it, _ in pairs], spans, around)
    result = []
    for it, origin in pairs:
        one = judgement(it)
        stored = [evidence[key] for key in it.why if key in evidence]
        grade, entries = more.get(origin, ("", ()))
        grades = [*(event.grade for event in stored), *([grade] if grade else [])]
        result.append((one, verdict_row(one, grades, [*(event.entry for event in stored), *entries])))
    return result


def _judge(
    bench: Bench, its: Sequence[Opportunity], spans: Sequence[Span], around: Callable[[Opportunity], Iterable[str]]
) -> Callable[[Opportunity], Judgement]:
    """`judge` with the questions, claims and rulings that bear on any of these opportunities."""
    connection, world = bench.connection, bench.world
    if not its:
        return lambda it: judge(it, (), (), (), bench.now_us, world.rules.at(it.from_us))
    cover_us = world.rules.widest_cover_us
    claims = q.claims_between(
        connection, min(it.from_us for it in its) - cover_us, max(it.end_us for it in its) + cover_us
    )
    decisions = q.decisions_on(connection, (claim.claim_id for claim in claims))
    asks = q.asks_about(connection, {it.subject for it in its})

    def judgement(it: Opportunity) -> Judgement:
        facts = Circumstances(
            supervised=under(spans, tuple(around(it)), it) is not None,
            registered=lambda place: world.sites.is_site(place, it.from_us),
        )
        own = asks.get(it.subject, ())
        return judge(it, own, claims, decisions, bench.now_us, world.rules.at(it.from_us), facts)

    return judgement


def carried(connection: Connection, units: Iterable[str]) -> dict[str, list[Interval]]:
    """By unit: when it was directly in which vehicle or container."""
    found: dict[str, list[Interval]] = {}
    for interval in q.intervals(connection, containment.c.child, units):
        if is_carrier(interval.parent):
            found.setdefault(interval.child, []).append(interval)
    return {unit: sorted(stays, key=lambda stay: (stay.from_us, stay.parent)) for unit, stays in found.items()}


def _aboard_at(ride: Interval, it: Opportunity) -> bool:
    return ride.from_us <= it.end_us and (ride.to_us is None or it.from_us <= ride.to_us)


def _around(it: Opportunity, rides: Rides) -> tuple[str, ...]:
    return (it.subject, *(ride.parent for ride in rides.get(it.subject, ()) if _aboard_at(ride, it)))


def _with_aboard(connection: Connection, it: Opportunity) -> Opportunity:
    """A seal speaks of whatever was behind it."""
    if it.code != "B3" or not is_carrier(it.subject):
        return it
    units = {interval.child for interval in q.aboard(connection, it.subject, it.from_us, it.end_us)}
    return it._replace(units=tuple(sorted({*it.units, *units})))


def _with_holders(connection: Connection, its: Iterable[Opportunity], rides: Rides) -> list[Opportunity]:
    orgs = operators(connection, {ride.parent for stays in rides.values() for ride in stays})
    return [_with_holder(it, rides.get(it.subject, ()), orgs) for it in its]


def _with_holder(it: Opportunity, rides: Iterable[Interval], orgs: Mapping[str, str]) -> Opportunity:
    """Whoever runs the vehicle it was in meanwhile held it; else whoever recorded it last."""
    for ride in rides:
        overlaps = (it.to_us is None or ride.from_us < it.to_us) and (ride.to_us is None or it.from_us < ride.to_us)
        if overlaps and orgs.get(ride.parent):
            return it._replace(holder=orgs[ride.parent])
    return it


def operators(connection: Connection, vehicles: Iterable[str]) -> dict[str, str]:
    """By vehicle: whoever runs the devices mounted in it."""
    c = door_mount.c
    return {
        row.place: row.org
        for part in q.chunks(vehicles)
        for row in connection.execute(select(c.place, c.org).where(c.place.in_(part)).order_by(c.device.desc()))
    }


def judge_segments(bench: Bench, judged: Mapping[str, Judged]) -> None:
    """Segments of the pallets and containers among these, from the verdicts on them and on what they rode in."""
    connection = bench.connection
    units = {unit: one.found for unit, one in judged.items() if is_pallet(unit) or unit.startswith("cont:")}
    rides = carried(connection, units)
    touches: dict[str, list[Touching]] = {}
    carriers = {ride.parent for stays in rides.values() for ride in stays}
    for row in q.verdicts(connection, {*units, *carriers}, SOURCE):
        touch = Touching(*(row[name] for name in ("rule", "subject", "channel", "from_us", "to_us", "verdict")))
        aboard = json.loads(row["detail"])["units"] if is_carrier(row["subject"]) else ()
        for unit in {row["subject"], *aboard} & units.keys():
            touches.setdefault(unit, []).append(touch)
    cut = {
        unit: segments(found.history, touches.get(unit, ()), found.legs, found.opened_us)
        for unit, found in units.items()
    }
    replace_segments(connection, cut)
