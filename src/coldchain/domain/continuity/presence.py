"""P6: one id in two places or two parents; P7: a pallet seen off its vehicle where it should not be (domain §3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from coldchain.domain.continuity.model import Opportunity, Rules, is_carrier, point_of
from coldchain.domain.continuity.places import Sites
from coldchain.domain.events import Event
from coldchain.domain.parties import site_of

_HOUR_US = 3_600_000_000


class _Sighting(NamedTuple):
    time_us: int
    place: str
    event: Event


def impossible_travel(unit: str, events: Sequence[Event], sites: Sites, rules: Rules) -> Iterable[Opportunity]:
    """P6 between registered places further apart than anything travels in the time, clocks allowed for. One sighting
    at either place may be a misread, so two at each confirm it."""
    seen = [_Sighting(event.time_us, place, event) for event in events if (place := _place(event))]
    pairs: dict[tuple[str, str], list[tuple[_Sighting, _Sighting]]] = {}
    for at, one in enumerate(seen):
        for other in seen[at + 1 :]:
            if one.place != other.place and _impossible(one, other, sites, rules):
                here, there = sorted((one.place, other.place))
                pairs.setdefault((here, there), []).append((one, other))
    for (here, there), several in sorted(pairs.items()):
        sightings = sorted({sighting for pair in several for sighting in pair}, key=lambda s: (s.time_us, s.event.key))
        sure = all(sum(s.place == place for s in sightings) > 1 for place in (here, there))
        yield _in_two(unit, "travel", f"{here} {there}", sightings, sure)


def two_parents(unit: str, events: Sequence[Event], rules: Rules) -> Iterable[Opportunity]:
    """P6: stated to be within two parents of one kind over the same time, and nobody said that it was moved.

    Two statements for each, over more than clocks differ by, confirm it; one alone may be a misread.
    """
    stays: dict[str, list[_Sighting]] = {}
    for event in events:
        if unit in event.units and event.parent not in ("", unit):
            if event.action in ("ADD", "DELETE"):
                yield from _both(unit, stays, rules)
                stays = {}
            if event.action in ("ADD", "OBSERVE"):
                stays.setdefault(event.parent, []).append(_Sighting(event.time_us, event.parent, event))
    yield from _both(unit, stays, rules)


def off_vehicle(unit: str, events: Sequence[Event], sites: Sites, rules: Rules) -> Iterable[Opportunity]:
    """P7, always a suspicion by itself: seen at a place nobody registered, or off the vehicle it was riding in.

    Half an hour at either end of a ride is left to the parties' clocks.
    """
    rides = list(_rides(unit, events))
    found: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        point = point_of(event)
        if _is_sighting(event, unit) and not point.startswith(("veh:", "cont:", "dev:")) and point:
            ride = next((ride[2] for ride in rides if _within(ride, event, rules)), "")
            unknown = sites.known(event.time_us) and not sites.registered(point, event.time_us)
            if ride or unknown:
                found.setdefault((point, ride), []).append(event)
    for (point, ride), several in sorted(found.items()):
        told = f"seen at {point} while riding in {ride}" if ride else f"seen at {point}, which nobody registered"
        yield Opportunity(
            code="P7",
            subject=unit,
            channel=f"{point} {ride}".strip(),
            from_us=several[0].time_us,
            to_us=several[-1].time_us,
            confirmed=False,
            askable=False,
            lacks="a fact of another kind: a case missing or packed elsewhere, a count or weight, or a broken seal",
            units=(ride,) if ride else (),
            places=(point,),
            holder=several[0].by,
            why=tuple(sorted(event.key for event in several)),
            seen=(told,),
        )


def _place(event: Event) -> str:
    site = site_of(point_of(event))
    return f"loc:{site}" if site else ""


def _impossible(one: _Sighting, other: _Sighting, sites: Sites, rules: Rules) -> bool:
    apart_m = sites.apart_m(one.place, other.place, one.time_us)
    if apart_m is None:
        return False
    within_us = abs(other.time_us - one.time_us) + rules.clock_us
    return apart_m * _HOUR_US > rules.impossible_kmh * 1_000 * within_us


def _in_two(unit: str, kind: str, which: str, sightings: Sequence[_Sighting], sure: bool) -> Opportunity:
    told = tuple(f"{sighting.place} by {sighting.event.by}" for sighting in sightings)
    return Opportunity(
        code="P6",
        subject=unit,
        channel=f"{kind} {which}",
        from_us=sightings[0].time_us,
        to_us=sightings[-1].time_us,
        confirmed=sure,
        askable=sure,
        lacks="" if sure else "a second sighting in each of the two",
        units=tuple(sorted({s.place for s in sightings})) if kind == "parents" else (),
        places=tuple(sorted({s.place for s in sightings})),
        holder=sightings[0].event.by,
        why=tuple(sorted({s.event.key for s in sightings})),
        seen=told,
    )


def _both(unit: str, stays: Mapping[str, list[_Sighting]], rules: Rules) -> Iterable[Opportunity]:
    for here, there in combinations(sorted(stays), 2):
        if here.partition(":")[0] != there.partition(":")[0]:
            continue  # within a container and the truck it is on: both are true
        one, other = stays[here], stays[there]
        from_us, to_us = max(one[0].time_us, other[0].time_us), min(one[-1].time_us, other[-1].time_us)
        sightings = sorted([*one, *other], key=lambda s: (s.time_us, s.event.key))
        if len(one) > 1 and len(other) > 1 and to_us - from_us > rules.clock_us:
            yield _in_two(unit, "parents", f"{here} {there}", sightings, True)
        elif any(_amidst(lone, rest, rules) for lone, rest in ((one, other), (other, one))):
            yield _in_two(unit, "parents", f"{here} {there}", sightings, False)


def _amidst(lone: Sequence[_Sighting], rest: Sequence[_Sighting], rules: Rules) -> bool:
    """One statement in the midst of the other's."""
    first, last = rest[0].time_us + rules.clock_us, rest[-1].time_us - rules.clock_us
    return any(first < sighting.time_us < last for sighting in lone)


def _is_sighting(event: Event, unit: str) -> bool:
    """A read of the pallet itself; not a list of what rides where."""
    return event.action == "OBSERVE" and (
        event.parent == unit or (unit in event.units and not is_carrier(event.parent))
    )


def _rides(unit: str, events: Sequence[Event]) -> Iterable[tuple[int, int, str]]:
    """(from, to, carrier) of each ride both of whose ends are recorded."""
    aboard: tuple[int, str] | None = None
    for event in events:
        if unit in event.units and is_carrier(event.parent):
            if event.action == "ADD":
                aboard = (event.time_us, event.parent)
            elif event.action == "DELETE":
                if aboard and aboard[1] == event.parent:
                    yield aboard[0], event.time_us, aboard[1]
                aboard = None  # unloaded from another: where it rode is not known


def _within(ride: tuple[int, int, str], event: Event, rules: Rules) -> bool:
    return ride[0] + rules.clock_us < event.time_us < ride[1] - rules.clock_us
