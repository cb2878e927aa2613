"""B1: a carton opened; B2: a carton swapped (domain §3). The unit is a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from coldchain.domain.containment import takes_all
from coldchain.domain.continuity.links import is_linked, linked_from, names_in
from coldchain.domain.continuity.model import Opportunity, Rules, point_of
from coldchain.domain.continuity.places import Sites
from coldchain.domain.events import Event

STATES = ("intact", "opened", "tape-broken", "inner-missing", "re-taped")
INTACT = "intact"
SELLING = frozenset(("retail", "market"))
"""Uses of sites where cartons are opened to be sold."""


class Carton(NamedTuple):
    """What one event says about one carton."""

    case: str
    state: str
    """One of STATES, or "" where only its contents are stated."""
    inner: tuple[str, ...]
    """Names of what is in it; empty where not stated."""
    event: Event


def cartons_in(event: Event) -> tuple[Carton, ...]:
    """Every carton the event's `cartons` speak of, and cases that inner units were packed into or found in."""
    stated = event.extra("cartons")
    found = set()
    for item in stated if isinstance(stated, list) else ():
        if isinstance(item, Mapping):
            state = item.get("state")
            for case in names_in([item.get("case")]):
                found.add((case, state if state in STATES else "", names_in(item.get("inner"))))
    if event.kind == "AggregationEvent" and event.parent.startswith("case:") and event.action in ("ADD", "OBSERVE"):
        found.add((event.parent, "", event.units))
    return tuple(Carton(*one, event) for one in sorted(found))


def opened(unit: str, events: Sequence[Event], sites: Sites, rules: Rules) -> Iterable[Opportunity]:
    """B1: unpacked, its tape broken, or inner units missing from it.

    An unpacking is its own statement. What somebody saw of the tape is confirmed by a second look at another point or
    by another party; a later look that finds it intact dispels a first. Inner units recorded before and missing now
    are two records already. Unpacked where goods are sold, it is at its journey's end.
    """
    marks: list[tuple[Event, str]] = []
    inner: frozenset[str] = frozenset()
    before: Event | None = None
    last: Event | None = None
    sure = False
    for event in events:
        for mark, certain in _marks(unit, event, inner, sites):
            before = before if marks else last
            sure = sure or certain
            marks.append((event, mark))
        for carton in (one for one in cartons_in(event) if one.case == unit):
            if carton.inner and not inner:
                inner = frozenset(carton.inner)
            if carton.state == INTACT and not sure and not _confirmed(marks):
                marks, before = [], None
        last = event
    if not marks:
        return
    sure = sure or _confirmed(marks)
    first = marks[0][0]
    yield Opportunity(
        code="B1",
        subject=unit,
        channel="",
        from_us=before.time_us if before else first.time_us,
        to_us=first.time_us,
        confirmed=sure,
        askable=sure,
        lacks="" if sure else "a second look by another party or at another point",
        places=tuple(sorted({point_of(event) for event, _ in marks} - {""})),
        holder=before.by if before else first.by,
        why=tuple(sorted({event.key for event, _ in marks})),
        seen=tuple(dict.fromkeys(mark for _, mark in marks)),
    )


def swapped(unit: str, events: Sequence[Event], rules: Rules) -> Iterable[Opportunity]:
    """B2: inner units of another case in this one, or this case's id issued a second time, and no link says why."""
    yield from _refilled(unit, events)
    issues = [event for event in events if _issues(unit, event)]
    for earlier, later in pairwise(issues):
        apart = later.time_us - earlier.time_us > rules.clock_us
        if linked_from(later):
            continue
        yield Opportunity(
            code="B2",
            subject=unit,
            channel="issued again",
            from_us=earlier.time_us,
            to_us=later.time_us,
            confirmed=apart,
            askable=apart,
            lacks="" if apart else "more time between the two than clocks differ by",
            holder=later.by,
            why=tuple(sorted((earlier.key, later.key))),
            seen=(f"issued by {earlier.by}, and again by {later.by}",),
        )


def inner_names(unit: str, events: Iterable[Event]) -> frozenset[str]:
    """What was ever stated to be in the case: events naming one of them bear on its verdicts."""
    return frozenset(
        name for event in events for carton in cartons_in(event) if carton.case == unit for name in carton.inner
    )


def _marks(unit: str, event: Event, inner: frozenset[str], sites: Sites) -> Iterable[tuple[str, bool]]:
    """(what was found, whether that alone is sure)."""
    sold = not SELLING.isdisjoint(sites.uses(point_of(event), event.time_us))
    if event.kind == "AggregationEvent" and event.parent == unit and event.action == "DELETE" and not sold:
        yield ("emptied" if takes_all(event) else f"{len(event.units)} inner units taken out"), True
    for carton in cartons_in(event):
        if carton.case != unit:
            continue
        if carton.state not in ("", INTACT):
            yield carton.state, False
        gone = inner.difference(carton.inner) if carton.inner else ()
        if gone:
            yield f"without {', '.join(sorted(gone))}", True


def _confirmed(marks: Sequence[tuple[Event, str]]) -> bool:
    looks = {point_of(event) or f"event {event.key}" for event, _ in marks}
    return len(looks) > 1 or len({event.by for event, _ in marks}) > 1


def _refilled(unit: str, events: Sequence[Event]) -> Iterable[Opportunity]:
    cartons = [carton for event in events for carton in cartons_in(event) if carton.inner]
    mine = [carton for carton in cartons if carton.case == unit]
    if not mine:
        return
    first = mine[0]
    earlier = [one for one in cartons if one.case != unit and one.event.time_us < first.event.time_us]
    for case in sorted({one.case for one in earlier}):
        came = [one for one in earlier if one.case == case]
        moved = {name for one in came for name in one.inner} & {name for one in mine for name in one.inner}
        if not moved or is_linked(events, (case, *sorted(moved)), unit):
            continue
        looks = {one.event.key for one in mine if not moved.isdisjoint(one.inner)}
        sure = len(moved) > 1 or len(looks) > 1
        yield Opportunity(
            code="B2",
            subject=unit,
            channel=case,
            from_us=came[-1].event.time_us,
            to_us=first.event.time_us,
            confirmed=sure,
            askable=sure,
            lacks="" if sure else "a second look, or a second inner unit of the other case",
            units=(case,),
            holder=first.event.by,
            why=tuple(sorted({one.event.key for one in came} | looks)),
            seen=(f"{', '.join(sorted(moved))} of {case} in it, which is not linked to it",),
        )


def _issues(unit: str, event: Event) -> bool:
    return (
        event.kind == "ObjectEvent"
        and event.action == "ADD"
        and event.biz_step in ("commissioning", "")
        and unit in event.units
    )


def issued_cases(event: Event) -> tuple[str, ...]:
    """Cases whose ids this event issues."""
    return tuple(unit for unit in event.units if unit.startswith("case:") and _issues(unit, event))
